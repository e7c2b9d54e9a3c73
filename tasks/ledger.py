"""The ledger of windows: what is to be read, who reads it, what came of it. Truth and lock in one table.

A claim is a lease of `CLAIM` seconds, renewed with every batch, so that a killed holder's window is free soon after.
Correctness never rests on it: loading is order-free, and a window read twice is the same rows.
"""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, update

from models.tables import Window
from models.vocabulary import Origin, StreamName, Verdict, WindowState
from models.window import Span
from tasks.database import database_errors, in_transaction
from tasks.load import Counts

CLAIM = timedelta(seconds=30)
now_there = func.clock_timestamp()


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

    def row(self, origin: Origin, span: Span | None) -> dict[str, Any]:
        """A new window, open."""
        bounds = {"since": span and span.since, "until": span and span.until}
        return self.columns | bounds | {"origin": origin, "exhaustive": False}


@dataclass(frozen=True, slots=True)
class Claim:
    """A window that is ours to read."""

    id: int
    span: Span | None
    origin: Origin
    scan_id: str | None
    position: str | None
    end_position: str | None
    exhaustive: bool
    doubted: bool
    drifts: int
    began_at: datetime


@dataclass(slots=True)
class Progress:
    """What was read of a window so far."""

    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    pages: int = 0
    total_before: int | None = None
    provider_total: int | None = None
    distinct_ids: int = 0
    in_order: bool | None = None
    moved: bool = False
    head_ids: list[str] | None = None
    tail_ids: list[str] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        mine = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "counts"}
        return mine | asdict(self.counts) | {"fetched": self.counts.fetched}


class ClaimLost(Exception):
    """Another run took this window while we were away: it is theirs now."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The windows of one list, for one holder."""

    engine: Engine
    source: Source
    holder: str

    @property
    def _free(self) -> ColumnElement[bool]:
        return or_(Window.claimed_until.is_(None), Window.claimed_until < now_there, Window.claimed_by == self.holder)

    def open_windows(self, asked: Span | None) -> list[int]:
        """Ids of windows of `asked` that nobody else holds, the newest first."""
        return self._ids(asked, self._free)

    def held_windows(self, asked: Span | None) -> list[int]:
        """Ids of windows of `asked` that another run is reading."""
        return self._ids(asked, and_(Window.claimed_until >= now_there, Window.claimed_by != self.holder))

    def claim(self, window_id: int) -> Claim | None:
        """Takes a window for `CLAIM`, None where another holder was quicker."""
        statement = (
            update(Window)
            .where(Window.id == window_id, Window.state == "open", self._free)
            .values(
                claimed_by=self.holder,
                claimed_until=now_there + CLAIM,
                attempts=Window.attempts + 1,
                started_at=now_there,
            )
            .returning(*Window.__table__.columns)
        )
        row = in_transaction(self.engine, lambda connection: connection.execute(statement).one_or_none())
        if row is None:
            return None
        span = Span(row.since, row.until) if row.since else None
        return Claim(
            window_id,
            span,
            Origin(row.origin),
            row.scan_id,
            row.position,
            row.end_position,
            row.exhaustive,
            row.doubted,
            row.drifts,
            row.started_at,
        )

    def record(self, connection: Connection, claim: Claim, progress: Progress, **more: Any) -> None:
        """Notes progress and renews the claim, in the transaction of the batch. Raises `ClaimLost`."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder, Window.state == "open")
            .values(claimed_until=now_there + CLAIM, **progress.columns, **more)
        )
        if not connection.execute(statement).rowcount:
            raise ClaimLost

    def finish(
        self, connection: Connection, claim: Claim, progress: Progress, verdict: Verdict, reason: str | None
    ) -> None:
        """Closes the window. Raises `ClaimLost`."""
        values = {"state": WindowState.DONE, "verdict": verdict, "reason": reason, "finished_at": now_there}
        self.record(connection, claim, progress, **values)

    def split(self, claim: Claim, progress: Progress, parts: list[Span], drifts: int, reason: str) -> None:
        """Gives the window up for narrower ones; what was read of it stays loaded."""
        verdict = Verdict.DRIFTED if drifts > claim.drifts else None
        given_up = {"state": WindowState.SPLIT, "verdict": verdict, "reason": reason, "finished_at": now_there}
        rows = [self.source.row(claim.origin, part) | {"drifts": drifts} for part in parts]

        def work(connection: Connection) -> None:
            self.record(connection, claim, progress, **given_up)
            connection.execute(insert(Window), rows)

        in_transaction(self.engine, work)

    def release(self, claim: Claim, reason: str) -> None:
        """Leaves the window open for anybody, with what went wrong."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder)
            .values(claimed_by=None, claimed_until=None, reason=reason)
        )
        in_transaction(self.engine, lambda connection: connection.execute(statement))

    def _ids(self, asked: Span | None, condition: ColumnElement[bool]) -> list[int]:
        query = select(Window.id).where(self.source.matches, Window.state == "open", condition)
        if asked is not None:
            query = query.where(Window.since < asked.until, Window.until > asked.since)
        with database_errors(), self.engine.connect() as connection:
            return list(connection.execute(query.order_by(Window.since.desc(), Window.id)).scalars())
