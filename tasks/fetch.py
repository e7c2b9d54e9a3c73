"""Reads one window: pages in order, batches loaded as they fill, and a verdict on its completeness.

A list that tells its total is proven when that many distinct ids were seen. A list without a total, or with one that
does not come true, is read again and proven when two readings in a row held the same ids.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection

from models.errors import ContractBroken, PositionLost, ProviderError, RequestRefused
from models.paging import Guard, Page, Position
from models.provider import Params
from models.rows import Rejected
from models.vocabulary import Verdict
from models.window import NARROWEST, PAGES_BEFORE_HALVING, Span, equal_parts
from tasks.client import Tally
from tasks.database import in_transaction
from tasks.intake import Desk, Intake, identified, open_page
from tasks.ledger import IN_DOUBT, Claim, Progress
from tasks.load import Arrival, SetAside, register
from tasks.vanish import missing, missing_from_scan, remember, saw_any, sightings

BATCH = 2_000
BATCH_SECONDS = 5.0
READINGS = 4
"""How often a list that moves under us is read before its window is left unproven."""
WALKS = 3
"""How often a walk may be begun when its cursors expire under way."""
BARREN_PAGES = 5
"""A list that shifts can show a page again; one that goes on so has no end."""
MOST_PAGES = 10_000
"""Of a window that cannot be narrowed further."""
OVERLAP = 10
"""Records with which the next part of a scan begins that this one has seen."""
PAGES_TO_STOP = 2
"""Whole pages, in order and older than asked for, after which a scheduled scan of an unbounded list stops."""


@dataclass(slots=True)
class Reading:
    """One walk over a window's pages."""

    ids: set[str] = field(default_factory=set)
    pages: int = 0
    barren: int = 0
    """Pages in a row, up to now, that held nothing new."""
    total: int | None = None
    """By the last page; None where the provider tells none, or none that speaks of what was read."""
    following: Position | None = None
    """Where the list goes on, where it is too long for one window."""
    parts: list[Span] = field(default_factory=list)
    """What to read in its place, where it is too long and can be narrowed."""
    order: list[list[datetime | None]] = field(default_factory=list)
    """Of each page, the times that an unbounded list is supposed to be sorted by."""


class Finished(NamedTuple):
    done: bool
    """Not so where the window was given up for narrower ones."""
    opened_more: bool = False
    """Whether others are to be read now because of it."""
    missing: Sequence[str] = ()
    """Records that should have been there."""


class WindowReader:
    """One claimed window, read to its verdict."""

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self.desk, self.claim = desk, claim
        self._tally, self._progress = Tally(), Progress()
        untimed = desk.stream.time_filter is None
        self._intake = Intake(desk, self._tally, claim.span if untimed else None)
        self._waiting: list[Arrival | SetAside] = []
        self._flushed_at = time.monotonic()
        self._in_doubt = claim.scan_id is not None and desk.ledger.is_in_doubt(claim)

    def run(self) -> Finished:
        """Raises `ClaimLost`, or the error that ended it; what was read by then is loaded."""
        try:
            reading = self._walk_again(None)
            verdict, reason = self._judge(reading, None)
            for _ in range(READINGS - 1):
                if reading.parts or verdict is Verdict.PROVEN or not self._can_be_settled_here(reading):
                    break
                before, reading = reading, self._walk_again(reading.pages)
                verdict, reason = self._judge(reading, before)
            return self._close(reading, verdict, reason)
        finally:
            self.desk.line.add_requests(self._tally.requests)

    def _walk_again(self, pages: int | None) -> Reading:
        """A walk, from its beginning again where the provider forgot a cursor it gave us."""
        for _ in range(WALKS - 1):
            with suppress(PositionLost):
                return self._walk(pages)
        return self._walk(pages)

    def _walk(self, pages: int | None) -> Reading:
        """Reads the pages once; `pages`: no further than the walk before this one."""
        paging, guard, reading = self.desk.stream.paging, Guard(), Reading()
        position: Position | None = self.claim.position or paging.start
        while position is not None:
            guard.admit(position)
            page = self._page_or_flush(position, reading)
            if reading.pages == 1 and self._is_torn_off(position, reading.ids):
                position, reading, guard = paging.behind(position, paging.limit), Reading(), Guard()
                continue
            position = paging.following(position, page)
            if position is None or self._may_stop(reading) or self._goes_on_elsewhere(reading, position, pages):
                break
        self._flush()
        return reading

    def _is_torn_off(self, position: Position, ids: set[str]) -> bool:
        """Whether a part of a scan begins with nothing that the parts before it saw: what lay between moved away."""
        behind = self.desk.stream.paging.behind(position, OVERLAP)
        if self.claim.scan_id is None or behind == position or not ids:
            return False
        if behind in self.desk.ledger.scan_positions(self.claim):
            return False  # the part before was so short that this one could not overlap with it
        return not saw_any(self.desk, self.claim.scan_id, ids)

    def _from(self, position: Position) -> Position:
        """Where the next part of a scan begins, so that it overlaps with this one and still gets on."""
        behind = self.desk.stream.paging.behind(position, OVERLAP)
        return position if behind == self.claim.position else behind

    def _page_or_flush(self, position: Position, reading: Reading) -> Page:
        """What was read before a failure is kept."""
        try:
            return self._page(position, reading)
        except ProviderError as error:
            self._flush()
            if isinstance(error, RequestRefused) and reading.pages:
                raise PositionLost(str(error)) from error
            raise

    def _page(self, position: Position, reading: Reading) -> Page:
        desk = self.desk
        answer = desk.client.get(desk.listing.path, self._params(position), self._tally)
        envelope, records = open_page(answer, desk.stream.items)
        arrivals = [identified(desk, record, answer.sent_at) for record in records]
        ids = {one.external_id or one.digest.hex() for one in arrivals}
        page = Page(envelope, len(records), len(ids - reading.ids))
        reading.barren = 0 if page.fresh else reading.barren + 1
        if reading.barren > BARREN_PAGES:
            raise ContractBroken(f"the list repeats itself: {reading.barren} pages in a row held nothing new")
        reading.ids |= ids
        reading.pages += 1
        reading.total = desk.stream.paging.total(page)
        reading.order.append([self._sorted_by(record) for record in records] if self._is_unbounded else [])
        self._wait(arrivals)
        return page

    def _params(self, position: Position) -> Params:
        return self.desk.params(self.claim.span) | self.desk.stream.paging.params(position)

    def _goes_on_elsewhere(self, reading: Reading, position: Position, pages: int | None) -> bool:
        """Whether the window ends here although its list goes on; notes how the rest is to be read."""
        if self.claim.scan_id is not None:
            reading.following = position if reading.pages >= (pages or PAGES_BEFORE_HALVING) else None
            return reading.following is not None
        span, count = self.claim.span, self._windows_instead(reading)
        if span and count > 1 and span.length > NARROWEST:
            reading.parts = equal_parts(span, count)
        elif reading.pages >= MOST_PAGES:
            raise ContractBroken(f"the list of one window did not end after {MOST_PAGES:,} pages")
        return bool(reading.parts)

    def _windows_instead(self, reading: Reading) -> int:
        """How many windows this one should rather be: at once by the total, else two when it grew too long."""
        if reading.total is None:
            return 2 if reading.pages == PAGES_BEFORE_HALVING else 1
        per_window = self.desk.stream.paging.limit * PAGES_BEFORE_HALVING
        return min(-(-reading.total // per_window), PAGES_BEFORE_HALVING) if reading.pages == 1 else 1

    @property
    def _is_unbounded(self) -> bool:
        return self.desk.stream.sorted_by is not None and self.claim.span is not None

    def _sorted_by(self, record: str) -> datetime | None:
        assert self.desk.stream.sorted_by is not None
        try:
            return self.desk.stream.sorted_by(self.desk.reader.parse(record))
        except Rejected:
            return None

    def _may_stop(self, reading: Reading) -> bool:
        """Whether a scheduled scan of an unbounded list has seen all it came for."""
        if self.claim.exhaustive or not self._is_unbounded or reading.pages < PAGES_TO_STOP:
            return False
        last = [moment for page in reading.order[-PAGES_TO_STOP:] for moment in page]
        whole = len(last) >= PAGES_TO_STOP * self.desk.stream.paging.limit
        stop = whole and _is_newest_first(last) and self._are_older(last)
        reading.total = None if stop else reading.total
        return stop

    def _are_older(self, moments: list[datetime | None]) -> bool:
        assert self.claim.span is not None
        settled = datetime.now(self.claim.span.since.tzinfo) - self.desk.client.account.lookback
        return all(moment and moment < min(self.claim.span.since, settled) for moment in moments)

    def _wait(self, arrivals: list[Arrival | SetAside]) -> None:
        self._waiting += arrivals
        if len(self._waiting) >= BATCH or time.monotonic() > self._flushed_at + BATCH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        """Loads what is waiting and notes progress, in one transaction; renews the claim."""
        batch, before = self._intake.sort(self._waiting), self._progress.counts
        self._progress.requests, self._progress.distinct_ids = self._tally.requests, len(self._intake.seen)

        def work(connection: Connection) -> None:
            self._progress.counts = before + batch.write(connection, self.desk)
            self.desk.ledger.record(connection, self.claim, self._progress)

        register(self.desk.engine, batch.loaded)
        in_transaction(self.desk.engine, work)
        self.desk.line.add(self._progress.counts - before)
        self._waiting, self._flushed_at = [], time.monotonic()

    def _can_be_settled_here(self, reading: Reading) -> bool:
        """A part of a counted list cannot be: only the whole scan knows whether the total came together."""
        return self.claim.scan_id is None or reading.total is None or self._in_doubt

    def _judge(self, reading: Reading, before: Reading | None) -> tuple[Verdict, str | None]:
        if not self._can_be_settled_here(reading):
            return Verdict.UNPROVEN, "a part of a scan that is not finished"
        came = len(reading.ids)
        if came == reading.total and self.claim.scan_id is None:
            return Verdict.PROVEN, None
        if before is not None and reading.ids == before.ids:
            lies = reading.total is not None and self.claim.scan_id is None
            return Verdict.PROVEN, f"read twice alike: {came:,}, not {reading.total:,} as counted" if lies else None
        if before is not None:
            return Verdict.UNPROVEN, "the list moved: two readings in a row held different records"
        return Verdict.UNPROVEN, "read once"

    def _close(self, reading: Reading, verdict: Verdict, reason: str | None) -> Finished:
        ledger, counts = self.desk.ledger, self._progress.counts
        if counts.rejected and counts.rejected + counts.duplicate == counts.fetched:
            raise ContractBroken("none of a window's records could be read; see v1.rejected_row")
        self._progress.pages, self._progress.provider_total = reading.pages, reading.total
        self._progress.in_order = all(map(_is_newest_first, reading.order)) if self._is_unbounded else None
        if reading.parts:
            ledger.split(self.claim, self._progress, reading.parts, "too long for one window")
            return Finished(done=False, opened_more=True)
        if self.claim.scan_id is None:
            ledger.finish(self.claim, self._progress, verdict, reason, lambda _connection: None)
            return Finished(done=True, missing=self._missing(reading, verdict))
        return self._close_part(self.claim.scan_id, reading, verdict, reason)

    def _missing(self, reading: Reading, verdict: Verdict) -> list[str]:
        if verdict is not Verdict.PROVEN or self.desk.ledger.source.filtered:
            return []
        return missing(self.desk, self.claim.span, reading.ids, self.claim.began_at)

    def _close_part(self, scan_id: str, reading: Reading, verdict: Verdict, reason: str | None) -> Finished:
        """Finishes one part of a scan: opens the next, or judges the whole."""
        ledger, following = self.desk.ledger, reading.following
        self._forbid_circles(reading)

        def then(connection: Connection) -> None:
            remember(connection, scan_id, reading.ids)
            if following is not None:
                ledger.continue_scan(connection, self.claim, self._from(following))

        ledger.finish(self.claim, self._progress, verdict, reason, then)
        if following is not None:
            return Finished(done=True, opened_more=True)
        self._judge_scan(reading)
        began_at = None if ledger.source.filtered else ledger.proven_scan(self.claim)
        gone = missing_from_scan(self.desk, self.claim.span, scan_id, began_at) if began_at else []
        return Finished(done=True, missing=gone)

    def _forbid_circles(self, reading: Reading) -> None:
        if reading.following is None:
            return
        begun = self.desk.ledger.scan_positions(self.claim)
        if self._from(reading.following) in begun or not reading.ids:
            raise ContractBroken("the list goes on without an end: its pages run in a circle or stay empty")

    def _judge_scan(self, reading: Reading) -> None:
        if self._can_be_settled_here(reading):
            return
        assert self.claim.scan_id is not None
        came = sightings(self.desk, self.claim.scan_id)
        agrees = came == reading.total
        reason = None if agrees else f"{IN_DOUBT} {reading.total:,} records, {came:,} came"
        self.desk.ledger.judge_scan(self.claim, Verdict.PROVEN if agrees else Verdict.UNPROVEN, reason)


def _is_newest_first(moments: list[datetime | None]) -> bool:
    return all(a is not None and b is not None and a >= b for a, b in pairwise(moments))
