"""Where a window ends although its list goes on: by its length, its part of a scan, or its order in time. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from models.arrivals import Arrival, Rejection
from models.claim import Claim, Part
from models.coverage import Sizes, Span, equal_parts
from models.errors import ContractBroken, ProviderError, RecordNotFound
from models.pagination import Paging, Position

MOST_PAGES = 10_000
"""Of a window that cannot be narrowed further."""
PAGES_TO_STOP = 2
"""Whole pages, in order and older than asked for, after which a scheduled scan of an unbounded list stops."""


@dataclass(slots=True)
class WalkResult:
    """What one walk saw: the evidence of `models.proof`."""

    ids: set[str] = field(default_factory=set)
    unnamed: Counter[str] = field(default_factory=Counter)
    """How often each record without an id came, by its digest: such records are counted, not distinguished."""
    pages: int = 0
    filled: int = 0
    """Pages that held a record."""
    largest: int = 0
    """Records of the page that held most."""
    repeated: int = 0
    """Pages in a row, up to now, that held records and nothing new."""
    empty: int = 0
    """Pages in a row, up to now, that held no record."""
    total_before: int | None = None
    total: int | None = None
    """By the last page; None where the provider says none, or none that speaks of what was read."""
    recounted: bool = False
    """Whether a page said another total than the page before."""
    says_more: bool = False
    following: Position | None = None
    """Where the list goes on, where it is too long for one window."""
    parts: list[Span] = field(default_factory=list)
    """What to read in its place, where it is too long and can be narrowed."""
    order: list[list[datetime | None]] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    """Ids of the last page."""
    last: Sequence[Arrival | Rejection] = ()
    """The records of the last page that held any; none where it was known already."""
    ends: Sequence[Arrival | Rejection] = ()
    """The first record and the last, of a list that was asked for by time."""
    moved: bool = False
    """Whether a page did not begin with what the page before ended with."""
    steps_back: int = 0

    def remember(self, ids: list[str], unnamed: frozenset[str], shared: int) -> None:
        """The records of a page, of which the first `shared` repeat the end of the page before."""
        self.ids.update(set(ids) - unnamed if unnamed else ids)
        for digest in ids[shared:] if unnamed else ():
            if digest in unnamed:
                self.unnamed[digest] += 1
                self.ids.add(f"{digest}#{self.unnamed[digest]}")

    @property
    def is_newest_first(self) -> bool:
        return all(map(is_newest_first, self.order))


def next_part(part: Part, paging: Paging, result: WalkResult, following: Position, pages: int) -> Position | None:
    """Where the next part of the scan begins, once this one is at its end, which may be after `pages` pages."""
    if part.end_position is None:
        return following if result.filled >= pages else None
    return part.end_position if paging.is_past(following, part.end_position) else None


def narrower(span: Span | None, paging: Paging, result: WalkResult, sizes: Sizes) -> list[Span]:
    """What to read in the window's place, where it holds more pages than a window should. Raises `ContractBroken`."""
    count = _windows_instead(paging, result, sizes)
    if span and count > 1 and span.length > sizes.narrowest:
        return equal_parts(span, count)
    if result.pages >= MOST_PAGES:
        raise ContractBroken(f"the list of one window did not end after {MOST_PAGES:,} pages")
    return []


def _windows_instead(paging: Paging, result: WalkResult, sizes: Sizes) -> int:
    """How many windows this one should rather be: at once by the total, else two when it grew too long."""
    if result.total is None:
        return 2 if result.filled == sizes.pages and not result.empty else 1
    return min(-(-result.total // (paging.limit * sizes.pages)), sizes.pages) if result.pages == 1 else 1


def is_beyond(paging: Paging, result: WalkResult, position: Position, error: ProviderError) -> bool:
    """Whether a page is refused because it stands behind the last: by the total; where none is said, a page that is not
    found is as good as an empty one, and any refusal is behind a page that was shorter than another. A cursor may have
    expired, which is no end.
    """
    if result.total is not None:
        return len(result.ids) >= result.total or (paging.is_counted and not paging.reaches(position, result.total))
    full = result.largest if result.pages > 1 else paging.limit
    return paging.is_counted and (isinstance(error, RecordNotFound) or len(result.tail) < full)


def may_stop(claim: Claim, paging: Paging, result: WalkResult, settled_before: datetime | None) -> bool:
    """Whether a scheduled scan of an unbounded list has seen all it came for."""
    part, span = claim.part, claim.span
    if part is None or part.exhaustive or span is None or settled_before is None or result.pages < PAGES_TO_STOP:
        return False
    last = [moment for page in result.order[-PAGES_TO_STOP:] for moment in page]
    is_whole = len(last) >= PAGES_TO_STOP * paging.limit
    edge = min(span.since, settled_before)
    return is_whole and is_newest_first(last) and all(moment and moment < edge for moment in last)


def is_newest_first(moments: list[datetime | None]) -> bool:
    return all(a is not None and b is not None and a >= b for a, b in pairwise(moments))
