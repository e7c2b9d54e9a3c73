"""Walks over lists of which the pages are values: no HTTP, no database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrivals import Arrival, RecordPage
from models.claim import Claim, Part
from models.coverage import Sizes, Span
from models.errors import ContractBroken, PositionLost, RecordNotFound, RequestRefused
from models.pagination import CursorPaging, OffsetPaging, PagePaging, Paging, Position
from models.vocabulary import Origin
from tasks.extract.walker import MOST_EMPTY, MOST_REPEATED, MOST_STEPS_BACK, Walker
from tests.support.records import at

OFFSET = OffsetPaging(limit=5, overlap=2)
NUMBERED = PagePaging(limit=3)
CURSOR = CursorPaging(limit=3)
HOUR = Span(at(), at(3600))
Fetch = Callable[[Position], RecordPage]


def record(id_: str, sorted_at: datetime | None = None) -> Arrival:
    return Arrival(id_, "{}", id_.encode(), at(), sorted_at=sorted_at)


def page_of(ids: Sequence[str], **envelope: object) -> RecordPage:
    return RecordPage(envelope, [record(id_) for id_ in ids], list(ids))


def claimed(part: Part | None = None, *, span: Span | None = HOUR, drifts: int = 0) -> Claim:
    return Claim(1, span, Origin.LIVE, drifts, at(), part)


def walker(paging: Paging, fetch: Fetch, claim: Claim | None = None, **more: object) -> Walker:
    return Walker(paging, claim or claimed(), fetch, **more)  # type: ignore[arg-type]


def walked(one: Walker) -> list[list[str]]:
    """The ids of each page that the walk yields."""
    return [page.ids for page in one.pages()]


def names(count: int, letter: str = "r") -> list[str]:
    return [f"{letter}{i}" for i in range(count)]


Edit = Callable[[list[str]], None]


@dataclass
class OffsetList:
    """A list behind offset and limit, with its total; before each request it may be edited."""

    ids: list[str]
    limit: int = OFFSET.limit
    edits: list[Edit] = field(default_factory=list)
    says_total: bool = True
    asked: list[int] = field(default_factory=list)
    always: set[str] = field(default_factory=set)
    """The records that it held at every request."""
    served: list[int] = field(default_factory=list)

    def fetch(self, position: Position) -> RecordPage:
        if self.asked and self.edits:
            self.edits.pop(0)(self.ids)
        self.always = set(self.ids) if not self.asked else self.always & set(self.ids)
        offset = int(position)
        self.asked.append(offset)
        ids = self.ids[offset : offset + self.limit]
        self.served.append(len(ids))
        return page_of(ids, **({"pagination": {"totalCount": len(self.ids)}} if self.says_total else {}))


def removed(first: int, count: int = 1) -> Edit:
    def edit(ids: list[str]) -> None:
        del ids[first : first + count]

    return edit


def added(count: int, place: int = 0) -> Edit:
    def edit(ids: list[str]) -> None:
        ids[place:place] = [f"new{len(ids)}-{i}" for i in range(count)]

    return edit


def cursor_pages(*pages: Sequence[str]) -> Fetch:
    """Pages that lead on from one to the next: cursors 1, 2, ..."""

    def fetch(position: Position) -> RecordPage:
        place = int(position or 0)
        following = {"nextPageToken": str(place + 1)} if place + 1 < len(pages) else {}
        return page_of(pages[place], **following)

    return fetch


def test_overlap() -> None:
    """Each page of an offset list begins with the last two records of the page before, and the list is read whole."""
    source = OffsetList(names(11))
    walk = walker(OFFSET, source.fetch)

    pages = walked(walk)

    assert source.asked == [0, 3, 6, 9]
    assert all(before[-2:] == after[:2] for before, after in pairwise(pages))
    assert (walk.result.ids, walk.result.total, walk.result.moved) == (set(names(11)), 11, False)


@given(st.integers(0, 60), st.integers(3, 9), st.booleans())
def test_a_list_at_rest(length: int, limit: int, says_total: bool) -> None:
    """A list at rest is read whole, whatever its length and whether or not it says a total, and without a step back."""
    source = OffsetList(names(length), limit=limit, says_total=says_total)
    walk = walker(OffsetPaging(limit=limit), source.fetch, sizes=Sizes(pages=1_000))

    walked(walk)

    assert walk.result.ids == set(names(length))
    assert (walk.result.moved, walk.result.steps_back) == (False, 0)
    assert len(source.asked) <= length // (limit - 2) + 2


EDITS = st.lists(
    st.builds(added, st.integers(0, 9), st.integers(0, 40)) | st.builds(removed, st.integers(0, 40), st.integers(0, 9)),
    max_size=12,
)


@given(st.integers(0, 50), EDITS)
def test_a_list_that_moves(length: int, edits: list[Edit]) -> None:
    """What stays in a list while others come and go is read, or the walk knows that it was not (airbyte#21500)."""
    source = OffsetList(names(length), edits=edits)
    walk = walker(OFFSET, source.fetch, sizes=Sizes(pages=1_000))

    walked(walk)

    result = walk.result
    if not source.always <= result.ids:
        assert result.moved
        held_nothing_new = result.repeated or source.served[-1] == 0
        assert result.steps_back == MOST_STEPS_BACK or held_nothing_new


def test_records_added_at_the_top() -> None:
    """Records that come in at the top shift the list: some are seen twice, none is lost, and the walk says so."""
    walk = walker(OFFSET, OffsetList(names(9), edits=[added(1)]).fetch)

    walked(walk)

    assert set(names(9)) <= walk.result.ids
    assert walk.result.moved
    assert walk.result.steps_back == 0


def test_a_step_back() -> None:
    """Where a page shares nothing with the one before, the walk goes back a page until it does."""
    source = OffsetList(names(20), edits=[removed(0, 4)])
    walk = walker(OFFSET, source.fetch)

    walked(walk)

    assert source.asked[:3] == [0, 3, 0]
    assert (walk.result.steps_back, walk.result.moved) == (1, True)
    assert set(names(20)[4:]) <= walk.result.ids


def test_a_list_that_never_rests() -> None:
    """A list that jumps under every request is not followed for ever: ten steps back, then the walk goes on."""
    source = OffsetList(names(400), edits=[removed(0, 9)] * 30)
    walk = walker(OFFSET, source.fetch, sizes=Sizes(pages=1_000))

    walked(walk)

    assert walk.result.steps_back == MOST_STEPS_BACK
    assert walk.result.moved


def test_a_removed_record_at_the_edge() -> None:
    """One record that leaves between two pages costs no other one (PostHog#70028)."""
    walk = walker(OFFSET, OffsetList(names(12), edits=[removed(1), removed(0)]).fetch)

    walked(walk)

    assert set(names(12)[2:]) <= walk.result.ids


def test_an_empty_list() -> None:
    """A list without a record is one page, and proven by its total of nothing."""
    walk = walker(OFFSET, OffsetList([]).fetch)

    assert walked(walk) == [[]]
    assert (walk.result.pages, walk.result.filled, walk.result.total, walk.result.ids) == (1, 0, 0, set())


def test_empty_pages_lead_on() -> None:
    """A page without a record is no end where it names a next one (activepieces#10160)."""
    walk = walker(CURSOR, cursor_pages(["a"], [], [], ["b"]))

    walked(walk)

    assert (walk.result.ids, walk.result.pages, walk.result.filled, walk.result.empty) == ({"a", "b"}, 4, 2, 0)


def test_empty_pages_without_an_end() -> None:
    """A list of which empty pages lead to empty pages is given up after a thousand of them."""
    walk = walker(
        CURSOR,
        lambda position: page_of([], nextPageToken=str(int(position or 0) + 1)),
        claimed(span=None),
        sizes=Sizes(pages=10**6),
    )

    with pytest.raises(ContractBroken, match="no end"):
        walked(walk)

    assert walk.result.empty == MOST_EMPTY + 1


@pytest.mark.parametrize(("times", "is_refused"), [(MOST_REPEATED, False), (MOST_REPEATED + 1, True)])
def test_repeated_pages(times: int, is_refused: bool) -> None:
    """A page may come again as a list shifts, but not more than five times in a row (OpenMetadata#23210)."""
    pages = [["a", "b"], *[["a", "b"]] * times, ["c"]]
    walk = walker(CURSOR, cursor_pages(*pages))

    if is_refused:
        with pytest.raises(ContractBroken, match="repeats itself"):
            walked(walk)
    else:
        walked(walk)
        assert walk.result.ids == {"a", "b", "c"}


def test_cursors_in_a_circle() -> None:
    """Cursors that lead A, B, A are refused, not only a cursor that leads to itself (gestalt#2057)."""
    following = {"": "A", "A": "B", "B": "A"}
    walk = walker(CURSOR, lambda position: page_of([position or "first"], nextPageToken=following[position]))

    with pytest.raises(ContractBroken, match="circle"):
        walked(walk)


def numbered(ids: Sequence[str], total: int, refusal: type[Exception], beyond: int) -> Fetch:
    """Page numbers; the page `beyond` and those after it are refused."""

    def fetch(position: Position) -> RecordPage:
        number = int(position)
        if number >= beyond:
            raise refusal(f"there is no page {number}")
        return page_of(ids[(number - 1) * 3 : number * 3], meta={"total": total, "limit": 3})

    return fetch


@pytest.mark.parametrize("refusal", [RequestRefused, RecordNotFound])
def test_a_refusal_beyond_the_last_page(refusal: type[Exception]) -> None:
    """A provider that refuses the page after the last ends the list, once as many came as it counts."""
    walk = walker(NUMBERED, numbered(names(6), 6, refusal, beyond=3))

    assert len(walked(walk)) == 2
    assert walk.result.ids == set(names(6))


@pytest.mark.parametrize(("paging", "ends"), [(NUMBERED, True), (CURSOR, False)], ids=["numbered", "cursor"])
def test_a_page_that_is_not_found(paging: Paging, ends: bool) -> None:
    """Without a total, 404 behind the last page is as good as an empty one; a cursor may have expired."""
    pages = {"": ("a", "b", "c"), "1": ("a", "b", "c"), "A": ("d", "e", "f"), "2": ("d", "e", "f")}

    def fetch(position: Position) -> RecordPage:
        if position not in pages:
            raise RecordNotFound("not found")
        return page_of(pages[position], nextPageToken="B" if position else "A")

    walk = walker(paging, fetch)
    if ends:
        walked(walk)
        assert walk.result.ids == set("abcdef")
    else:
        with pytest.raises(PositionLost):
            walked(walk)


def test_a_refusal_in_the_middle() -> None:
    """A position that is refused before the total came true is lost: the walk is begun again (PostHog#64704)."""
    with pytest.raises(PositionLost, match="no page 2"):
        walked(walker(NUMBERED, numbered(names(6), 6, RequestRefused, beyond=2)))


def test_a_refusal_of_the_first_page() -> None:
    """A first page that is refused is the request's fault, not a lost position."""
    with pytest.raises(RequestRefused) as caught:
        walked(walker(NUMBERED, numbered([], 0, RequestRefused, beyond=1)))

    assert not isinstance(caught.value, PositionLost)


def test_a_part_ends_where_the_next_begins() -> None:
    """A part of a counted list ends at the position where the next part begins, and says early that there is one."""
    source, more = OffsetList(names(60)), list[Position]()
    part = Part("s", "0", OFFSET.part_end("0", 4), exhaustive=True)
    walk = walker(OFFSET, source.fetch, claimed(part), on_more=more.append)

    walked(walk)

    assert (walk.result.following, more, source.asked) == ("12", ["12"], [0, 3, 6, 9])
    assert walk.result.ids == set(names(14))


@given(st.integers(0, 80), st.integers(2, 6))
def test_parts_touch(length: int, pages: int) -> None:
    """The parts of a list at rest overlap by records, and together hold all of it."""
    source, position, parts = OffsetList(names(length)), "0", list[set[str]]()
    while position is not None:
        part = Part("s", position, OFFSET.part_end(position, pages), exhaustive=True)
        walk = walker(OFFSET, source.fetch, claimed(part))
        walked(walk)
        parts.append(walk.result.ids)
        position = walk.result.following  # type: ignore[assignment]

    assert set().union(*parts) == set(names(length))
    assert all(before & after for before, after in pairwise(parts))


def test_a_part_of_a_cursor_list() -> None:
    """Of a list with cursors a part ends after so many pages with records; a second walk ends there too."""
    pages = [["a"], [], ["b"], ["c"], ["d"]]
    walk = walker(CURSOR, cursor_pages(*pages), claimed(Part("s", ""), span=None), sizes=Sizes(pages=2))

    first = walked(walk)
    ends = walk.result.following
    second = walked(walk)

    assert (first, ends) == ([["a"], [], ["b"]], "3")
    assert (second, walk.result.following) == (first, ends)


def test_a_window_that_is_too_long_by_its_total() -> None:
    """A window that holds more pages than a window should is given up after one page, for parts that cover it."""
    source = OffsetList(names(400))
    walk = walker(OFFSET, source.fetch, sizes=Sizes(pages=20))

    walked(walk)

    parts = walk.result.parts
    assert source.asked == [0]
    assert len(parts) == 4  # 400 records, 100 to a window
    assert (parts[0].since, parts[-1].until) == (HOUR.since, HOUR.until)
    assert all(before.until == after.since for before, after in pairwise(parts))


def test_a_window_that_is_too_long_without_a_total() -> None:
    """Where no total is said, a window that has grown too long is halved."""
    walk = walker(CURSOR, cursor_pages(*[[name] for name in names(9)]), sizes=Sizes(pages=4))

    walked(walk)

    assert walk.result.pages == 4
    assert [part.length for part in walk.result.parts] == [HOUR.length / 2] * 2


def dated_pages(*pages: Sequence[datetime | None]) -> Fetch:
    """Pages of records with the times that they are sorted by."""
    names_only = cursor_pages(*([f"r{i}.{j}" for j, _ in enumerate(page)] for i, page in enumerate(pages)))

    def fetch(position: Position) -> RecordPage:
        page, moments = names_only(position), pages[int(position or 0)]
        return page._replace(arrivals=[record(id_, moment) for id_, moment in zip(page.ids, moments, strict=True)])

    return fetch


def back(*minutes: int | None) -> list[datetime | None]:
    """So many minutes before the hour."""
    return [None if one is None else at(-60 * one) for one in minutes]


OLD = (back(1, 2, 3), back(4, 5, 6))
"""Two whole pages of records that are older than the hour, newest first."""


@pytest.mark.parametrize(
    ("pages", "stops"),
    [
        ((back(-5, -4, -3), *OLD, back(7, 8, 9)), True),
        ((back(-5, -4, -3), back(1, 2, 3), back(5, 4, 6), back(7, 8, 9)), False),
        ((back(-5, -4, -3), back(1, None, 3), back(4, 5, 6), back(7, 8, 9)), False),
        ((back(-5, -4, -3), back(-1, 2, 3), back(4, 5, 6)), False),
        ((back(-5), back(1), back(2), back(3)), False),
    ],
    ids=["older", "out of order", "without a time", "one page", "short pages"],
)
def test_an_early_stop(pages: Sequence[Sequence[datetime | None]], stops: bool) -> None:
    """A scheduled scan ends after two whole pages that are older than asked for and in order, and not before."""
    walk = walker(CURSOR, dated_pages(*pages), claimed(Part("s", "")), settled_before=at())

    read = walked(walk)

    assert (len(read) < len(pages)) == stops


def test_no_early_stop_of_an_exhaustive_scan() -> None:
    """A scan that is to confirm the order of a list reads all of it."""
    part = Part("s", "", exhaustive=True)
    walk = walker(CURSOR, dated_pages(*OLD, back(7, 8)), claimed(part), settled_before=at())

    assert len(walked(walk)) == 3


def test_records_without_an_id() -> None:
    """Records without an id are counted each, although their text is the same (airbyte#14732)."""
    digest = b"same".hex()
    page = RecordPage({}, [record(digest)] * 3, [digest] * 3, frozenset({digest}))
    walk = walker(CURSOR, lambda _position: page)

    walked(walk)

    assert len(walk.result.ids) == 3


def test_says_more() -> None:
    """A provider that says at the end that more follow, and gives none, is remembered."""
    walk = walker(OFFSET, lambda _position: page_of([], pagination={"hasNext": True, "totalCount": 9}))

    walked(walk)

    assert walk.result.says_more
