"""Reads one window to a verdict on its completeness: as many walks as `models.proof` asks for, then the ledger."""

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from models.arrivals import Counts
from models.claim import Claim
from models.errors import PositionLost, ProviderError, RecordNotFound, RequestRefused
from models.pagination import Position
from models.proof import READ_ONCE, Proof, alike, prove
from models.vocabulary import Verdict
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.details import complete
from tasks.extract.page import PageRequester, within
from tasks.extract.refused_ranges import narrowed
from tasks.extract.walker import Walker
from tasks.extract.window_closing import Finished, WindowClosing
from tasks.extract.window_end import WalkResult
from tasks.ledger.scans import Scan
from tasks.ledger.windows import Progress
from tasks.load.buffer import RecordBuffer

log = logging.getLogger(__name__)

WALKS = 4
"""How often a list that moves under us is read before its window is narrowed or left unproven."""
BEGINNINGS = 3
"""How often a walk may be begun when its cursors expire under way."""
PART_READ = Proof(Verdict.UNPROVEN, "a part of a scan that is not finished")


class WindowReader:
    """One claimed window, read to its verdict.

    Args:
        context: of the list.
        claim: the window.
        settled_before: records that began earlier no longer change.
        on_opened: called when another window was opened while this one is read.
    """

    def __init__(
        self,
        context: StreamContext,
        claim: Claim,
        settled_before: datetime,
        on_opened: Callable[[], None] = lambda: None,
    ) -> None:
        self.context, self.claim, self._on_opened = context, claim, on_opened
        self._tally, self._progress = Tally(), Progress()
        self._scan = _scan(context, claim) if claim.part else None
        self._buffer = RecordBuffer(context.store, self._note_progress, context.receipt.add)
        self._bounds = claim.span if context.stream.time_filter is None else None
        self._walker = self._walker_until(settled_before)
        self._closing = WindowClosing(context, claim, self._scan, self._progress)

    def _walker_until(self, settled_before: datetime) -> Walker:
        context, claim = self.context, self.claim
        twice = claim.part is not None and claim.part.doubted
        requester = PageRequester(context, claim.span, twice, self._tally)
        is_sorted = self._bounds is not None and context.stream.sorted_by is not None
        return Walker(
            context.stream.paging,
            claim,
            requester.get,
            context.sizes,
            self._run_ahead,
            settled_before if is_sorted else None,
        )

    def run(self) -> Finished:
        """Raises `ClaimLost`, or the error that ended it; what was read by then is loaded."""
        try:
            result = self._walk()
            proof = self._proof(result, None)
            for _ in range(WALKS - 1):
                if result.parts or proof.verdict is Verdict.PROVEN or not self._can_be_settled_here(result):
                    break
                self._note_again(proof)
                before, result = result, self._walk()
                proof = self._proof(result, before)
                if proof.is_denied and result.ids == before.ids:
                    break
            return self._closing.close(result, proof)
        finally:
            self.context.receipt.add_requests(self._tally.requests)

    def _walk(self) -> WalkResult:
        """A walk, from its beginning again where the provider forgot a cursor that it gave."""
        for _ in range(BEGINNINGS - 1):
            try:
                return self._walked()
            except PositionLost as error:
                log.info(
                    "%s %s: begun again, its cursor was refused: %s",
                    self.context.name,
                    self.claim,
                    self.context.client.outward(error),
                )
        return self._walked()

    def _note_again(self, proof: Proof) -> None:
        """A list without a total is always read twice: that alone is nothing to ask about."""
        level = logging.DEBUG if proof is READ_ONCE else logging.INFO
        log.log(
            level, "%s %s: read again: %s", self.context.name, self.claim, self.context.client.outward(proof.reason)
        )

    def _walked(self) -> WalkResult:
        """What was read before a failure is kept."""
        try:
            for page in self._walker.pages():
                if page.is_repeated:
                    self._buffer.take_repeated(len(page.ids))
                else:
                    self._buffer.take(within(self._bounds, complete(self.context, page.arrivals, self._tally)))
        except ProviderError:
            self._buffer.flush()
            raise
        self._buffer.flush()
        self._progress.moved |= self._walker.result.moved
        return self._walker.result

    def _note_progress(self, connection: Connection, counts: Counts) -> None:
        progress = self._progress
        progress.counts, progress.requests = counts, self._tally.requests
        progress.distinct_ids = len(self._buffer.seen.digests)
        self.context.ledger.record(connection, self.claim, progress)

    def _run_ahead(self, position: Position) -> None:
        """Has the next part of the scan read while this one is."""
        if self._scan and self._scan.run_ahead(position):
            self._on_opened()

    def _can_be_settled_here(self, result: WalkResult) -> bool:
        """A part of a counted list cannot be: only the whole scan knows whether the total came together."""
        part = self.claim.part
        return part is None or result.total is None or part.doubted or not part.exhaustive

    def _proof(self, result: WalkResult, before: WalkResult | None) -> Proof:
        self._progress.moved |= result.recounted if before is None else result.ids != before.ids
        if not self._can_be_settled_here(result):
            return PART_READ
        if self._scan is not None:
            # The total is the whole list's: what it says of a part, the scan judges at its end.
            proof = alike(result, before) if before else READ_ONCE
            proof = proof._replace(reason=None) if proof.verdict is Verdict.PROVEN else proof
        else:
            proof = prove(result, before)
        return proof


def read_otherwise(context: StreamContext, claim: Claim, error: RequestRefused | RecordNotFound) -> Finished | None:
    """What is read in place of a refused window: shorter ranges, or its scan from the top. None: nothing."""
    if claim.part is None:
        return narrowed(context, claim) if isinstance(error, RequestRefused) else None
    begun = _scan(context, claim).take_up_anew(context.client.outward(error))
    return Finished(done=False, opened_more=True) if begun else None


def _scan(context: StreamContext, claim: Claim) -> Scan:
    most = context.client.limits.scan_requests
    return Scan(context.ledger, context.stream.paging, claim, context.sizes, most, context.distrust)
