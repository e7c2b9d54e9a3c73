"""The ledger of windows: what is to be read, who reads it, what came of it. Truth and lock in one table.

A claim is a lease of `CLAIM` seconds, renewed with every batch, so that a killed holder's window is free soon after.
Correctness never rests on it: loading is order-free, and a window read twice is the same rows.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.tables import SyncStream, Window
from models.vocabulary import Origin, StreamName, Verdict, WindowState
from models.window import Reading, Span, cut, needed, without
from tasks.database import database_errors, in_transaction
from tasks.load import Counts

CLAIM = timedelta(seconds=30)
EXHAUSTIVE_EVERY = timedelta(hours=20)
"""Scans that may stop early rest on an order that a whole scan confirms about once a day."""

IN_DOUBT = "the provider counted"
"""Begins the reason of a scan whose total did not come true; the next one reads each part twice instead."""

PLANNING_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
now_there = func.clock_timestamp()
Then = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What a window belongs to: one list of one stream of one account, in one scope."""

    provider: str
    account: str
    stream: StreamName
    scope: str
    listing: str
    filtered: bool

    @property
    def columns(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def matches(self) -> ColumnElement[bool]:
        return and_(*(getattr(Window, name) == value for name, value in self.columns.items()))


@dataclass(frozen=True, slots=True)
class Claim:
    """A window that is ours to read."""

    id: int
    span: Span | None
    scan_id: str | None
    position: str | None
    exhaustive: bool
    began_at: datetime


@dataclass(slots=True)
class Progress:
    """What was read of a window so far."""

    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    pages: int = 0
    provider_total: int | None = None
    distinct_ids: int = 0
    in_order: bool | None = None

    @property
    def columns(self) -> dict[str, Any]:
        mine = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "counts"}
        return mine | asdict(self.counts) | {"fetched": self.counts.fetched}


class ClaimLost(Exception):
    """Another run took this window while we were away: it is theirs now."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One list's part of the ledger, for one holder."""

    engine: Engine
    source: Source
    holder: str

    def register(self) -> None:
        """Makes the stream known to `v1.sync_status`, under the scope it is read in."""
        values = {name: getattr(self.source, name) for name in ("provider", "account", "stream", "scope")}
        statement = upsert(SyncStream).values(**values)
        known = statement.on_conflict_do_update(
            index_elements=["provider", "account", "stream"],
            set_={"scope": self.source.scope},
            where=SyncStream.scope != self.source.scope,
        )
        in_transaction(self.engine, lambda connection: connection.execute(known))

    def earliest(self, origin: Origin | None = None) -> datetime | None:
        """The earliest time ever asked for, of live windows only where `origin` says so."""
        query = select(func.min(Window.since)).where(self.source.matches)
        query = query if origin is None else query.where(Window.origin == origin)
        with database_errors(), self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def missing(self, asked: Span, lookback: timedelta, *, full: bool = False) -> list[Span]:
        """What `plan_spans` would open now, as windows."""
        with database_errors(), self.engine.connect() as connection:
            now: datetime = connection.execute(select(now_there)).scalar_one()
            return self._missing(connection, asked, lookback, now, full=full)

    def _missing(
        self, connection: Connection, asked: Span, lookback: timedelta, now: datetime, *, full: bool
    ) -> list[Span]:
        known, waiting = self._readings(connection, asked), self._open_spans(connection)
        return cut(without(needed(asked, known, now, lookback, full=full), waiting), now, lookback)

    def plan_spans(self, asked: Span, origin: Origin, lookback: timedelta, *, full: bool) -> None:
        """Opens the windows of `asked` that are to be read, beside those that are open already."""

        def work(connection: Connection) -> None:
            now = self._lock(connection)
            spans = self._missing(connection, asked, lookback, now, full=full)
            self._replace_unproven(connection, spans)
            if rows := [self._row(origin, span) for span in spans]:
                connection.execute(insert(Window), rows)

        in_transaction(self.engine, work)

    def plan_scan(self, asked: Span | None, origin: Origin, lookback: timedelta, start: str, *, full: bool) -> None:
        """Opens the first window of a scan of a list that has no time filter, unless one like it is under way.

        An unfinished scan of the same range goes on where it stopped; one of the live stream is given up for a newer.
        """

        def work(connection: Connection) -> None:
            now, alike = self._lock(connection), self._alike(asked, origin)
            if self._goes_on(connection, alike, asked, full=full):
                return
            exhaustive = full or asked is None or self._order_is_unsure(connection)
            span = asked if exhaustive or asked is None else self._from_needed(connection, asked, now, lookback)
            if span is None and asked is not None:
                return
            given_up = {"state": WindowState.SPLIT, "reason": "given up for a newer scan"}
            connection.execute(update(Window).where(alike).values(**given_up))
            self._replace_unproven(connection, [span] if span else None)
            row = self._row(origin, span) | {"scan_id": uuid4().hex, "position": start, "exhaustive": exhaustive}
            connection.execute(insert(Window), [row])

        in_transaction(self.engine, work)

    def open_windows(self, asked: Span | None) -> list[int]:
        """Ids of windows of `asked` that nobody else holds, the newest first."""
        free = or_(Window.claimed_until.is_(None), Window.claimed_until < now_there, Window.claimed_by == self.holder)
        return self._ids(asked, free)

    def held_windows(self, asked: Span | None) -> list[int]:
        """Ids of windows of `asked` that another run is reading."""
        return self._ids(asked, and_(Window.claimed_until >= now_there, Window.claimed_by != self.holder))

    def claim(self, window_id: int) -> Claim | None:
        """Takes a window for `CLAIM`, None where another holder was quicker."""
        free = or_(Window.claimed_until.is_(None), Window.claimed_until < now_there, Window.claimed_by == self.holder)
        statement = (
            update(Window)
            .where(Window.id == window_id, Window.state == "open", free)
            .values(
                claimed_by=self.holder,
                claimed_until=now_there + CLAIM,
                attempts=Window.attempts + 1,
                started_at=now_there,
            )
            .returning(
                Window.since, Window.until, Window.scan_id, Window.position, Window.exhaustive, Window.started_at
            )
        )
        row = in_transaction(self.engine, lambda connection: connection.execute(statement).one_or_none())
        if row is None:
            return None
        span = Span(row.since, row.until) if row.since else None
        return Claim(window_id, span, row.scan_id, row.position, row.exhaustive, row.started_at)

    def record(self, connection: Connection, claim: Claim, progress: Progress, **more: Any) -> None:
        """Notes progress and renews the claim, in the transaction of the batch. Raises `ClaimLost`."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder, Window.state == "open")
            .values(claimed_until=now_there + CLAIM, **progress.columns, **more)
        )
        if not connection.execute(statement).rowcount:
            raise ClaimLost

    def finish(self, claim: Claim, progress: Progress, verdict: Verdict, reason: str | None, then: Then) -> None:
        """Closes the window, with whatever else belongs in that transaction."""
        values = {"state": WindowState.DONE, "verdict": verdict, "reason": reason, "finished_at": now_there}

        def work(connection: Connection) -> None:
            self.record(connection, claim, progress, **values)
            then(connection)

        in_transaction(self.engine, work)

    def split(self, claim: Claim, progress: Progress, parts: list[Span], reason: str) -> None:
        """Gives the window up for narrower ones; what was read of it stays loaded."""

        def work(connection: Connection) -> None:
            self.record(connection, claim, progress, state=WindowState.SPLIT, reason=reason, finished_at=now_there)
            rows = [self._row(self._origin(connection, claim), part) for part in parts]
            connection.execute(insert(Window), rows)

        in_transaction(self.engine, work)

    def continue_scan(self, connection: Connection, claim: Claim, position: str) -> None:
        """Opens the window of a scan that follows this one, in the transaction that finishes this one."""
        row = self._row(self._origin(connection, claim), claim.span)
        following = {"scan_id": claim.scan_id, "position": position, "exhaustive": claim.exhaustive}
        connection.execute(insert(Window), [row | following])

    def proven_scan(self, claim: Claim) -> datetime | None:
        """When the scan began, if it is at its end and every part of it is proven."""
        whole = func.bool_and(and_(Window.state == "done", Window.verdict == Verdict.PROVEN, Window.exhaustive))
        query = select(func.min(Window.started_at)).where(self.source.matches, Window.scan_id == claim.scan_id)
        with database_errors(), self.engine.connect() as connection:
            return connection.execute(query.having(whole)).scalar()

    def is_in_doubt(self, claim: Claim) -> bool:
        """Whether the scan before this one did not come to the total that the provider told."""
        query = (
            select(Window.reason)
            .where(self.source.matches, Window.scan_id.is_not(None), Window.scan_id != claim.scan_id)
            .order_by(Window.finished_at.desc().nulls_last())
            .limit(1)
        )
        with database_errors(), self.engine.connect() as connection:
            reason = connection.execute(query).scalar()
        return reason is not None and (IN_DOUBT in reason)

    def scan_positions(self, claim: Claim) -> set[str | None]:
        """Where the parts of the scan began."""
        query = select(Window.position).where(self.source.matches, Window.scan_id == claim.scan_id)
        with database_errors(), self.engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def judge_scan(self, claim: Claim, verdict: Verdict, reason: str | None) -> None:
        """The verdict of the whole scan, where only its last window can know it."""
        windows = update(Window).where(self.source.matches, Window.scan_id == claim.scan_id, Window.state == "done")
        statement = windows.values(verdict=verdict, reason=reason)
        in_transaction(self.engine, lambda connection: connection.execute(statement))

    def release(self, claim: Claim, reason: str) -> None:
        """Leaves the window open for anybody, with what went wrong."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder)
            .values(claimed_by=None, claimed_until=None, reason=reason)
        )
        in_transaction(self.engine, lambda connection: connection.execute(statement))

    def _lock(self, connection: Connection) -> datetime:
        connection.execute(PLANNING_LOCK, {"name": "callweave:" + ":".join(map(str, self.source.columns.values()))})
        now: datetime = connection.execute(select(now_there)).scalar_one()
        return now

    def _row(self, origin: Origin, span: Span | None) -> dict[str, Any]:
        bounds = {"since": span and span.since, "until": span and span.until}
        return self.source.columns | bounds | {"origin": origin, "exhaustive": False}

    def _origin(self, connection: Connection, claim: Claim) -> Origin:
        return Origin(connection.execute(select(Window.origin).where(Window.id == claim.id)).scalar_one())

    def _ids(self, asked: Span | None, condition: ColumnElement[bool]) -> list[int]:
        query = select(Window.id).where(self.source.matches, Window.state == "open", condition)
        if asked is not None:
            query = query.where(Window.since < asked.until, Window.until > asked.since)
        with database_errors(), self.engine.connect() as connection:
            return list(connection.execute(query.order_by(Window.since.desc(), Window.id)).scalars())

    def _readings(self, connection: Connection, asked: Span) -> list[Reading]:
        """Proven windows that touch `asked`, each scan as one; what moved too much to be proven counts as not read."""
        group = func.coalesce(Window.scan_id, func.cast(Window.id, Window.scan_id.type))
        query = (
            select(func.min(Window.since), func.max(Window.until), func.max(Window.finished_at))
            .where(self.source.matches, Window.since < asked.until, Window.until > asked.since)
            .where(or_(Window.state == "done", Window.scan_id.is_not(None)))
            .group_by(group)
            .having(func.bool_and(and_(Window.state == "done", Window.verdict == Verdict.PROVEN)))
        )
        rows = cast("list[tuple[datetime, datetime, datetime]]", connection.execute(query).all())
        return [Reading(Span(since, until), finished_at) for since, until, finished_at in rows]

    def _open_spans(self, connection: Connection) -> list[Span]:
        query = select(Window.since, Window.until).where(self.source.matches, Window.state == "open")
        rows = cast("list[tuple[datetime, datetime]]", connection.execute(query).all())
        return [Span(since, until) for since, until in rows]

    def _replace_unproven(self, connection: Connection, spans: list[Span] | None) -> None:
        """Windows that were read and not proven make way for those that read the same again."""
        unproven = and_(self.source.matches, Window.state == "done", Window.verdict != Verdict.PROVEN)
        again = {"state": WindowState.SPLIT, "reason": "read again: " + func.coalesce(Window.reason, "")}
        if spans is None:
            connection.execute(update(Window).where(unproven).values(**again))
        for span in spans or ():
            inside = and_(unproven, Window.since >= span.since, Window.until <= span.until)
            connection.execute(update(Window).where(inside).values(**again))

    def _alike(self, asked: Span | None, origin: Origin) -> ColumnElement[bool]:
        """Open windows of scans that this one would join or replace: the live stream's, or of the very same range."""
        alike = and_(self.source.matches, Window.state == "open", Window.origin == origin)
        if origin is Origin.LIVE or asked is None:
            return alike
        return and_(alike, Window.since == asked.since, Window.until == asked.until)

    def _goes_on(self, connection: Connection, alike: ColumnElement[bool], asked: Span | None, *, full: bool) -> bool:
        """Whether a scan is under way that this run should join or take up."""
        query = select(Window.since, Window.until, Window.claimed_until > now_there).where(alike)
        for since, until, held in connection.execute(query):
            same = asked is not None and (since, until) == (asked.since, asked.until)
            if held or (same and not full):
                return True
        return False

    def _order_is_unsure(self, connection: Connection) -> bool:
        """Whether the list's order went unconfirmed for a day, or was found wanting."""
        query = (
            select(func.bool_and(func.coalesce(Window.in_order, True)))
            .where(self.source.matches, Window.exhaustive, Window.finished_at > now_there - EXHAUSTIVE_EVERY)
            .group_by(Window.scan_id)
            .having(func.bool_and(Window.state == "done"))
        )
        confirmed = list(connection.execute(query).scalars())
        return not (confirmed and all(confirmed))

    def _from_needed(self, connection: Connection, asked: Span, now: datetime, lookback: timedelta) -> Span | None:
        """The newest stretch that holds all that is needed: such a list is read from its top."""
        spans = needed(asked, self._readings(connection, asked), now, lookback)
        return Span(spans[0].since, asked.until) if spans else None
