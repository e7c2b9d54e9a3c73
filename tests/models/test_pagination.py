"""Paging: every list ends where it ends, and none goes round in a circle."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractBroken
from models.pagination import CursorPaging, Guard, OffsetPaging, Page, PagePaging, Paging
from tasks.providers import PROVIDERS

ODD: list[Any] = [None, {}, [], "", 5, "x", True, -1, 1.5]


def page(count: int = 100, fresh: int | None = None, **envelope: Any) -> Page:
    return Page(envelope, count, count if fresh is None else fresh)


def walk(paging: Paging, pages: list[Page]) -> list[str]:
    """The positions asked for, until the list ends or the pages run out."""
    guard, asked = Guard(), list[str]()
    position = paging.start
    for one in pages:
        guard.admit(position)
        asked.append(position)
        following = paging.following(position, one)
        if following is None:
            break
        position = following
    return asked


def offset_page(count: int, **pagination: Any) -> Page:
    return page(count, pagination=pagination)


def test_offsets() -> None:
    """Offsets grow by what came but two, until the provider says that nothing follows (devlake#5032: pages 2 and 3)."""
    pages = [offset_page(100, hasNext=True), offset_page(100, hasNext=True), offset_page(7, hasNext=False)]

    assert walk(OffsetPaging(limit=100), pages) == ["0", "98", "196"]
    assert OffsetPaging(limit=100).params("200") == {"offset": 200, "limit": 100}


def test_offset_goes_on_after_a_short_page() -> None:
    """A short page is not the last while the provider says that more follow (airbyte-python-cdk#1073)."""
    paging = OffsetPaging(limit=100)

    assert paging.following("0", offset_page(3, hasNext=True)) == "1"
    assert paging.following("0", offset_page(1, hasNext=True)) == "1"
    assert paging.following("0", offset_page(100, hasNext=False)) is None


def test_offset_empty_page_is_the_last() -> None:
    """An empty page ends the list, also where the provider claims that more follow (OpenMetadata#23210)."""
    assert OffsetPaging(limit=100).following("300", offset_page(0, hasNext=True)) is None


@pytest.mark.parametrize("pagination", [*ODD, {"hasNext": None}, {"hasNext": "yes"}, {"hasNext": 1}], ids=str)
def test_offset_without_a_flag(pagination: Any) -> None:
    """Where the provider says nothing, only a page without anything new is the last: its size is not known either."""
    paging = OffsetPaging(limit=100)

    assert paging.following("0", page(100, pagination=pagination)) == "98"
    assert paging.following("0", page(99, pagination=pagination)) == "97"
    assert paging.following("0", page(100, 0, pagination=pagination)) is None
    assert paging.following("0", page(0, pagination=pagination)) is None


def test_offset_by_its_total() -> None:
    """Without a flag the total says where the list ends."""
    paging = OffsetPaging(limit=100)

    assert paging.following("0", offset_page(50, totalCount=120)) == "48"
    assert paging.following("48", offset_page(72, totalCount=120)) is None
    assert paging.following("20", offset_page(100, totalCount=120)) == "118", "a full page may have another after it"


def test_numbered_pages() -> None:
    """Page numbers start at one and end, where there is no total, with a page that holds nothing."""
    pages = [page(100, meta={"limit": 100}), page(100, meta={"limit": 100}), page(1, meta={"limit": 100}), page(0)]

    assert walk(PagePaging(limit=100), pages) == ["1", "2", "3", "4"]
    assert PagePaging(limit=100).params("3") == {"page": 3, "limit": 100}


def test_numbered_pages_of_a_smaller_size() -> None:
    """The size that is said to be served may be the one asked for: a shorter page is not the last one for that."""
    paging = PagePaging(limit=100)

    assert paging.following("1", page(25, meta={"limit": 25})) == "2"
    assert paging.following("2", page(24, meta={"limit": 25})) == "3"
    assert paging.following("1", page(50, meta={"limit": 100})) == "2"


def test_numbered_pages_whose_total_says_more() -> None:
    """A page is not the last while the total says that records are missing, whatever page size is told."""
    paging = PagePaging(limit=100)

    assert paging.following("1", page(25, meta={"total": 60})) == "2"


@pytest.mark.parametrize("meta", ODD, ids=str)
def test_numbered_pages_without_meta(meta: Any) -> None:
    """Where the provider says nothing, only a page without anything new is the last: its size is not known either."""
    paging = PagePaging(limit=100)

    assert paging.following("1", page(100, meta=meta)) == "2"
    assert paging.following("1", page(99, meta=meta)) == "2"
    assert paging.following("1", page(100, 0, meta=meta)) is None
    assert paging.following("1", page(0, meta=meta)) is None


def test_another_page_than_asked_for() -> None:
    """An answer that says that it is another page than the one asked for is named, never counted."""
    with pytest.raises(ContractBroken, match="page 2 was asked for"):
        PagePaging(limit=100).following("2", page(100, meta={"page": 1, "limit": 100}))


def test_numbered_pages_from_zero() -> None:
    """A list whose pages count from zero ends by its total as one that counts from one."""
    paging = PagePaging(limit=10, start="0", size_param="size")
    pages = [page(10, meta={"total": 27})] * 2 + [page(7, meta={"total": 27})]

    assert walk(paging, pages) == ["0", "1", "2"]
    assert paging.params("0") == {"page": 0, "size": 10}


def test_cursors() -> None:
    """A cursor is followed as it is and absent on the last page; pages without records may go on."""
    paging = CursorPaging(limit=1000)
    pages = [page(1000, nextPageToken="a="), page(0, nextPageToken="b/"), page(3)]

    assert walk(paging, pages) == ["", "a=", "b/"]
    assert paging.params("") == {"limit": 1000}
    assert paging.params("a=") == {"limit": 1000, "pageToken": "a="}


@pytest.mark.parametrize("token", [None, ""])
def test_empty_cursor_is_the_end(token: str | None) -> None:
    """A cursor that is null or empty is none."""
    assert CursorPaging(limit=10).following("a", page(10, nextPageToken=token)) is None


@pytest.mark.parametrize("token", [{}, [], 5, True, 1.5, {"after": "x"}], ids=str)
def test_odd_cursor(token: Any) -> None:
    """A cursor of another type is named, never guessed at."""
    with pytest.raises(ContractBroken, match="token"):
        CursorPaging(limit=10).following("a", page(10, nextPageToken=token))


def test_repeated_cursor_without_news() -> None:
    """An empty page that gives its own cursor again is the end (seatunnel#11098)."""
    assert CursorPaging(limit=10).following("a", page(0, nextPageToken="a")) is None


def test_repeated_cursor_with_news() -> None:
    """A cursor that does not move while records keep coming is a circle, and is named (typescript-sdk#2735)."""
    with pytest.raises(ContractBroken, match="circle"):
        walk(CursorPaging(limit=10), [page(10, nextPageToken="a")] * 3)


def test_cycle_of_cursors() -> None:
    """A → B → A is found, not only A → A (gestalt#2057)."""
    tokens = ["a", "b", "a", "b"]

    with pytest.raises(ContractBroken, match="circle"):
        walk(CursorPaging(limit=10), [page(10, nextPageToken=token) for token in tokens])


@given(st.lists(st.sampled_from("abc"), max_size=9))
def test_guard(positions: list[str]) -> None:
    """The guard refuses exactly the second time."""
    guard, seen = Guard(), set[str]()
    for position in positions:
        if position in seen:
            with pytest.raises(ContractBroken):
                guard.admit(position)
        else:
            guard.admit(position)
        seen.add(position)


@pytest.mark.parametrize("total", [*ODD, 10**30], ids=str)
def test_totals(total: Any) -> None:
    """A total is a count or nothing."""
    offset = OffsetPaging(limit=10).total(page(pagination={"totalCount": total}))
    numbered = PagePaging(limit=10).total(page(meta={"total": total}))

    assert offset == numbered == (total if type(total) is int and total >= 0 else None)
    assert CursorPaging(limit=10).total(page(total=5)) is None


@given(st.integers(0, 450), st.booleans(), st.sampled_from([OffsetPaging(limit=100), PagePaging(limit=100)]))
def test_every_list_is_read_whole(size: int, flagged: bool, paging: Paging) -> None:
    """A list of any length is read in full and ended, with and without the provider's word for it."""
    seen, guard = set[int](), Guard()
    position: str | None = paging.start
    while position is not None:
        guard.admit(position)
        start = int(position) if paging.overlap else (int(position) - 1) * 100
        found = set(range(start, min(start + 100, size)))
        told = {"pagination": {"hasNext": start + 100 < size}, "meta": {"total": size}} if flagged else {}
        position = paging.following(position, Page(told, len(found), len(found - seen)))
        seen |= found

    assert seen == set(range(size))


@pytest.mark.parametrize("paging", [OffsetPaging(limit=100), PagePaging(limit=100)], ids=["offset", "page"])
@given(pages=st.integers(2, 30), parts=st.integers(1, 5))
def test_parts_touch(paging: Paging, pages: int, parts: int) -> None:
    """The parts of a long list follow each other without a gap, and each begins with what the one before ended with."""
    begin = paging.start
    for _ in range(parts):
        end = paging.part_end(begin, pages)
        assert end is not None
        position = begin
        for _ in range(pages):
            assert not paging.is_past(position, end)
            following = paging.following(position, page(100, pagination={"hasNext": True}, meta={"limit": 100}))
            assert following is not None
            position = following
        assert paging.is_past(position, end)
        begin = end


@pytest.mark.parametrize("provider", PROVIDERS)
def test_declared(provider: str) -> None:
    """Every declared list asks for an explicit page size and begins somewhere."""
    for stream in PROVIDERS[provider].streams:
        assert stream.paging.params(stream.paging.start)["limit"] >= 100
