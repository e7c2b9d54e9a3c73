"""Questions and answers over HTTP, as the three providers see them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from sandbox.world.clock import epoch

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Question:
    method: str
    path: tuple[str, ...]
    query: dict[str, list[str]]
    authorization: str
    body: bytes = b""

    def text(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else None

    def texts(self, name: str) -> list[str]:
        return self.query.get(name, [])

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.removeprefix("-").isdecimal() or not low <= int(text) <= high:
            raise BadValueError(f"{name} must be an integer from {low} to {high}")
        return int(text)

    def moment(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            return default if text is None else epoch(text)
        except ValueError:
            raise BadValueError(f"{name} must be an ISO 8601 date-time") from None

    def word(self, name: str, allowed: Iterable[str]) -> str | None:
        text = self.text(name)
        if text is not None and text not in allowed:
            raise BadValueError(f"{name} must be one of {', '.join(allowed)}")
        return text


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str] = _JSON


@dataclass(eq=False)
class RefusedError(Exception):
    """The provider says no; it words that in its own way."""

    status: int
    message: str
    details: dict[str, Any] = field(default_factory=dict)


class BadValueError(Exception):
    """A value the provider cannot take; the status for that is the provider's own."""


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value))


def listed(head: bytes, bodies: list[bytes], tail: bytes) -> Answer:
    return Answer(200, b"".join((head, b",".join(bodies), tail)))
