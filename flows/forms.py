"""How the parameters of flows are shown: Prefect makes its forms of their types, titles and docstrings."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

NotSet = Annotated[None, Field(title="not set")]
Moment = Annotated[datetime, Field(title="date and time")] | NotSet

SYNC = """

Args:
    streams: What to sync: calls, contacts or both.
    since: Calls that began at this moment or later. Not set: all that was not read yet.
    until: Calls that began before this moment. Not set: up to one minute ago.
    full: Read all of the range again, also what was read already.
    call_ids: Read just these calls, by their ids at the provider, and nothing else.
    filters: Only what these filters of the provider's own let through; says nothing about the rest.
    allow_deletes: Mark as deleted what the provider no longer holds, also where the brake would hold that back.
"""
BACKFILL = """

Args:
    provider: Whose calls to read.
    since: Calls that began at this moment or later.
    until: Calls that began before this moment.
    account: Refuse to read another account than this one. Not set: read the one that this deployment's worker has.
    filters: The provider's own filters by name, such as {"status": "missed"}. Not set: all calls.
"""
