"""One walk over a list, page by page: where it goes on, when it steps back, and where it ends.

Pages of counted positions begin with the last records of the page before. Where they do not, records shifted past
between the two requests: the walk steps back a page, until it touches what it had. Pure but for the function that
fetches a page.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from models.arrivals import RecordPage
from models.claim import Claim, Part
from models.coverage import Sizes
from models.errors import ContractBroken, PositionLost, RecordNotFound, RequestRefused
from models.pagination import Guard, Page, Paging, Position
from tasks.extract.window_end import WalkResult, is_beyond, may_stop, narrower, next_part

MOST_REPEATED = 5
"""Pages in a row that hold records and none of them new: a list that shifts can show a page again, but not so often."""
MOST_EMPTY = 1_000
"""Empty pages in a row that lead on: filters at the provider can leave many pages of a list without a record."""
MOST_STEPS_BACK = 10
"""In one walk; a list that moves faster is left to the next reading."""


@dataclass(slots=True)
class Walker:
    """Walks over the list of one claimed window, as often as it takes."""

    paging: Paging
    claim: Claim
    fetch: Callable[[Position], RecordPage]
    sizes: Sizes = field(default_factory=Sizes)
    on_more: Callable[[Position], None] = lambda _position: None
    """Called with where the next part of the scan begins."""
    settled_before: datetime | None = None
    """Records of an unbounded list that are older no longer change; None where the list is bounded by its query."""
    result: WalkResult = field(default_factory=WalkResult)
    """Of the walk that is under way, or was the last."""
    _filled: int = 0
    """Pages with records that the first walk read: a later one reads as many."""
    _says_end: bool = False
    """Whether the last page is the last one by the provider's word."""

    def pages(self) -> Iterator[RecordPage]:
        """The pages of one walk, a later walk no further than the first; `result` is complete when they are read."""
        guard, self.result = Guard(), WalkResult()
        position: Position | None = self._start
        while position is not None:
            guard.admit(position)
            if (page := self._fetched(position)) is None:
                break
            yield page
            self.result.moved = self.result.moved or self._has_shifted(page.ids)
            if self._is_torn(page.ids):
                self.result.steps_back += 1
                position, guard = self.paging.back(position), Guard()
                continue
            position = self._after(position, page)
        self._filled = self._filled or self.result.filled

    @property
    def _start(self) -> Position:
        return self.claim.part.position if self.claim.part else self.paging.start

    def _fetched(self, position: Position) -> RecordPage | None:
        """The page; None where the provider refuses to show one beyond the last."""
        try:
            return self.fetch(position)
        except (RequestRefused, RecordNotFound) as error:
            if not self.result.pages:
                raise
            if self._says_end or is_beyond(self.paging, self.result, position, error):
                return None
            raise PositionLost(str(error)) from error

    def _after(self, position: Position, page: RecordPage) -> Position | None:
        """Where the walk goes on after `page`; None where it is at its end."""
        new = {id_ for id_ in page.ids if id_ not in self.result.ids and id_ not in self.result.unnamed}
        seen = Page(page.envelope, len(page.ids), len(new))
        self._note(seen, page)
        following, self._says_end = self.paging.following(position, seen), self.paging.says_end(seen)
        self.result.says_more = following is None and self.paging.says_more(seen)
        return None if following is None or self._ends_before(following) else following

    def _ends_before(self, following: Position) -> bool:
        """Whether this window ends although its list goes on."""
        if may_stop(self.claim, self.paging, self.result, self.settled_before):
            self.result.total_before = self.result.total = None
            return True
        if self.claim.part is not None:
            self._run_ahead(self.claim.part)
            filled = self._filled or self.sizes.pages
            self.result.following = next_part(self.claim.part, self.paging, self.result, following, filled)
            return self.result.following is not None
        self.result.parts = narrower(self.claim.span, self.paging, self.result, self.sizes)
        return bool(self.result.parts)

    def _run_ahead(self, part: Part) -> None:
        """Says where the next part begins as soon as it is clear that there is one."""
        is_first = self.result.pages == 1 and not self._filled
        end = part.end_position if is_first and part.exhaustive else None
        if end is not None and self.paging.reaches(end, self.result.total):
            self.on_more(end)

    def _note(self, seen: Page, page: RecordPage) -> None:
        result = self.result
        self._refuse_endless(seen)
        result.remember(page.ids, page.unnamed, self._shared(page.ids))
        result.order.append(page.sorted_at if self.settled_before else [])
        before, result.total = result.total, self.paging.total(seen)
        if result.pages == 0:
            result.total_before = result.total
        else:
            result.recounted = result.recounted or result.total != before
        if result.pages <= self.claim.drifts:
            result.head += page.ids
        result.tail, result.last = page.ids, page.arrivals or result.last
        result.ends = [*result.ends[:2], *page.ends]
        result.pages, result.largest = result.pages + 1, max(result.largest, seen.count)
        result.filled += bool(seen.count)

    def _shared(self, ids: list[str]) -> int:
        """Records at the page's beginning that repeat the end of the page before."""
        shared = min(self.paging.overlap, max(len(self.result.tail) - 1, 0))
        return shared if shared and ids[:shared] == self.result.tail[-shared:] else 0

    def _refuse_endless(self, seen: Page) -> None:
        result = self.result
        result.empty = 0 if seen.count else result.empty + 1
        result.repeated = result.repeated + 1 if seen.count and not seen.fresh else result.repeated * (not seen.fresh)
        if result.repeated > MOST_REPEATED:
            raise ContractBroken(f"the list repeats itself: {result.repeated} pages in a row held nothing new")
        if result.empty > MOST_EMPTY:
            raise ContractBroken(f"the list has no end: {result.empty:,} empty pages in a row, each leading to another")

    def _has_shifted(self, ids: list[str]) -> bool:
        """Whether this page begins otherwise than the page before ended."""
        shared = min(self.paging.overlap, len(self.result.tail) - 1)
        return shared > 0 and ids[:shared] != self.result.tail[-shared:]

    def _is_torn(self, ids: list[str]) -> bool:
        """Whether this page holds nothing of the page before, so that what stood in between was missed."""
        may_go_back = self.result.moved and self.result.steps_back < MOST_STEPS_BACK
        return may_go_back and bool(ids) and set(self.result.tail).isdisjoint(ids)
