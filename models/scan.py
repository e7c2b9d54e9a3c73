"""A scan: one reading of a list without a time filter, in parts that touch. How it is judged at its end, purely."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from models.proof import Proof, denied
from models.vocabulary import Verdict

MOST_DRIFTS = 3
"""How often a stretch of a moving list is read again before its scan is left unproven."""


@dataclass(frozen=True, slots=True)
class PartRead:
    """A part of a scan that was read to its end."""

    window_id: int
    position: str
    end_position: str | None
    verdict: Verdict | None
    drifts: int
    began_at: datetime
    ended_at: datetime
    total_before: int | None = None
    total: int | None = None
    says_more: bool = False
    moved: bool = False
    """Whether the total was another one while the part was read, or its pages or readings differed."""
    head_ids: Sequence[str] = ()
    tail_ids: Sequence[str] = ()


class Step(StrEnum):
    """What follows from the parts of a scan once all of them are read."""

    JUDGED = "judged"
    MEND = "mend"  # parts that do not touch are read again from a page earlier
    DOUBT = "doubt"  # the total did not come true, or changed: once more, each part until two readings are alike


class ScanOutcome(NamedTuple):
    """Of a whole scan; `proof` None leaves each part its own."""

    step: Step
    proof: Proof | None = None
    torn: Sequence[PartRead] = ()


def judge_scan(parts: Sequence[PartRead], came: int, *, exhaustive: bool, doubted: bool) -> ScanOutcome:
    """What to do with a scan whose parts are all read.

    Args:
        parts: in the order of the list.
        came: distinct records that all of them held.
        exhaustive: whether the scan was to read to the list's end.
        doubted: whether each part was read until two readings were alike.
    """
    torn = [*_torn(parts)] if parts[0].end_position is not None else []
    if any(part.drifts >= MOST_DRIFTS for part in torn):
        moved = f"the list moved: after {MOST_DRIFTS} readings its parts still do not touch"
        return ScanOutcome(Step.JUDGED, Proof(Verdict.UNPROVEN, moved))
    if torn:
        return ScanOutcome(Step.MEND, torn=torn)
    return _counted(parts, came, doubted=doubted) if exhaustive or _has_ended(parts) else ScanOutcome(Step.JUDGED)


def _counted(parts: Sequence[PartRead], came: int, *, doubted: bool) -> ScanOutcome:
    """By the total, where the provider says one."""
    newest = max(parts, key=lambda part: part.ended_at)
    # A part read ahead, beyond where the list broke off, is empty and says that nothing follows.
    says_more = any(part.says_more for part in parts)
    if came == newest.total and not says_more and not has_moved(parts):
        return ScanOutcome(Step.JUDGED, Proof(Verdict.PROVEN))
    if not doubted and any(part.total is not None for part in parts):
        return ScanOutcome(Step.DOUBT)
    return ScanOutcome(Step.JUDGED, denied(came, newest.total, says_more=says_more))


def _has_ended(parts: Sequence[PartRead]) -> bool:
    """Whether a scan that might stop early came to the list's end: its last part then knows the total."""
    return parts[-1].total is not None


def has_moved(parts: Sequence[PartRead]) -> bool:
    """Whether the list moved during the scan: a part did, or the provider said different totals."""
    totals = {total for part in parts for total in (part.total_before, part.total)}
    return len(totals) > 1 or any(part.moved for part in parts)


def _torn(parts: Sequence[PartRead]) -> Iterator[PartRead]:
    """The parts that share no record with the end of the part before them."""
    for before, part in pairwise(parts):
        if before.tail_ids and part.head_ids and set(before.tail_ids).isdisjoint(part.head_ids):
            yield part
