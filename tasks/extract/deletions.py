"""Records that a provider no longer holds: found by proven scans, confirmed by id, held back by a brake.

A tombstone needs all of it: a proven reading of the same scope did not hold the record, we held it before that reading
began, and the provider answers 404 or 410 for it by id.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    any_,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from models.arrivals import Counts
from models.change import ENTITIES, Change
from models.claim import Claim
from models.coverage import Span
from models.errors import RecordNotFound
from models.json_text import fields, value
from models.request import Brake
from models.tables.ledger import Sighting
from models.tables.records import Call, Contact
from models.vocabulary import ChangeKind, StreamName
from tasks.change_feed import record_changes
from tasks.client.transport import Tally
from tasks.database import database_errors, in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.lookup import look_up
from tasks.extract.page import refuse_failure
from tasks.ledger.observations import try_next_time

FEW = 3
"""Missing records of a stretch that holds no other record: nothing to speak of yet."""
TABLES: dict[StreamName, type[Call | Contact]] = {StreamName.CALLS: Call, StreamName.CONTACTS: Contact}


class Missing(NamedTuple):
    """Records that a proven reading did not hold and should have held."""

    ids: Sequence[str]
    came: int
    """Records that the reading did hold."""
    claim: Claim
    """Of the reading's window, or of the last part of its scan."""
    reason: str | None
    """Of its proof."""

    @property
    def span(self) -> Span | None:
        return self.claim.span

    @property
    def scan_id(self) -> str | None:
        return self.claim.part.scan_id if self.claim.part else None


class DeletesHeldBack(NamedTuple):
    """Deletes that are held back."""

    missing: int
    why: str
    since: datetime | None = None
    until: datetime | None = None
    """When the first and the last of the missing calls began."""

    @property
    def columns(self) -> dict[str, Any]:
        """As the receipt keeps it."""
        return {"held_back": self.missing, "held_since": self.since, "held_until": self.until}

    def __str__(self) -> str:
        return f"{self.why}: none was marked as deleted. If that is right, run again with --allow-deletes."


def missing(context: StreamContext, span: Span | None, ids: set[str], began_at: datetime) -> list[str]:
    """Records of `span` that were held before a proven reading began, and that it did not hold."""
    with database_errors(), context.engine.connect() as connection:
        held = list(connection.execute(_expected(context, span, began_at)).scalars())
    return [id_ for id_ in held if id_ not in ids]


def missing_from_scan(context: StreamContext, claim: Claim, connection: Connection, began_at: datetime) -> list[str]:
    """The same for a scan that was read in parts, of which `claim` was the last, by what it has noted."""
    assert claim.part is not None
    expected = _expected(context, claim.span, began_at).cte("expected")
    its = and_(Sighting.scan_id == claim.part.scan_id, Sighting.external_id == expected.c[0])
    query = select(expected.c[0]).where(~select(Sighting.external_id).where(its).exists())
    return list(connection.execute(query).scalars())


def confirm_deletions(
    context: StreamContext, found: Sequence[Missing], brake: Brake, *, allow: bool
) -> DeletesHeldBack | str | None:
    """Asks by id for what readings missed that are else proven, and marks as deleted what the provider denies.

    The readings are proven then. Returns what is held back; or why readings are not believed any more, where a record
    exists that they left out.
    """
    candidates = sorted({id_ for one in found for id_ in one.ids})
    if not allow and not any(one.came for one in found):
        return _believe_empty(context, found, candidates)
    limit, gone, alive = brake.limit(_count(context)), list[tuple[str, datetime]](), list[str]()
    for external_id in candidates:
        answer = ask_by_id(context, external_id)
        if isinstance(answer, datetime):
            gone.append((external_id, answer))
        elif answer is not None:
            alive.append(external_id)
        if len(gone) > limit and not allow:
            return DeletesHeldBack(
                len(candidates), _over(len(candidates), len(gone), limit), *_extent(context, candidates)
            )
    marked = in_transaction(context.engine, lambda connection: _mark(connection, context, gone))
    context.receipt.add(Counts(deleted=marked))
    return _settle(context, found, _left_out(context, found, set(alive)))


def _believe_empty(
    context: StreamContext, found: Sequence[Missing], candidates: list[str]
) -> DeletesHeldBack | str | None:
    """The same of lists that held no record at all: they prove nothing where a record exists, and bury nothing."""
    alive = {id_ for id_ in candidates[:FEW] if isinstance(ask_by_id(context, id_), str)}
    left_out, gone = _left_out(context, found, alive), len(candidates) - len(alive)
    # A few are left to a reading of a longer time: it holds other records too.
    if any(left_out) or (gone <= FEW and all(one.span for one in found)):
        return _settle(context, found, left_out)
    why = f"{gone:,} records are missing from lists that hold no record at all"
    in_transaction(context.engine, lambda connection: _take_back(connection, context, found, why))
    return DeletesHeldBack(gone, why, *_extent(context, candidates))


def _over(missing: int, gone: int, limit: int) -> str:
    return (
        f"{missing:,} records are missing from the provider's lists and at least {gone:,} are gone for "
        f"good, more than the brake allows ({limit:,})"
    )


def _settle(context: StreamContext, found: Sequence[Missing], left_out: Sequence[set[str]]) -> str | None:
    """Proves the readings, but not those that left out a record that exists; returns why not these."""
    wrong = [one for one, ids in zip(found, left_out, strict=True) if ids]
    example = min(set().union(*left_out), default="")
    reason = f"the list leaves out records that exist by their id, such as {example[:60]!r}"

    def work(connection: Connection) -> None:
        for one, ids in zip(found, left_out, strict=True):
            if not ids:
                context.ledger.verdicts.confirm(connection, one.claim.id, one.scan_id, one.reason)
        if wrong:
            _take_back(connection, context, wrong, reason)

    in_transaction(context.engine, work)
    return reason if wrong else None


def _take_back(connection: Connection, context: StreamContext, wrong: Sequence[Missing], reason: str) -> None:
    """Takes back the proof of readings that are not believed, and of all that came empty beside them."""
    for one in wrong:
        context.ledger.verdicts.doubt(connection, one.scan_id, one.span, reason)
    context.ledger.verdicts.doubt_empty(connection, reason)
    try_next_time(connection, context.ledger)


def _left_out(context: StreamContext, found: Sequence[Missing], alive: set[str]) -> list[set[str]]:
    """Of each reading, those of `alive` that it should hold, as they are stored by now: not deleted, of its range."""
    return [_still_within(context, one, alive & set(one.ids)) for one in found]


def _still_within(context: StreamContext, one: Missing, alive: set[str]) -> set[str]:
    if not alive:
        return set()
    table = TABLES[context.stream.name]
    query = select(table.external_id).where(context.holds(table), table.external_id.in_(alive))
    query = query.where(table.deleted_at.is_(None))
    if one.span is not None and table is Call:
        query = query.where(Call.started_at >= one.span.since, Call.started_at < one.span.until)
    with database_errors(), context.engine.connect() as connection:
        return set(connection.execute(query).scalars())


def _expected(context: StreamContext, span: Span | None, began_at: datetime) -> Select[str]:
    """Ids of the records that a reading begun at `began_at` should hold."""
    table = TABLES[context.stream.name]
    alive = and_(table.deleted_at.is_(None), table.vanished_at.is_(None), table.first_seen_at < began_at)
    ours = and_(context.holds(table), alive, table.scope == context.listing.scope)
    if span is None or table is not Call:
        return select(table.external_id).where(ours)
    # By time first: until the first ANALYZE the planner would rather walk through all calls of the account.
    within = select(Call.external_id, ours.label("ours")).where(
        Call.started_at >= span.since, Call.started_at < span.until
    )
    found = within.cte("within").prefix_with("MATERIALIZED")
    return select(found.c.external_id).where(found.c.ours)


def _count(context: StreamContext) -> int:
    table = TABLES[context.stream.name]
    query = select(func.count()).select_from(table)
    with database_errors(), context.engine.connect() as connection:
        return connection.execute(query.where(context.holds(table), table.vanished_at.is_(None))).scalar_one()


def _extent(context: StreamContext, ids: list[str]) -> tuple[datetime | None, datetime | None]:
    if context.stream.name is not StreamName.CALLS:
        return None, None
    among = Call.external_id == any_(literal(ids, ARRAY(Text)))
    query = select(func.min(Call.started_at), func.max(Call.started_at)).where(context.holds(Call), among)
    with database_errors(), context.engine.connect() as connection:
        since, until = connection.execute(query).one()
        return since, until


def ask_by_id(context: StreamContext, external_id: str) -> datetime | str | None:
    """When the provider was asked, by the database's clock, if it denies the record; its id if it knows it.

    What it answers is loaded. None where it cannot be asked for this record.
    """
    table, tally = TABLES[context.stream.name], Tally()
    with database_errors(), context.engine.connect() as connection:
        query = select(table.payload, func.clock_timestamp()).where(context.holds(table))
        row = connection.execute(query.where(table.external_id == external_id)).one()
        payload, now = cast("dict[str, Any]", row[0]), cast("datetime", row[1])
    path = context.stream.address(context.credentials, external_id, payload)
    if path is None:
        return None
    try:
        answer = context.client.get(path, {}, tally)
        with suppress(ValueError):
            refuse_failure(context.provider, {name: value(text) for name, text in fields(answer.text).items()})
    except RecordNotFound:
        return now
    finally:
        context.receipt.add_requests(tally.requests)
    with suppress(RecordNotFound):
        look_up(context, external_id)
    return external_id


def _mark(connection: Connection, context: StreamContext, gone: list[tuple[str, datetime]]) -> int:
    marked = [external_id for external_id, asked_at in gone if _mark_one(connection, context, external_id, asked_at)]
    place = (ENTITIES[context.stream.name], context.key["provider"], context.key["account"])
    record_changes(connection, [Change(*place, external_id, ChangeKind.DELETED) for external_id in marked])
    return len(marked)


def _mark_one(connection: Connection, context: StreamContext, external_id: str, asked_at: datetime) -> bool:
    """Whether the record was marked: not one that has come again since the provider was asked."""
    table = TABLES[context.stream.name]
    same = and_(context.holds(table), table.external_id == external_id, table.observed_at < asked_at)
    values: dict[str, Any] = {"vanished_at": func.now(), "changed_at": func.now()}
    return bool(connection.execute(update(table).where(same, table.vanished_at.is_(None)).values(**values)).rowcount)
