"""What is written of a window that was read: done with its proof, or given up for narrower ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from models.claim import Claim
from models.coverage import NARROWEST, equal_parts
from models.errors import ContractBroken
from models.proof import NOTHING_CAME, UNDECIDED, Proof
from models.scan import MOST_DRIFTS
from models.vocabulary import Verdict
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.deletions import Missing, missing, missing_from_scan
from tasks.extract.page import refuse_ignored_range, stray
from tasks.extract.window_end import WalkResult
from tasks.ledger.scans import Scan
from tasks.ledger.windows import Progress

log = logging.getLogger(__name__)

NARROWER = 4
"""Windows in place of one that moves too much to be proven."""


class Finished(NamedTuple):
    done: bool
    """False where the window was given up for narrower ones."""
    opened_more: bool = False
    """Whether others are to be read now because of it."""
    missing: Missing | None = None
    """Records that should have been there."""
    denial: str | None = None
    """The provider's own word against what it gave, where the two disagree."""


@dataclass(frozen=True, slots=True)
class WindowClosing:
    """The end of one claimed window."""

    context: StreamContext
    claim: Claim
    scan: Scan | None
    progress: Progress

    def close(self, result: WalkResult, proof: Proof) -> Finished:
        """Raises `ClaimLost`, or `ContractBroken` where no record of the window could be read."""
        progress, counts = self.progress, self.progress.counts
        if counts.rejected and counts.rejected + counts.duplicate == counts.fetched:
            raise ContractBroken("none of a window's records could be read; see v1.rejected_row")
        progress.pages, progress.says_more = result.pages, result.says_more
        progress.total_before, progress.provider_total = result.total_before, result.total
        progress.in_order = result.is_newest_first if any(result.order) else None
        if self.scan is not None:
            return self._close_part(self.scan, result, proof)
        if result.parts:
            assert self.claim.span
            refuse_ignored_range(self.context, self.claim.span, result.last)
            return self._narrow(result, self.claim.drifts, "too long for one window")
        if proof.verdict is not Verdict.PROVEN and not proof.is_denied and self._can_be_narrowed:
            return self._narrow(result, self.claim.drifts + 1, f"{proof.reason}: read again in narrower windows")
        return self._finish(result, proof)

    @property
    def _can_be_narrowed(self) -> bool:
        span = self.claim.span
        return span is not None and span.length > NARROWER * NARROWEST and self.claim.drifts < MOST_DRIFTS

    def _narrow(self, result: WalkResult, drifts: int, reason: str) -> Finished:
        assert self.claim.span
        parts = result.parts or equal_parts(self.claim.span, NARROWER)
        self.context.ledger.split(self.claim, self.progress, parts, drifts, reason)
        log.info("%s %s: given up for %d narrower windows: %s", self.context.name, self.claim, len(parts), reason)
        return Finished(done=False, opened_more=True)

    def _finish(self, result: WalkResult, proof: Proof) -> Finished:
        if reason := self.context.distrust or self._stray(result):
            proof = Proof(Verdict.UNPROVEN, reason, is_denied=True)
        ledger, claim, progress = self.context.ledger, self.claim, self.progress
        says_all = proof.verdict is Verdict.PROVEN and not ledger.source.filtered
        ids = missing(self.context, claim.span, result.ids, claim.began_at) if says_all else []
        written = UNDECIDED if ids else NOTHING_CAME if says_all and not result.ids else proof
        in_transaction(ledger.engine, lambda connection: ledger.finish(connection, claim, progress, written))
        self._note_end(proof if written is NOTHING_CAME else written)
        left_out = self._missing(ids, len(result.ids), proof.reason)
        return Finished(done=True, missing=left_out, denial=proof.reason if proof.is_denied else None)

    def _stray(self, result: WalkResult) -> str | None:
        return stray(self.context, self.claim.span, result.ends) if self.claim.span else None

    def _note_end(self, proof: Proof) -> None:
        """What is proven without more ado is for `--verbose` only: it would bury the rest in the log of a run."""
        level = logging.DEBUG if proof.verdict is Verdict.PROVEN and not proof.reason else logging.INFO
        counts, progress, why = (
            self.progress.counts,
            self.progress,
            f": {self.context.client.outward(proof.reason)}" if proof.reason else "",
        )
        log.log(
            level,
            "%s %s: %s, %d records in %d pages and %d requests%s",
            *(self.context.name, self.claim, proof.verdict, counts.fetched, progress.pages, progress.requests, why),
        )

    def _close_part(self, scan: Scan, result: WalkResult, proof: Proof) -> Finished:
        progress = self.progress
        progress.head_ids, progress.tail_ids = result.head, result.tail
        ending = scan.finish(
            progress, result.ids, result.following, proof, partial(missing_from_scan, self.context, self.claim)
        )
        fetched, pages = progress.counts.fetched, progress.pages
        log.debug("%s %s: read, %d records in %d pages", self.context.name, self.claim, fetched, pages)
        left_out = self._missing(ending.missing, ending.came, ending.reason)
        return Finished(done=True, opened_more=ending.opened_more, missing=left_out, denial=ending.denial)

    def _missing(self, ids: Sequence[str], came: int, reason: str | None) -> Missing | None:
        """What is to be asked for by id, with the windows that have to answer for it."""
        return Missing(ids, came, self.claim, reason) if ids else None
