"""Records that a provider no longer holds: found by proven scans, confirmed by id, held back by a brake.

A tombstone needs all of it: a proven reading of the same scope did not hold the record, we held it before that reading
began, and the provider answers 404 or 410 for it by id.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
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

from models.errors import RecordNotFound
from models.tables import Call, Contact, Sighting
from models.vocabulary import StreamName
from models.window import Span
from tasks.client import Tally
from tasks.database import database_errors, in_transaction
from tasks.intake import Desk
from tasks.load import Counts
from tasks.scan import forget

TABLES: dict[StreamName, type[Call | Contact]] = {StreamName.CALLS: Call, StreamName.CONTACTS: Contact}


@dataclass(frozen=True, slots=True)
class Brake:
    """A run that would bury more than `rows` and more than `share` of what is held buries none."""

    rows: int
    share: float

    def limit(self, held: int) -> int:
        return max(self.rows, int(self.share * held))


@dataclass(frozen=True, slots=True)
class Held:
    """What the brake had to say."""

    gone: int
    missing: int
    limit: int
    since: datetime | None = None
    until: datetime | None = None
    """When the first and the last of the missing calls began."""

    @property
    def columns(self) -> dict[str, Any]:
        """As the receipt keeps it."""
        return {"held_back": self.missing, "held_since": self.since, "held_until": self.until}

    def __str__(self) -> str:
        return (
            f"{self.missing:,} records are missing from the provider's lists and at least {self.gone:,} are gone for "
            f"good, more than the brake allows ({self.limit:,}): none was marked as deleted. If that is right, run "
            "again with --allow-deletes."
        )


def missing(desk: Desk, span: Span | None, ids: set[str], began_at: datetime) -> list[str]:
    """Records of `span` that were held before a proven reading began, and that it did not hold."""
    with database_errors(), desk.engine.connect() as connection:
        held = list(connection.execute(_expected(desk, span, began_at)).scalars())
    return [id_ for id_ in held if id_ not in ids]


def missing_from_scan(desk: Desk, span: Span | None, scan_id: str, began_at: datetime) -> list[str]:
    """The same for a scan that was read in parts; forgets its sightings."""
    expected = _expected(desk, span, began_at).cte("expected")
    seen = select(Sighting.external_id).where(Sighting.scan_id == scan_id, Sighting.external_id == expected.c[0])
    query = select(expected.c[0]).where(~seen.exists())

    def work(connection: Connection) -> list[str]:
        found = list(connection.execute(query).scalars())
        forget(connection, scan_id)
        return found

    return in_transaction(desk.engine, work)


def bury(desk: Desk, candidates: list[str], brake: Brake, *, allow: bool) -> Held | None:
    """Marks as deleted what the provider denies by id; returns what the brake held back, if it did."""
    limit, gone = brake.limit(_count_held(desk)), list[tuple[str, datetime]]()
    for external_id in candidates:
        if (asked_at := _denied_at(desk, external_id)) is not None:
            gone.append((external_id, asked_at))
        if len(gone) > limit and not allow:
            return Held(len(gone), len(candidates), limit, *_extent(desk, candidates))
    buried = in_transaction(desk.engine, lambda connection: _mark(connection, desk, gone))
    desk.line.add(Counts(deleted=buried))
    return None


def _expected(desk: Desk, span: Span | None, began_at: datetime) -> Select[tuple[str]]:
    """Ids of the records that a reading begun at `began_at` should hold."""
    table = TABLES[desk.stream.name]
    alive = and_(table.deleted_at.is_(None), table.vanished_at.is_(None), table.first_seen_at < began_at)
    ours = and_(_ours(desk), alive, table.scope == desk.listing.scope)
    if span is None or table is not Call:
        return select(table.external_id).where(ours)
    # By time first: until the first ANALYZE the planner would rather walk through all calls of the account.
    within = select(Call.external_id, ours.label("ours")).where(
        Call.started_at >= span.since, Call.started_at < span.until
    )
    found = within.cte("within").prefix_with("MATERIALIZED")
    return select(found.c.external_id).where(found.c.ours)


def _ours(desk: Desk) -> ColumnElement[bool]:
    table = TABLES[desk.stream.name]
    return and_(table.provider == desk.key["provider"], table.account == desk.key["account"])


def _count_held(desk: Desk) -> int:
    table = TABLES[desk.stream.name]
    query = select(func.count()).select_from(table)
    with database_errors(), desk.engine.connect() as connection:
        return connection.execute(query.where(_ours(desk), table.vanished_at.is_(None))).scalar_one()


def _extent(desk: Desk, ids: list[str]) -> tuple[datetime | None, datetime | None]:
    if desk.stream.name is not StreamName.CALLS:
        return None, None
    among = Call.external_id == any_(literal(ids, ARRAY(Text)))
    query = select(func.min(Call.started_at), func.max(Call.started_at)).where(_ours(desk), among)
    with database_errors(), desk.engine.connect() as connection:
        since, until = connection.execute(query).one()
        return since, until


def _denied_at(desk: Desk, external_id: str) -> datetime | None:
    """When the provider was asked, by the database's clock, if it says that there is no such record."""
    table, tally = TABLES[desk.stream.name], Tally()
    with database_errors(), desk.engine.connect() as connection:
        query = select(table.payload, func.clock_timestamp()).where(_ours(desk), table.external_id == external_id)
        row = connection.execute(query).one()
        payload, now = cast("dict[str, Any]", row[0]), cast("datetime", row[1])
    path = desk.stream.address(desk.client.account.credentials, external_id, payload)
    if path is None:
        return None
    try:
        desk.client.get(path, {}, tally)
    except RecordNotFound:
        return now
    finally:
        desk.line.add_requests(tally.requests)
    return None


def _mark(connection: Connection, desk: Desk, gone: list[tuple[str, datetime]]) -> int:
    table, buried = TABLES[desk.stream.name], 0
    for external_id, asked_at in gone:
        same = and_(_ours(desk), table.external_id == external_id, table.observed_at < asked_at)
        values: dict[str, Any] = {"vanished_at": func.now(), "changed_at": func.now()}
        done = connection.execute(update(table).where(same, table.vanished_at.is_(None)).values(**values))
        buried += done.rowcount
    return buried
