"""One walk over a window's list, page by page, with a guard at each step.

Pages of counted positions begin with the last records of the page before. Where they do not, records shifted past
between the two requests: the walk steps back a page, until it touches what it had.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

from models.errors import ContractBroken, PositionLost, ProviderError, RequestRefused
from models.paging import Guard, Page, Position
from models.rows import Rejected
from models.window import NARROWEST, PAGES_BEFORE_HALVING, Span, equal_parts
from tasks.intake import Desk, identified, open_page
from tasks.ledger import Claim
from tasks.reader import Arrival
from tasks.sink import Sink

BARREN_PAGES = 5
"""A list that shifts can show a page again; one that goes on so has no end."""
MOST_PAGES = 10_000
"""Of a window that cannot be narrowed further."""
MOST_STEPS_BACK = 10
"""In one walk; a list that moves faster is left to the next reading."""
PAGES_TO_STOP = 2
"""Whole pages, in order and older than asked for, after which a scheduled scan of an unbounded list stops."""


class Leaf(NamedTuple):
    """What a page held, kept to know it again."""

    envelope: dict[str, Any]
    ids: list[str]
    order: list[datetime | None]
    """The times that an unbounded list is supposed to be sorted by."""


@dataclass(slots=True)
class Reading:
    """What one walk saw."""

    ids: set[str] = field(default_factory=set)
    pages: int = 0
    barren: int = 0
    """Pages in a row, up to now, that held nothing new."""
    total_before: int | None = None
    total: int | None = None
    """By the last page; None where the provider tells none, or none that speaks of what was read."""
    following: Position | None = None
    """Where the list goes on, where it is too long for one window."""
    parts: list[Span] = field(default_factory=list)
    """What to read in its place, where it is too long and can be narrowed."""
    order: list[list[datetime | None]] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    """Ids of the last page."""
    moved: bool = False
    """Whether a page did not begin with what the page before ended with."""
    steps_back: int = 0

    @property
    def is_newest_first(self) -> bool:
        return all(map(_is_newest_first, self.order))


class Walker:
    """Walks over the list of one claimed window, as often as it takes."""

    def __init__(self, desk: Desk, claim: Claim, sink: Sink, on_more: Callable[[Position], None]) -> None:
        self.desk, self.claim, self.sink = desk, claim, sink
        self._on_more = on_more
        """Told where the next part begins as soon as it is clear that there is one."""
        self._leaves: dict[bytes, Leaf] = {}
        self._pages: int | None = None

    def walk(self) -> Reading:
        """Reads the pages once, later no further than the first time."""
        paging, guard, reading = self.desk.stream.paging, Guard(), Reading()
        position: Position | None = self.claim.position or paging.start
        while position is not None:
            guard.admit(position)
            page, ids = self._page_or_flush(position, reading)
            reading.moved = reading.moved or self._has_shifted(ids, reading)
            if self._is_torn(ids, reading):
                reading.steps_back += 1
                position, guard = paging.back(position), Guard()
                continue
            self._note(page, ids, reading)
            position = paging.following(position, page)
            if position is None or self._may_stop(reading) or self._goes_on_elsewhere(reading, position):
                break
        self.sink.flush()
        self._pages = self._pages or reading.pages
        return reading

    def _page_or_flush(self, position: Position, reading: Reading) -> tuple[Page, list[str]]:
        """What was read before a failure is kept."""
        try:
            return self._page(position, reading)
        except ProviderError as error:
            self.sink.flush()
            if isinstance(error, RequestRefused) and reading.pages:
                raise PositionLost(str(error)) from error
            raise

    def _page(self, position: Position, reading: Reading) -> tuple[Page, list[str]]:
        desk = self.desk
        params = desk.params(self.claim.span) | desk.stream.paging.params(position)
        answer = desk.client.get(desk.listing.path, params, self.sink.tally)
        leaf = self._leaves.get(_mark(answer.text)) if self._leaves else None
        if leaf is None:
            leaf = self._read(answer.text, answer.sent_at)
        else:
            self.sink.take_again(len(leaf.ids))
        reading.order.append(leaf.order)
        return Page(leaf.envelope, len(leaf.ids), len(set(leaf.ids) - reading.ids)), leaf.ids

    def _read(self, body: str, sent_at: datetime) -> Leaf:
        desk = self.desk
        envelope, records = open_page(body, desk.stream.items)
        arrivals = [identified(desk, record, sent_at) for record in records]
        ids = [one.external_id or one.digest.hex() for one in arrivals]
        leaf = Leaf(envelope, ids, [self._sorted_by(record) for record in records] if self._is_unbounded else [])
        if self._will_be_read_again(envelope) and all(isinstance(one, Arrival) for one in arrivals):
            self._leaves[_mark(body)] = leaf
        self.sink.take(arrivals)
        return leaf

    def _will_be_read_again(self, envelope: dict[str, Any]) -> bool:
        counted = self.desk.stream.paging.total(Page(envelope, 0, 0)) is not None
        return not self._is_unbounded and (self.claim.doubted or not counted)

    def _note(self, page: Page, ids: list[str], reading: Reading) -> None:
        reading.barren = 0 if page.fresh else reading.barren + 1
        if reading.barren > BARREN_PAGES:
            raise ContractBroken(f"the list repeats itself: {reading.barren} pages in a row held nothing new")
        reading.ids.update(ids)
        reading.total = self.desk.stream.paging.total(page)
        if reading.pages == 0:
            reading.total_before = reading.total
        if reading.pages <= self.claim.drifts:
            reading.head += ids
        reading.tail = ids
        reading.pages += 1

    def _has_shifted(self, ids: list[str], reading: Reading) -> bool:
        """Whether this page begins otherwise than the page before ended."""
        shared = min(self.desk.stream.paging.overlap, len(reading.tail) - 1)
        return shared > 0 and ids[:shared] != reading.tail[-shared:]

    def _is_torn(self, ids: list[str], reading: Reading) -> bool:
        """Whether this page holds nothing of the page before, so that what stood in between was missed."""
        may_go_back = reading.moved and reading.steps_back < MOST_STEPS_BACK
        return may_go_back and bool(ids) and set(reading.tail).isdisjoint(ids)

    def _goes_on_elsewhere(self, reading: Reading, position: Position) -> bool:
        """Whether the window ends here although its list goes on; notes how the rest is to be read."""
        if self.claim.scan_id is not None:
            reading.following = self._next_part(reading, position)
            return reading.following is not None
        span, count = self.claim.span, self._windows_instead(reading)
        if span and count > 1 and span.length > NARROWEST:
            reading.parts = equal_parts(span, count)
        elif reading.pages >= MOST_PAGES:
            raise ContractBroken(f"the list of one window did not end after {MOST_PAGES:,} pages")
        return bool(reading.parts)

    def _next_part(self, reading: Reading, position: Position) -> Position | None:
        """Where the next part of the scan begins, once this one is at its end."""
        end = self.claim.end_position
        if end is None:
            return position if reading.pages >= (self._pages or PAGES_BEFORE_HALVING) else None
        paging = self.desk.stream.paging
        may_run_ahead = self.claim.exhaustive and paging.reaches(end, reading.total)
        if may_run_ahead and reading.pages == 1 and self._pages is None:
            self._on_more(end)
        return end if paging.is_past(position, end) else None

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
        with suppress(Rejected):
            return self.desk.stream.sorted_by(self.desk.reader.parse(record))
        return None

    def _may_stop(self, reading: Reading) -> bool:
        """Whether a scheduled scan of an unbounded list has seen all it came for."""
        if self.claim.exhaustive or not self._is_unbounded or reading.pages < PAGES_TO_STOP:
            return False
        last = [moment for page in reading.order[-PAGES_TO_STOP:] for moment in page]
        whole = len(last) >= PAGES_TO_STOP * self.desk.stream.paging.limit
        stop = whole and _is_newest_first(last) and self._are_older(last)
        if stop:
            reading.total_before = reading.total = None
        return stop

    def _are_older(self, moments: list[datetime | None]) -> bool:
        assert self.claim.span is not None
        changing_since = datetime.now(self.claim.span.since.tzinfo) - self.desk.client.account.lookback
        return all(moment and moment < min(self.claim.span.since, changing_since) for moment in moments)


def _mark(body: str) -> bytes:
    return blake2b(body.encode(), digest_size=16).digest()


def _is_newest_first(moments: list[datetime | None]) -> bool:
    return all(a is not None and b is not None and a >= b for a, b in pairwise(moments))
