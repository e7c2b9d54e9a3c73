"""The records of one window on their way into the tables, each counted exactly once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

from models.errors import ContractBroken, RecordNotFound
from models.json_text import page, value
from models.paging import Guard, Page, Position
from models.provider import Listing, Params, Stream
from models.rows import CallRow, Rejected
from models.window import EDGE, Span
from tasks.beside import prepare
from tasks.client import Client, Tally
from tasks.database import database_errors, in_transaction
from tasks.ledger import Ledger
from tasks.line import Line
from tasks.load import Counts, Known, Loaded, known_records, load, register, resolve, set_aside
from tasks.reader import Arrival, Reader, SetAside

T = TypeVar("T")

MOST_REGISTERED = 100_000
"""Numbers that a run remembers: about 10 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """All that reading one list needs; shared by the threads of a run."""

    engine: Engine
    client: Client
    stream: Stream
    listing: Listing
    filters: Params
    reader: Reader
    ledger: Ledger
    line: Line
    registered: set[str]
    """Telephone numbers that are in the database for good, since none is ever deleted: of all lists of a run."""

    @property
    def key(self) -> dict[str, str]:
        return self.client.account.key

    def params(self, bounds: Span | None) -> Params:
        """The query of the list for a stretch of time, without its paging."""
        times: Params = {}
        if self.stream.time_filter and bounds:
            times[self.stream.time_filter.since] = _iso(bounds.since - EDGE)
            times[self.stream.time_filter.until] = _iso(bounds.until + EDGE)
        return self.listing.params | self.filters | times

    def load(self, batch: "Batch", work: Callable[[Connection], T]) -> T:
        """Runs `work`, which writes the batch, in a transaction of its own."""
        numbers = register(self.engine, batch.loaded, self.registered)
        done = in_transaction(self.engine, work)
        if len(self.registered) > MOST_REGISTERED:
            self.registered.clear()
        self.registered.update(numbers)
        return done


@dataclass(slots=True)
class Batch:
    """What becomes of a handful of records: counted where that is clear, else to be loaded or set aside."""

    unchanged: int = 0
    duplicate: int = 0
    loaded: list[Loaded] = field(default_factory=list)
    rejected: list[SetAside] = field(default_factory=list)
    undecided: set[str] = field(default_factory=set)
    """Ids of which the load decides whether they were inserted, updated or unchanged."""
    known: dict[str, Known] = field(default_factory=dict)
    readable: set[str] = field(default_factory=set)

    def take(self, one: Loaded, *, is_first: bool) -> None:
        """A record to be loaded, and whether this window reads it for the first time."""
        self.loaded.append(one)
        self.readable.add(one.arrival.external_id)
        if is_first:
            self.undecided.add(one.arrival.external_id)
        else:
            self.duplicate += 1

    def write(self, connection: Connection, desk: Desk) -> Counts:
        """Loads and sets aside, in the caller's transaction; returns the completed counts."""
        stream, key = desk.stream.name, desk.key
        written, refused = load(connection, stream, self.loaded, self.known)
        set_aside(connection, stream, key, [*self.rejected, *refused])
        resolve(connection, stream, key, sorted(self.readable - {one.external_id for one in refused}))
        return self._settled(written, refused)

    def _settled(self, written: dict[str, bool], refused: list[SetAside]) -> Counts:
        gone = {one.external_id for one in refused}
        fates = [written.get(id_) for id_ in self.undecided - gone]
        return Counts(
            inserted=fates.count(True),
            updated=fates.count(False),
            unchanged=self.unchanged + fates.count(None),
            duplicate=self.duplicate,
            rejected=len(self.rejected) + len(self.undecided & gone),
            deleted=len(self._newly_deleted() & written.keys()),
        )

    def _newly_deleted(self) -> set[str]:
        told = {one.arrival.external_id for one in self.loaded if one.prepared.is_deleted}
        return {id_ for id_ in told if id_ not in self.known or not self.known[id_].is_deleted}


class News(NamedTuple):
    """A record that has to be read."""

    arrival: Arrival
    is_first: bool
    """Not so where this window has read another version of it."""


@dataclass(slots=True)
class Intake:
    """Sorts arriving records: known ones are only counted, new and changed ones are read."""

    desk: Desk
    tally: Tally
    bounds: Span | None = None
    """Records outside are skipped and not counted: the provider could not filter by time."""
    seen: dict[str, bytes] = field(default_factory=dict)
    """Digests by id, of what this window has read."""

    def sort(self, arrivals: list[Arrival | SetAside]) -> Batch:
        whole = [one for one in arrivals if isinstance(one, Arrival)]
        batch = Batch(known=self._known([one.external_id for one in whole]))
        batch.rejected += [one for one in arrivals if isinstance(one, SetAside)]
        news = [one for arrival in whole if self._is_asked_for(arrival) and (one := self._news(arrival, batch))]
        self._read(news, batch)
        return batch

    def _known(self, ids: list[str]) -> dict[str, Known]:
        new = [id_ for id_ in ids if id_ not in self.seen]
        if not new:
            return {}
        with database_errors(), self.desk.engine.connect() as connection:
            return known_records(connection, self.desk.stream.name, self.desk.key, new)

    def _news(self, arrival: Arrival, batch: Batch) -> News | None:
        """What has to be read of it; counts it where that is nothing."""
        earlier, stored = self.seen.get(arrival.external_id), batch.known.get(arrival.external_id)
        known, other = _told_before(stored, by_id=arrival.by_id)
        self.seen[arrival.external_id] = arrival.digest
        if earlier == arrival.digest:
            batch.duplicate += 1
        elif earlier is None and known == arrival.digest:
            batch.unchanged += 1
            batch.readable.add(arrival.external_id)
        else:
            return News(arrival if other is None else arrival._replace(other_digest=other), is_first=earlier is None)
        return None

    def _read(self, news: list[News], batch: Batch) -> None:
        arrivals = [self._with_details(one.arrival) for one in news]
        readings = prepare(self.desk.reader, self.desk.key, arrivals)
        for one, arrival, prepared in zip(news, arrivals, readings, strict=True):
            if isinstance(prepared, str):
                batch.rejected.append(arrival.refused(prepared))
            else:
                batch.take(Loaded(arrival, prepared), is_first=one.is_first)

    def _with_details(self, arrival: Arrival) -> Arrival:
        details = self.desk.stream.details
        if details is None:
            return arrival
        try:
            fields = self.desk.reader.parse(arrival.text)
        except Rejected:
            return arrival
        path = details.path(self.desk.client.account.credentials, fields)
        if path is None:
            return arrival
        try:
            return arrival._replace(details=[value(record) for record in self._details(path)])
        except RecordNotFound:
            return arrival  # deleted since the list was read; the next scan will tell

    def _details(self, path: str) -> Iterator[str]:
        details = self.desk.stream.details
        assert details is not None
        position: Position | None = details.paging.start
        guard = Guard()
        while position is not None:
            guard.admit(position)
            answer = self.desk.client.get(path, details.paging.params(position), self.tally)
            envelope, records = open_page(answer.text, details.items)
            yield from records
            position = details.paging.following(position, Page(envelope, len(records), len(records)))

    def _is_asked_for(self, arrival: Arrival) -> bool:
        if self.bounds is None:
            return True
        try:
            row = self.desk.reader.row(arrival)
        except Rejected:
            return True
        return not isinstance(row, CallRow) or self.bounds.since <= row.started_at < self.bounds.until


def _told_before(stored: Known | None, *, by_id: bool) -> tuple[bytes | None, bytes | None]:
    """What the same kind of answer said of a record before, and what the other kind said."""
    if stored is None:
        return None, None
    return (stored.lookup_digest, stored.digest) if by_id else (stored.digest, stored.lookup_digest)


def open_page(body: str, items_key: str) -> tuple[dict[str, Any], list[str]]:
    """A page's envelope without its records, and the records as they stand. Raises `ContractBroken`."""
    try:
        parts, records = page(body, items_key)
    except ValueError as error:
        raise ContractBroken(f"a list answered something else than a JSON object with a list in it ({error})") from None
    if records is None:
        raise ContractBroken(f"a list answered without {items_key!r}; it has {', '.join(sorted(parts)) or 'nothing'}")
    return {name: value(text) for name, text in parts.items()}, records


def identified(desk: Desk, record: str, observed_at: datetime) -> Arrival | SetAside:
    digest = desk.reader.digest(record)
    try:
        return Arrival(desk.reader.identify(record), record, digest, observed_at, desk.listing.scope)
    except Rejected as reason:
        return SetAside(None, record, digest, str(reason))


def _iso(moment: datetime) -> str:
    """UTC with milliseconds and `Z`, as every vendor's examples have it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
