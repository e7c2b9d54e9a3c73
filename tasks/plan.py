"""Planning: which windows of a list a run opens, beside those that are open already.

Planning alone takes a lock, for the length of one short transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.paging import Paging
from models.tables import SyncStream, Window
from models.vocabulary import Origin, Verdict, WindowState
from models.window import Reading, Span, cut, needed, settled, without
from tasks.database import database_errors, in_transaction, lock
from tasks.ledger import Source, now_there
from tasks.scan import forget, new_scan

EXHAUSTIVE_EVERY = timedelta(hours=20)
"""Scans that may stop early rest on an order that a whole scan confirms about once a day."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Opens windows of one list."""

    engine: Engine
    source: Source
    lookback: timedelta

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

    def missing(self, asked: Span, *, full: bool = False) -> list[Span]:
        """What `plan_spans` would open now, as windows."""
        with database_errors(), self.engine.connect() as connection:
            now: datetime = connection.execute(select(now_there)).scalar_one()
            return self._missing(connection, asked, now, full=full)

    def _missing(self, connection: Connection, asked: Span, now: datetime, *, full: bool) -> list[Span]:
        spans = needed(asked, self._readings(connection, asked), now, self.lookback, full=full)
        return cut(without(spans, self._open_spans(connection)), now, self.lookback)

    def plan_spans(self, asked: Span, origin: Origin, *, full: bool) -> None:
        """Opens the windows of `asked` that are to be read, beside those that are open already."""

        def work(connection: Connection) -> None:
            now = self._lock(connection)
            spans = self._missing(connection, asked, now, full=full)
            self._replace_unproven(connection, spans)
            if rows := [self.source.row(origin, span) for span in spans]:
                connection.execute(insert(Window), rows)

        in_transaction(self.engine, work)

    def plan_scan(self, asked: Span | None, origin: Origin, paging: Paging, *, full: bool) -> None:
        """Opens the first window of a scan of a list that has no time filter, unless one like it is under way.

        Such a list is read from its top; to its end where that is needed, or its order is to be confirmed.
        An unfinished scan of the same range goes on where it stopped; one of the live stream is given up for a newer.
        """

        def work(connection: Connection) -> None:
            now, alike = self._lock(connection), self._alike(asked, origin)
            if self._goes_on(connection, alike, asked, full=full):
                return
            span, exhaustive = asked, full or asked is None or self._order_is_unsure(connection)
            if asked is not None and not exhaustive:
                if not (spans := needed(asked, self._readings(connection, asked), now, self.lookback)):
                    return
                exhaustive = spans[0].since < now - self.lookback
                span = asked if exhaustive else Span(spans[0].since, asked.until)
            self._give_up(connection, alike)
            self._replace_unproven(connection, [span] if span else None)
            kind = {"exhaustive": exhaustive, "doubted": self._is_doubted(connection)}
            connection.execute(insert(Window), [self.source.row(origin, span) | new_scan(paging, paging.start) | kind])

        in_transaction(self.engine, work)

    def _lock(self, connection: Connection) -> datetime:
        lock(connection, *self.source.columns.values())
        now: datetime = connection.execute(select(now_there)).scalar_one()
        return now

    def _readings(self, connection: Connection, asked: Span) -> list[Reading]:
        """What was read of `asked` and can be built on, each scan as one."""
        group = func.coalesce(Window.scan_id, func.cast(Window.id, Window.scan_id.type))
        query = (
            select(
                func.min(Window.since),
                func.max(Window.until),
                func.max(Window.finished_at),
                func.max(Window.claimed_by),
                func.bool_and(and_(Window.state == "done", Window.verdict == Verdict.PROVEN)),
                func.bool_or(Window.moved),
            )
            .where(self.source.matches, Window.since < asked.until, Window.until > asked.since)
            .where(Window.finished_at.is_not(None) | Window.scan_id.is_not(None))
            .group_by(group)
        )
        rows = connection.execute(query).all()
        readings = [
            Reading(Span(since, until), finished_at, by, is_proven=proven, moved=moved)
            for since, until, finished_at, by, proven, moved in rows
            if finished_at is not None
        ]
        return settled(readings, self.lookback)

    def _open_spans(self, connection: Connection) -> list[Span]:
        query = select(Window.since, Window.until).where(self.source.matches, Window.state == "open")
        return [Span(since, until) for since, until in connection.execute(query) if since and until]

    def _give_up(self, connection: Connection, alike: ColumnElement[bool]) -> None:
        given_up = {"state": WindowState.SPLIT, "reason": "given up for a newer scan"}
        ended = update(Window).where(alike).values(**given_up).returning(Window.scan_id)
        for scan_id in filter(None, connection.execute(ended).scalars()):
            forget(connection, scan_id)

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

    def _is_doubted(self, connection: Connection) -> bool:
        """Whether the provider's total was found to lie in the scan before."""
        query = select(Window.doubted).where(self.source.matches, Window.scan_id.is_not(None))
        return bool(connection.execute(query.order_by(Window.id.desc()).limit(1)).scalar())

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
