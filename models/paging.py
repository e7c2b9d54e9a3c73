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

    def params(self, position: Position) -> dict[str, Any]: ...
    def following(self, position: Position, page: Page) -> Position | None:
        """The position after `page`, None where the list ended."""

    def total(self, page: Page) -> int | None:
        """How many records the provider says the whole list holds."""

    def behind(self, position: Position, records: int) -> Position:
        """About `records` before `position`; the same where a position cannot shift under us."""


@dataclass(frozen=True, slots=True)
class OffsetPaging:
    """`offset` and `limit`; the end by a flag, else by a short page or one without anything new."""

    limit: int
    more: tuple[str, ...] = ("pagination", "hasNext")
    total_at: tuple[str, ...] = ("pagination", "totalCount")
    start: Position = "0"

    def params(self, position: Position) -> dict[str, Any]:
        return {"offset": int(position), "limit": self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        more = _at(page.envelope, self.more)
        ended = not more if isinstance(more, bool) else _looks_last(page, self.limit)
        return None if ended or not page.count else str(int(position) + page.count)

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

    def behind(self, position: Position, records: int) -> Position:
        return str(max(int(position) - records, 0))


@dataclass(frozen=True, slots=True)
class PagePaging:
    """`page` from 1 and `limit`; the end by the total, else by a short page or one without anything new."""

    limit: int
    total_at: tuple[str, ...] = ("meta", "total")
    limit_at: tuple[str, ...] = ("meta", "limit")
    start: Position = "1"

    def params(self, position: Position) -> dict[str, Any]:
        return {"page": int(position), "limit": self.limit}

    def following(self, position: Position, page: Page) -> Position | None:
        return None if self._is_last(int(position), page) else str(int(position) + 1)

    def _is_last(self, number: int, page: Page) -> bool:
        served, total = _count(_at(page.envelope, self.limit_at)), self.total(page)
        if not page.count or not page.fresh:
            return True
        if served is None and total is not None:
            return number * page.count >= total
        return page.count < min(served or self.limit, self.limit)

    def total(self, page: Page) -> int | None:
        return _count(_at(page.envelope, self.total_at))

    def behind(self, position: Position, records: int) -> Position:
        return str(max(int(position) - -(-records // self.limit), 1))


@dataclass(frozen=True, slots=True)
class CursorPaging:
    """A `pageToken` that the answer carries while there is more; no total."""

    limit: int
    param: str = "pageToken"
    token_at: tuple[str, ...] = ("nextPageToken",)
    start: Position = ""

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

    def behind(self, position: Position, records: int) -> Position:  # noqa: ARG002 - of the protocol
        return position


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
