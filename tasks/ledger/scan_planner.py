"""Planning of scans: when a list without a time filter is read from its top, and whether to its end."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from models.coverage import Span, needed
from models.pagination import Paging
from models.tables.ledger import ScanPart, Window
from models.vocabulary import Origin, Verdict, WindowState
from tasks.database import in_transaction
from tasks.ledger.planner import Planner
from tasks.ledger.scans import first_part, forget
from tasks.ledger.windows import Source, now_there

EXHAUSTIVE_EVERY = timedelta(hours=20)
"""Scans that may stop early rest on an order that a whole scan confirms about once a day."""


@dataclass(frozen=True, slots=True)
class ScanPlanner:
    """Opens scans of one list."""

    planner: Planner

    @property
    def source(self) -> Source:
        return self.planner.source

    def plan(self, asked: Span | None, origin: Origin, paging: Paging, *, full: bool) -> None:
        """Opens the first window of a scan of a list that has no time filter, unless one like it is under way.

        Such a list is read from its top; to its end where that is needed, or its order is to be confirmed.
        An unfinished scan of the same range goes on where it stopped; one of the live stream is given up for a newer.
        """

        def work(connection: Connection) -> None:
            now, alike = self.planner.lock(connection), self._alike(asked, origin)
            if self._goes_on(connection, alike, asked, full=full):
                return
            span, exhaustive = asked, full or asked is None or self._is_unsure(connection)
            if asked is not None and not exhaustive:
                if not (spans := needed(asked, self.planner.coverage(connection, asked), now, self.planner.lookback)):
                    return
                exhaustive = spans[0].since < now - self.planner.lookback
                span = asked if exhaustive else Span(spans[0].since, asked.until)
            self._give_up(connection, alike)
            self.planner.replace_unproven(connection, [span] if span else None)
            doubted = self._is_doubted(connection)
            part = first_part(paging, paging.start, self.planner.sizes, exhaustive=exhaustive, doubted=doubted)
            self.planner.ledger.open_part(connection, part, self.source.row(origin, span))

        in_transaction(self.planner.engine, work)

    def _goes_on(self, connection: Connection, alike: ColumnElement[bool], asked: Span | None, *, full: bool) -> bool:
        """Whether a scan is under way that this run should join or take up."""
        query = select(Window.since, Window.until, Window.claimed_until > now_there)
        query = query.where(alike, Window.scan_id.is_not(None))
        for since, until, held in connection.execute(query):
            same = asked is not None and (since, until) == (asked.since, asked.until)
            if held or (same and not full):
                return True
        return False

    def _alike(self, asked: Span | None, origin: Origin) -> ColumnElement[bool]:
        """Open windows that this one would join or replace.

        Those of the live stream, or of the very same range; and those of before the list was found to ignore a range.
        """
        same = [Window.origin == origin]
        if origin is Origin.RANGE and asked is not None:
            same += [Window.since == asked.since, Window.until == asked.until]
        return and_(self.source.matches, Window.state == "open", or_(Window.scan_id.is_(None), and_(*same)))

    def _give_up(self, connection: Connection, alike: ColumnElement[bool]) -> None:
        given_up = {"state": WindowState.SPLIT, "reason": "given up for a newer scan"}
        ended = update(Window).where(alike).values(**given_up).returning(Window.scan_id)
        for scan_id in filter(None, connection.execute(ended).scalars()):
            forget(connection, scan_id)

    def _is_doubted(self, connection: Connection) -> bool:
        """Whether the provider's total was found to lie in the scan before."""
        its = ScanPart.window_id == Window.id
        query = select(ScanPart.doubted).join(Window, its).where(self.source.matches)
        return bool(connection.execute(query.order_by(Window.id.desc()).limit(1)).scalar())

    def _is_unsure(self, connection: Connection) -> bool:
        """Whether the list's order is, or the newest scan stopped early and left out what exists: so would this one."""
        its = and_(self.source.matches, ScanPart.window_id == Window.id, Window.state == "done")
        newest = select(~ScanPart.exhaustive & (Window.verdict != Verdict.PROVEN)).where(its)
        left_out = connection.execute(newest.order_by(Window.id.desc()).limit(1)).scalar()
        return bool(left_out) or self._order_is_unsure(connection)

    def _order_is_unsure(self, connection: Connection) -> bool:
        """Whether the list's order went unconfirmed for a day, or was found wanting."""
        query = (
            select(func.bool_and(func.coalesce(ScanPart.in_order, True)))
            .join(Window, ScanPart.window_id == Window.id)
            .where(self.source.matches, ScanPart.exhaustive, Window.finished_at > now_there - EXHAUSTIVE_EVERY)
            .group_by(Window.scan_id)
            .having(func.bool_and(Window.state == "done"))
        )
        confirmed = list(connection.execute(query).scalars())
        return not (confirmed and all(confirmed))
