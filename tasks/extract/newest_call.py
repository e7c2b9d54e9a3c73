"""The newest call that is held of a list, by which the list is tried: one that does not show it is not as assumed."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select

from models.coverage import LAG, instant
from models.tables.records import Call
from tasks.client.transport import Tally
from tasks.database import database_errors
from tasks.extract.context import StreamContext
from tasks.extract.deletions import ask_by_id
from tasks.extract.prober import Prober

MOST_ASKED = 5
"""Of the newest calls, while the provider denies one after the other: it may have deleted them."""


class Held(NamedTuple):
    """A call that we hold of a list."""

    external_id: str
    began: datetime


def hidden_call(context: StreamContext) -> str | None:
    """Of the newest calls that we hold the first that exists by its id, where the list does not show it."""
    for call in _newest(context):
        if _is_listed(context, call):
            return None
        # One that was said by then to have begun at another time tells nothing.
        if isinstance(ask_by_id(context, call.external_id), str) and call in _newest(context):
            return call.external_id
    return None


def _newest(context: StreamContext) -> list[Held]:
    alive = and_(Call.deleted_at.is_(None), Call.vanished_at.is_(None), Call.scope == context.listing.scope)
    old_enough = Call.started_at < func.now() - LAG
    query = select(Call.external_id, Call.started_at).where(context.holds(Call), alive, old_enough)
    with database_errors(), context.engine.connect() as connection:
        return [Held(*row) for row in connection.execute(query.order_by(Call.started_at.desc()).limit(MOST_ASKED))]


def _is_listed(context: StreamContext, call: Held) -> bool:
    tally, stream = Tally(), context.stream
    span = instant(call.began) if stream.time_filter else None
    try:
        return call.external_id in Prober(context, tally).rows(stream, limit=stream.paging.limit, span=span).ids
    finally:
        context.receipt.add_requests(tally.requests)
