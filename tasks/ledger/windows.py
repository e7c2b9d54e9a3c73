"""The ledger of windows: what is to be read, who reads it, what came of it. Truth and lock in one table.

A claim is a lease of `CLAIM` seconds, renewed with every batch, so that a killed holder's window is free soon after.
Correctness never rests on it: loading is order-free, and a window read twice is the same rows.
"""

from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, true, update

from models.arrivals import Counts
from models.claim import Claim, Part
from models.coverage import Span
from models.errors import ClaimLost
from models.proof import Proof
from models.tables.ledger import ScanPart, Window
from models.vocabulary import Origin, StreamName, Verdict, WindowState
from tasks.database import database_errors, in_transaction
from tasks.ledger.verdicts import Verdicts, overlaps

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
    def key(self) -> dict[str, str]:
        return {"provider": self.provider, "account": self.account}

    @property
    def matches(self) -> ColumnElement[bool]:
        return and_(*(getattr(Window, name) == value for name, value in self.columns.items()))

    def row(self, origin: Origin, span: Span | None) -> dict[str, Any]:
        """A new window, open."""
        bounds = {"since": span and span.since, "until": span and span.until}
        return self.columns | bounds | {"origin": origin}


@dataclass(slots=True)
class Progress:
    """What was read of a window so far."""

    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    pages: int = 0
    total_before: int | None = None
    provider_total: int | None = None
    says_more: bool = False
    distinct_ids: int = 0
    moved: bool = False
    in_order: bool | None = None
    """Of a part of a scan, as are the following."""
    head_ids: list[str] | None = None
    tail_ids: list[str] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """Of the window's own row."""
        aside = {"counts", *PART_PROGRESS}
        mine = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in aside}
        return mine | asdict(self.counts) | {"fetched": self.counts.fetched}

    @property
    def part_columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PART_PROGRESS}


PART_PROGRESS = ("in_order", "head_ids", "tail_ids")


class OpenWindow(NamedTuple):
    """A window that is still to be read; a part of a scan has no span."""

    id: int
    span: Span | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The windows of one list, for one holder."""

    engine: Engine
    source: Source
    holder: str

    @property
    def _free(self) -> ColumnElement[bool]:
        return or_(Window.claimed_until.is_(None), Window.claimed_until < now_there, Window.claimed_by == self.holder)

    @property
    def verdicts(self) -> Verdicts:
        return Verdicts(self.source.matches, self.holder)

    def open_windows(self, asked: Span | None) -> list[OpenWindow]:
        """Windows of `asked` that no other run holds, the newest first."""
        return self._found(asked, self._free)

    def held_windows(self, asked: Span | None) -> list[OpenWindow]:
        """Windows of `asked` that another run is reading."""
        return self._found(asked, and_(Window.claimed_until >= now_there, Window.claimed_by != self.holder))

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
        parts = select(*ScanPart.__table__.columns).where(ScanPart.window_id == window_id)

        def work(connection: Connection) -> tuple[Any, Any]:
            row = connection.execute(statement).one_or_none()
            part = connection.execute(parts).one_or_none() if row and row.scan_id else None
            return row, part

        row, part = in_transaction(self.engine, work)
        if row is None:
            return None
        span = Span(row.since, row.until) if row.since else None
        return Claim(window_id, span, Origin(row.origin), row.drifts, row.started_at, part and part_of(part))

    def record(self, connection: Connection, claim: Claim, progress: Progress, **more: Any) -> None:
        """Notes progress and renews the claim, in the transaction of the batch. Raises `ClaimLost`."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder, Window.state == "open")
            .values(claimed_until=now_there + CLAIM, **progress.columns, **more)
        )
        if not connection.execute(statement).rowcount:
            raise ClaimLost

    def finish(self, connection: Connection, claim: Claim, progress: Progress, proof: Proof) -> None:
        """Closes the window. Raises `ClaimLost`."""
        verdict = {"verdict": proof.verdict, "reason": proof.reason}
        self.record(connection, claim, progress, state=WindowState.DONE, finished_at=now_there, **verdict)
        if claim.part:
            its = ScanPart.window_id == claim.id
            connection.execute(update(ScanPart).where(its).values(**progress.part_columns))

    def open_part(self, connection: Connection, part: Part, window: dict[str, Any]) -> int:
        """Opens a window that is a part of a scan; `window` is its own row. Returns its id."""
        opened = insert(Window).values(**window, scan_id=part.scan_id).returning(Window.id)
        id_ = connection.execute(opened).scalar_one()
        connection.execute(insert(ScanPart).values(window_id=id_, **part.row))
        return id_

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
        """Leaves the window open for any run, with what went wrong."""
        statement = (
            update(Window)
            .where(Window.id == claim.id, Window.claimed_by == self.holder)
            .values(claimed_by=None, claimed_until=None, reason=reason)
        )
        in_transaction(self.engine, lambda connection: connection.execute(statement))

    def _found(self, asked: Span | None, condition: ColumnElement[bool]) -> list[OpenWindow]:
        which = and_(self.source.matches, Window.state == "open", condition, overlaps(asked) if asked else true())
        query = select(Window.id, Window.since, Window.until).where(which)
        with database_errors(), self.engine.connect() as connection:
            rows = connection.execute(query.order_by(Window.since.desc(), Window.id)).all()
        return [OpenWindow(row.id, Span(row.since, row.until) if row.since else None) for row in rows]


def part_of(row: Any) -> Part:
    """The part that a row of `scan_part` says."""
    return Part(**{one.name: getattr(row, one.name) for one in fields(Part)})
