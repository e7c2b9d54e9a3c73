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
    def overlap(self) -> int:
        """Records of the page before with which each page begins."""

    def params(self, position: Position) -> dict[str, Any]: ...
    def following(self, position: Position, page: Page) -> Position | None:
        """The position after `page`, None where the list ended."""

    def total(self, page: Page) -> int | None:
        """How many records the provider says the whole list holds."""

    def back(self, position: Position) -> Position:
        """One page before `position`; the same where positions do not shift, or at the start."""

    def part_end(self, position: Position, pages: int) -> Position | None:
        """Where the part after the one of `pages` pages from `position` begins; None where only reading tells."""

    def is_past(self, position: Position, end: Position) -> bool:
        """Whether a part that would go on at `position` has reached its end."""

    def reaches(self, position: Position, total: int | None) -> bool:
        """Whether a list of `total` records goes on to `position`, which may be asked for on the chance."""


@dataclass(frozen=True, slots=True)
class OffsetPaging:
    """`offset` and `limit`; the end by a flag, else by a short page or one without anything new.

    Each page begins with the last `overlap` records of the one before: where it does not, the list moved in between.
    """

    limit: int
    overlap: int = 2
    more: tuple[str, ...] = ("pagination", "hasNext")
    total_at: tuple[str, ...] = ("pagination", "totalCount")
    start: Position = "0"

    def params(self, position: Position) -> dict[str, Any]:
        return {"offset": int(position), "limit": self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        more = _at(page.envelope, self.more)
        ended = not more if isinstance(more, bool) else _looks_last(page, self.limit)
        return None if ended or not page.count else str(int(position) + page.count - min(self.overlap, page.count - 1))

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

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
    """`page` from 1 and `limit`; the end by the total, else by a short page or one without anything new."""

    limit: int
    total_at: tuple[str, ...] = ("meta", "total")
    limit_at: tuple[str, ...] = ("meta", "limit")
    start: Position = "1"
    overlap: int = 0

    def params(self, position: Position) -> dict[str, Any]:
        return {"page": int(position), "limit": self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        return None if self._is_last(int(position), page) else str(int(position) + 1)

    def _is_last(self, number: int, page: Page) -> bool:
        served, total = _count(_at(page.envelope, self.limit_at)), self.total(page)
        if not page.count:
            return True
        if not page.fresh:
            return total is None or number * (served or self.limit) >= total
        if served is None and total is not None:
            return number * page.count >= total
        return page.count < min(served or self.limit, self.limit)

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

    def back(self, position: Position) -> Position:
        return str(max(int(position) - 1, 1))

    def part_end(self, position: Position, pages: int) -> Position | None:
        # The part after begins with the last page of this one: page numbers leave no smaller overlap.
        return str(int(position) + max(pages - 1, 1))

    def is_past(self, position: Position, end: Position) -> bool:
        return int(position) > int(end)

    def reaches(self, position: Position, total: int | None) -> bool:
        # A page beyond the last is an error at many an API.
        return total is not None and (int(position) - 1) * self.limit < total


@dataclass(frozen=True, slots=True)
class CursorPaging:
    """A `pageToken` that the answer carries while there is more; no total."""

    limit: int
    param: str = "pageToken"
    token_at: tuple[str, ...] = ("nextPageToken",)
    start: Position = ""
    overlap: int = 0

    def params(self, position: Position) -> dict[str, Any]:
        return {"limit": self.limit} | ({self.param: position} if position else {})

    def following(self, position: Position, page: Page) -> Position | None:
        token = _at(page.envelope, self.token_at)
        if token is not None and not isinstance(token, str):
            raise ContractBroken(f"the next page's token is no text but {type(token).__name__}")
        if token == position and not page.count:
            return None  # the end, told by an empty page that names itself; any other repetition is for the guard
        return token or None

    def total(self, page: Page) -> int | None:  # noqa: ARG002 - of the protocol
        return None

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

    def admit(self, position: Position) -> None:
        if position in self._asked:
            raise ContractBroken(
                f"the list led back to a page already read ({position[:60]!r}): its cursors run in a circle"
            )
        self._asked.add(position)


def _looks_last(page: Page, limit: int) -> bool:
    return page.count < limit or not page.fresh


def _at(envelope: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = envelope
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
