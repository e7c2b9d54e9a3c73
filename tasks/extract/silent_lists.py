"""A run whose windows held nothing at all: believed only while its list still shows the newest call that we hold."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from models.coverage import Span
from models.tables.ledger import Window
from models.tables.records import Call
from tasks.client.transport import Tally
from tasks.database import database_errors, in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.deletions import ask_by_id
from tasks.extract.prober import Prober
from tasks.ledger.observations import try_next_time

INSTANT = timedelta(milliseconds=1)


class Newest(NamedTuple):
    """The newest call that we hold of a list."""

    external_id: str
    began: datetime


def read_nothing(context: StreamContext) -> bool:
    """Whether this run has read windows of the list, and no record came."""
    ledger = context.ledger
    read = and_(ledger.source.matches, Window.claimed_by == ledger.holder, Window.state == "done")
    with database_errors(), context.engine.connect() as connection:
        return connection.execute(select(func.sum(Window.fetched)).where(read)).scalar_one() == 0


def disbelieve_silence(context: StreamContext) -> str | None:
    """Takes back the proof of what this run read, and says why, where the list hides a call that exists by its id."""
    newest = _newest(context)
    if newest is None or _is_listed(context, newest):
        return None
    exists = isinstance(ask_by_id(context, newest.external_id), str)
    if not exists or _newest(context) != newest:  # gone, or it was said to have begun at another time
        return None
    reason = f"the list holds nothing, not even a call that exists by its id: {newest.external_id[:60]!r}"

    def work(connection: Connection) -> None:
        context.ledger.doubt_empty(connection, reason)
        try_next_time(connection, context.ledger)

    in_transaction(context.engine, work)
    return reason


def _newest(context: StreamContext) -> Newest | None:
    alive = and_(Call.deleted_at.is_(None), Call.vanished_at.is_(None), Call.scope == context.listing.scope)
    ours = and_(Call.provider == context.key["provider"], Call.account == context.key["account"])
    query = select(Call.external_id, Call.started_at).where(ours, alive).order_by(Call.started_at.desc()).limit(1)
    with database_errors(), context.engine.connect() as connection:
        row = connection.execute(query).first()
    return Newest(*row) if row else None


def _is_listed(context: StreamContext, newest: Newest) -> bool:
    tally, stream = Tally(), context.stream
    span = Span(newest.began, newest.began + INSTANT) if stream.time_filter else None
    try:
        return newest.external_id in Prober(context, tally).rows(stream, limit=stream.paging.limit, span=span).ids
    finally:
        context.receipt.add_requests(tally.requests)
