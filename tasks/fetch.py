"""Reads one window to a verdict on its completeness.

A list that tells its total is proven when that many distinct ids were seen. A list without a total, or with one that
does not come true, is read again and proven when two readings in a row held the same ids; one that moves under every
reading is read again in narrower windows.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from models.errors import ContractBroken, PositionLost
from models.paging import Position
from models.vocabulary import Verdict
from models.window import NARROWEST, equal_parts
from tasks.database import in_transaction
from tasks.intake import Desk
from tasks.ledger import Claim
from tasks.scan import MOST_DRIFTS, Scan
from tasks.sink import Sink
from tasks.vanish import missing, missing_from_scan
from tasks.walk import Reading, Walker

READINGS = 4
"""How often a list that moves under us is read before its window is narrowed or left unproven."""
WALKS = 3
"""How often a walk may be begun when its cursors expire under way."""
NARROWER = 4
"""Windows in place of one that moves too much to be proven."""


class Finished(NamedTuple):
    done: bool
    """Not so where the window was given up for narrower ones."""
    opened_more: bool = False
    """Whether others are to be read now because of it."""
    missing: Sequence[str] = ()
    """Records that should have been there."""


class WindowReader:
    """One claimed window, read to its verdict."""

    def __init__(self, desk: Desk, claim: Claim, on_opened: Callable[[], None] = lambda: None) -> None:
        self.desk, self.claim, self._on_opened = desk, claim, on_opened
        self._scan = Scan(desk.ledger, desk.stream.paging, claim, claim.scan_id) if claim.scan_id else None
        self._sink = Sink(desk, claim, claim.span if desk.stream.time_filter is None else None)
        self._walker = Walker(desk, claim, self._sink, self._run_ahead)

    def run(self) -> Finished:
        """Raises `ClaimLost`, or the error that ended it; what was read by then is loaded."""
        try:
            reading = self._walk()
            verdict, reason = self._judge(reading, None)
            for _ in range(READINGS - 1):
                if reading.parts or verdict is Verdict.PROVEN or not self._can_be_settled_here(reading):
                    break
                before, reading = reading, self._walk()
                verdict, reason = self._judge(reading, before)
            return self._close(reading, verdict, reason)
        finally:
            self.desk.line.add_requests(self._sink.tally.requests)

    def _walk(self) -> Reading:
        """A walk, from its beginning again where the provider forgot a cursor it gave us."""
        for _ in range(WALKS - 1):
            with suppress(PositionLost):
                return self._note(self._walker.walk())
        return self._note(self._walker.walk())

    def _note(self, reading: Reading) -> Reading:
        self._sink.progress.moved |= reading.moved
        return reading

    def _run_ahead(self, position: Position) -> None:
        """Has the next part of the scan read while this one is."""
        if self._scan and self._scan.run_ahead(position):
            self._on_opened()

    def _can_be_settled_here(self, reading: Reading) -> bool:
        """A part of a counted list cannot be: only the whole scan knows whether the total came together."""
        return self._scan is None or reading.total is None or self.claim.doubted or not self.claim.exhaustive

    def _judge(self, reading: Reading, before: Reading | None) -> tuple[Verdict, str | None]:
        if not self._can_be_settled_here(reading):
            return Verdict.UNPROVEN, "a part of a scan that is not finished"
        came = len(reading.ids)
        if came == reading.total and self._scan is None:
            self._sink.progress.moved |= reading.total_before != reading.total
            return Verdict.PROVEN, None
        if before is None:
            return Verdict.UNPROVEN, "read once"
        if reading.ids == before.ids:
            lies = reading.total is not None and self._scan is None
            return Verdict.PROVEN, f"read twice alike: {came:,}, not {reading.total:,} as counted" if lies else None
        self._sink.progress.moved = True
        return Verdict.UNPROVEN, "the list moved: two readings in a row held different records"

    def _close(self, reading: Reading, verdict: Verdict, reason: str | None) -> Finished:
        progress = self._sink.progress
        counts = progress.counts
        if counts.rejected and counts.rejected + counts.duplicate == counts.fetched:
            raise ContractBroken("none of a window's records could be read; see v1.rejected_row")
        progress.pages = reading.pages
        progress.total_before, progress.provider_total = reading.total_before, reading.total
        progress.in_order = reading.is_newest_first if reading.order and any(reading.order) else None
        if self._scan is not None:
            return self._close_part(self._scan, reading, verdict, reason)
        if reading.parts:
            return self._narrow(reading, self.claim.drifts, "too long for one window")
        if verdict is not Verdict.PROVEN and self._can_be_narrowed:
            return self._narrow(reading, self.claim.drifts + 1, f"{reason}: read again in narrower windows")
        return self._finish(reading, verdict, reason)

    @property
    def _can_be_narrowed(self) -> bool:
        span = self.claim.span
        return span is not None and span.length > NARROWER * NARROWEST and self.claim.drifts < MOST_DRIFTS

    def _narrow(self, reading: Reading, drifts: int, reason: str) -> Finished:
        assert self.claim.span
        parts = reading.parts or equal_parts(self.claim.span, NARROWER)
        self.desk.ledger.split(self.claim, self._sink.progress, parts, drifts, reason)
        return Finished(done=False, opened_more=True)

    def _finish(self, reading: Reading, verdict: Verdict, reason: str | None) -> Finished:
        ledger, closing = self.desk.ledger, (self.claim, self._sink.progress, verdict, reason)
        in_transaction(ledger.engine, lambda connection: ledger.finish(connection, *closing))
        if verdict is not Verdict.PROVEN or ledger.source.filtered:
            return Finished(done=True)
        return Finished(done=True, missing=missing(self.desk, self.claim.span, reading.ids, self.claim.began_at))

    def _close_part(self, scan: Scan, reading: Reading, verdict: Verdict, reason: str | None) -> Finished:
        progress = self._sink.progress
        progress.head_ids, progress.tail_ids = reading.head, reading.tail
        ending = scan.finish(progress, reading.ids, reading.following, verdict, reason)
        if ending.proven_since is None:
            return Finished(done=True, opened_more=ending.opened_more)
        return Finished(done=True, missing=missing_from_scan(self.desk, self.claim.span, scan.id, ending.proven_since))
