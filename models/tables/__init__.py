"""The base tables, ours to change; downstream reads the views of schema `v1` (migrations) and nothing else.

Importing the package, or any of its modules, makes `base.Base.metadata` whole.
"""

from models.tables import changes, identity, incidents, ledger, matching, records

__all__ = ["changes", "identity", "incidents", "ledger", "matching", "records"]
