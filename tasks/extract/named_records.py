"""Records that calls name: where one exists by its id and no list has shown it, the list leaves out others too."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, func, null, or_, select
from sqlalchemy.orm import aliased

from models.coverage import instant
from models.errors import ContractBroken, RecordNotFound, RequestRefused
from models.tables.ledger import Window
from models.tables.records import Call, Contact
from models.vocabulary import StreamName
from tasks.database import database_errors, in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.lookup import look_up
from tasks.ledger.observations import try_next_time

NEWEST_CALLS = 10_000
"""Those that are looked at for what they name."""
MOST_ASKED = 200
MOST_DENIED = 5
"""In a row from the first: calls name what was deleted since, and the provider need not be asked for all of it."""


class Named(NamedTuple):
    """A record that a call names and that no list has shown."""

    external_id: str
    named_by: Any
    """The payload of a leg that names its parent, else None."""


def unlisted(context: StreamContext) -> list[Named]:
    """What calls named before this run read, and it has not shown."""
    is_calls = context.stream.name is StreamName.CALLS
    if is_calls and context.listing.scope:
        return []  # the parent may stand in a list that is not read
    with database_errors(), context.engine.connect() as connection:
        if (began := _began(context, connection)) is None:
            return []
        query = _parents(context, began) if is_calls else _contacts(context, began)
        # Another order each day: where the first of them were deleted, others have their turn.
        turned = query.order_by(func.md5(func.concat(query.selected_columns[0], func.date(func.now()))))
        return [Named(*row) for row in connection.execute(turned.limit(MOST_ASKED))]


def settle_unlisted(context: StreamContext) -> str | None:
    """Reads what calls name and no list has shown. Where one exists, takes back the proof of what it should have been
    in, and says why.
    """
    found = _existing(context, unlisted(context))
    if not found:
        return None
    what = "call" if context.stream.name is StreamName.CALLS else "contact"
    reason = f"the list leaves out a {what} that a call names and that exists by its id: {found[0][:60]!r}"

    def work(connection: Connection) -> bool:
        doubted = _doubt(context, connection, found, reason)
        if doubted:
            try_next_time(connection, context.ledger)
        return doubted

    return reason if in_transaction(context.engine, work) else None


def _existing(context: StreamContext, named: Iterable[Named]) -> list[str]:
    """Ids of those that the provider knows, and that could be stored."""
    found, denied = list[str](), 0
    for one in named:
        try:
            counts = look_up(context, one.external_id, one.named_by)
        except (RecordNotFound, RequestRefused, ContractBroken):
            denied += 1
        else:
            found += [one.external_id] if counts.inserted else []
        if denied == MOST_DENIED and not found:
            break
    return found


def _doubt(context: StreamContext, connection: Connection, found: list[str], reason: str) -> bool:
    """Whether there was a reading that should have held one of them."""
    verdicts = context.ledger.verdicts
    if context.stream.name is not StreamName.CALLS:
        return verdicts.doubt_run(connection, reason)
    query = select(Call.started_at).where(context.holds(Call), Call.external_id.in_(found))
    doubted = [verdicts.doubt(connection, None, instant(at), reason) for at in connection.execute(query).scalars()]
    return any(doubted)


def _began(context: StreamContext, connection: Connection) -> datetime | None:
    """When what this run has read to its end was begun, maybe by a run before it; None while some of it is open."""
    ledger = context.ledger
    mine = and_(Window.claimed_by == ledger.holder, Window.state == "done")
    scans = select(Window.scan_id).where(mine, Window.scan_id.is_not(None))
    which = and_(ledger.source.matches, or_(mine, Window.scan_id.in_(scans)))
    query = select(func.min(Window.started_at), func.bool_or(Window.state == "open")).where(which)
    began, is_open = connection.execute(query).one()
    return None if is_open else began


def _contacts(context: StreamContext, began: datetime) -> Select[str, Any]:
    """Contacts that the newest calls named before `began` and that are not held."""
    calls = select(Call.contact_external_id.label("id"), Call.observed_at).where(context.holds(Call))
    newest = calls.order_by(Call.started_at.desc()).limit(NEWEST_CALLS).subquery()
    held = select(Contact.id).where(context.holds(Contact), Contact.external_id == newest.c.id)
    named = and_(newest.c.id != "", newest.c.observed_at < began)
    return select(newest.c.id, null()).where(named, ~held.exists()).group_by(newest.c.id)


def _parents(context: StreamContext, began: datetime) -> Select[str, Any]:
    """Calls that those which came or changed since `began` name as the one that they are legs of, not held."""
    calls = select(Call.parent_external_id.label("id"), Call.payload).where(context.holds(Call))
    newest = calls.where(Call.changed_at >= began).order_by(Call.changed_at.desc()).limit(NEWEST_CALLS).subquery()
    parent = aliased(Call)
    held = select(parent.id).where(context.holds(parent), parent.external_id == newest.c.id)
    leg = func.array_agg(newest.c.payload)[1]
    return select(newest.c.id, leg).where(newest.c.id != "", ~held.exists()).group_by(newest.c.id)
