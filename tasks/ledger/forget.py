"""Forgets an account of which nothing was ever stored, such as one of a mistyped id: else it is waited for for ever."""

from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select

from models.errors import UsageError
from models.tables.ledger import ObservedBehaviour, Run, ScanPart, SyncStream, Window
from models.tables.records import Call, Contact, RejectedRow
from tasks.database import in_transaction

HELD = (Call, Contact, RejectedRow)
LEDGER = (Window, Run, ObservedBehaviour, SyncStream)


def forget(engine: Engine, provider: str, account: str) -> None:
    """Removes the ledger of an account; its incidents are over with it, and say so.

    Raises `UsageError` where records of it are held, or nothing is known of it.
    """

    def work(connection: Connection) -> None:
        if held := sum(_count(connection, table, provider, account) for table in HELD):
            raise UsageError(
                f"Of {provider}:{account} {held:,} records are held. Only an account of which nothing was ever stored "
                "can be forgotten."
            )
        if not _count(connection, SyncStream, provider, account):
            raise UsageError(f"Nothing is known of {provider}:{account}; `callweave status` names the accounts.")
        windows = select(Window.id).where(*_its(Window, provider, account))
        connection.execute(delete(ScanPart).where(ScanPart.window_id.in_(windows)))
        for table in LEDGER:
            connection.execute(delete(table).where(*_its(table, provider, account)))

    in_transaction(engine, work)


def _count(connection: Connection, table: Any, provider: str, account: str) -> int:
    query = select(func.count()).select_from(table).where(*_its(table, provider, account))
    found: int = connection.execute(query).scalar_one()
    return found


def _its(table: Any, provider: str, account: str) -> tuple[Any, Any]:
    return table.provider == provider, table.account == account
