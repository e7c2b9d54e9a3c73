"""Paging as small values with guards, tested without HTTP.

A pager is asked for the parameters of the next page until it answers None. It never loops: a position it has already
asked for, or too many pages, is named as the vendor's fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from models.errors import ContractBroken

Position = str
"""Where a list continues: an offset, a page number or a cursor, as text for the ledger."""


@dataclass(frozen=True, slots=True)
class Page:
    """What paging needs to know of one answer: its envelope without the records, and how many records it held."""

    envelope: Mapping[str, Any]
    count: int
    fresh: int
    """How many of them this window had not seen."""


class Paging(Protocol):
    """How a list is cut in pages."""

    @property
    def start(self) -> Position: ...
    @property
    def limit(self) -> int:
        """Records asked for per page."""

    @property
    def is_counted(self) -> bool:
        """Whether positions are counted, and do not expire as cursors do."""

    @property
    def overlap(self) -> int:
        """Records of the page before with which each page begins."""

    def params(self, position: Position) -> dict[str, Any]: ...
    def following(self, position: Position, page: Page) -> Position | None:
        """The position after `page`, None where the list ended."""

    def total(self, page: Page) -> int | None:
        """How many records the provider says the whole list holds."""

    def says_more(self, page: Page) -> bool:
        """Whether the provider says in so many words that records follow this page."""

    def says_end(self, page: Page) -> bool:
        """Whether it says that none do, and yet a page beyond is asked for, which it may refuse."""

    def back(self, position: Position) -> Position:
        """One page before `position`; the same where positions do not shift, or at the start."""

    def part_end(self, position: Position, pages: int) -> Position | None:
        """Where the part after the one of `pages` pages from `position` begins; None where only reading shows it."""

    def is_past(self, position: Position, end: Position) -> bool:
        """Whether a part that would go on at `position` has reached its end."""

    def reaches(self, position: Position, total: int | None) -> bool:
        """Whether a list of `total` records goes on to `position`, which may be asked for on the chance."""


@dataclass(frozen=True, slots=True)
class OffsetPaging:
    """`offset` and `limit`; the end by a flag, else by the total, else by a page without anything new.

    Each page begins with the last `overlap` records of the one before: where it does not, the list moved in between.
    """

    limit: int
    overlap: int = 2
    more: tuple[str, ...] = ("pagination", "hasNext")
    total_at: tuple[str, ...] = ("pagination", "totalCount")
    start: Position = "0"
    is_counted: bool = True

    def params(self, position: Position) -> dict[str, Any]:
        return {"offset": int(position), "limit": self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        following = str(int(position) + page.count - min(self.overlap, page.count - 1))
        return None if not page.count or self._is_last(int(position), page) else following

    def _is_last(self, offset: int, page: Page) -> bool:
        more, total = _at(page.envelope, self.more), self.total(page)
        if isinstance(more, bool):
            return not more
        # Of a provider that says nothing the page size is not believed either: it may serve fewer than asked for.
        if total is None or not page.fresh:
            return not page.fresh
        return page.count < self.limit and offset + page.count >= total

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

    def says_more(self, page: Page) -> bool:
        return _at(page.envelope, self.more) is True

    def says_end(self, page: Page) -> bool:  # noqa: ARG002 - of the protocol
        return False

    def back(self, position: Position) -> Position:
        return str(max(int(position) - self.limit, 0))

    def part_end(self, position: Position, pages: int) -> Position | None:
        return str(int(position) + pages * (self.limit - self.overlap))

    def is_past(self, position: Position, end: Position) -> bool:
        return int(position) >= int(end)

    def reaches(self, position: Position, total: int | None) -> bool:
        return total is None or int(position) < total


@dataclass(frozen=True, slots=True)
class PagePaging:
    """A page number and a page size; the end by the total, else by a page without anything new."""

    limit: int
    start: Position = "1"
    """The number of the first page."""
    number_param: str = "page"
    size_param: str = "limit"
    total_at: tuple[str, ...] = ("meta", "total")
    limit_at: tuple[str, ...] = ("meta", "limit")
    number_at: tuple[str, ...] = ("meta", "page")
    last_at: tuple[str, ...] = ()
    """Where the answer says how many pages there are."""
    overlap: int = 0
    is_counted: bool = True

    def params(self, position: Position) -> dict[str, Any]:
        return {self.number_param: int(position), self.size_param: self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        number, served = int(position), _count(_at(page.envelope, self.number_at))
        if served is not None and served != number:
            raise ContractBroken(f"page {number} was asked for, and the answer says that it is page {served}")
        return None if self._is_last(number - int(self.start) + 1, page) else str(number + 1)

    def _is_last(self, pages: int, page: Page) -> bool:
        """Whether the list ends after this page, the `pages`-th."""
        served, total, last = _count(_at(page.envelope, self.limit_at)), self.total(page), self._pages(page)
        if not page.count:
            return True
        if last is not None:
            # Neither the number of pages nor their size is believed: more may stand behind them.
            return pages >= last and not page.fresh
        if total is not None:
            # A full page is not the last one, whatever the total says: it may count too few.
            is_short = page.count < min(served or self.limit, self.limit) or not page.fresh
            return is_short and (pages - 1) * (served or page.count) + page.count >= total
        # The size that is said to be served may be the one that was asked for, and not obeyed.
        return not page.fresh

    def _pages(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.last_at)) if self.last_at else None

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

    def says_more(self, page: Page) -> bool:
        """By the number of pages; else not in words, since the total speaks for itself."""
        number, last = _count(_at(page.envelope, self.number_at)), self._pages(page)
        return number is not None and last is not None and number - int(self.start) + 1 < last

    def says_end(self, page: Page) -> bool:
        return self._pages(page) is not None and not self.says_more(page)

    def back(self, position: Position) -> Position:
        return str(max(int(position) - 1, int(self.start)))

    def part_end(self, position: Position, pages: int) -> Position | None:
        # The part after begins with the last page of this one: page numbers leave no smaller overlap.
        return str(int(position) + max(pages - 1, 1))

    def is_past(self, position: Position, end: Position) -> bool:
        return int(position) > int(end)

    def reaches(self, position: Position, total: int | None) -> bool:
        # A page beyond the last is an error at many an API.
        return total is not None and (int(position) - int(self.start)) * self.limit < total


@dataclass(frozen=True, slots=True)
class CursorPaging:
    """A `pageToken` that the answer carries while there is more; no total."""

    limit: int
    param: str = "pageToken"
    token_at: tuple[str, ...] = ("nextPageToken",)
    start: Position = ""
    overlap: int = 0
    is_counted: bool = False

    def params(self, position: Position) -> dict[str, Any]:
        return {"limit": self.limit} | ({self.param: position} if position else {})

    def following(self, position: Position, page: Page) -> Position | None:
        token = _at(page.envelope, self.token_at)
        if token is not None and not isinstance(token, str):
            raise ContractBroken(f"the next page's token is no text but {type(token).__name__}")
        if token == position and not page.count:
            return None  # an empty page that names itself is the end; any other repetition is for the guard
        return token or None

    def total(self, page: Page) -> int | None:  # noqa: ARG002 - of the protocol
        return None

    def says_more(self, page: Page) -> bool:  # noqa: ARG002 - of the protocol
        """Not in words: a token that leads on is followed."""
        return False

    def says_end(self, page: Page) -> bool:  # noqa: ARG002 - of the protocol
        return False

    def back(self, position: Position) -> Position:
        return position

    def part_end(self, position: Position, pages: int) -> Position | None:  # noqa: ARG002 - of the protocol
        return None

    def is_past(self, position: Position, end: Position) -> bool:  # noqa: ARG002 - of the protocol
        return False

    def reaches(self, position: Position, total: int | None) -> bool:  # noqa: ARG002 - of the protocol
        return False


class Guard:
    """Refuses to ask for a position twice: A→A and A→B→A alike."""

    def __init__(self) -> None:
        self._asked: set[Position] = set()

    @property
    def admitted(self) -> int:
        """How many positions were asked for."""
        return len(self._asked)

    def admit(self, position: Position) -> None:
        if position in self._asked:
            raise ContractBroken(
                f"the list led back to a page already read ({position[:60]!r}): its cursors run in a circle"
            )
        self._asked.add(position)


def _at(envelope: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = envelope
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
