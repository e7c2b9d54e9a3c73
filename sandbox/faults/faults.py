"""What can go wrong on demand: every fault by name, all of them decided by counting, none by chance.

A new fault is a line in `FAULTS` and one where it acts: in the provider's place (`_INTERRUPTIONS`), on records
(`spoil.SPOILERS`), on the list between two pages (`motion.MOTIONS`), on pages (`paging.BENDS`).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from email.utils import formatdate

from sandbox.faults.spoil import SPOILERS
from sandbox.providers.web import Answer, answer
from sandbox.switches import Switches

FAULTS = {
    "throttle": "every 7th request to a provider is answered 429 with Retry-After, by turns in seconds and as a date",
    "errors": "every 10th request to a provider is answered 500, 502 or 503",
    "slow": "every answer comes 300 ms late",
    "token-expiry": "a Sakari token dies after 5 requests",
    "down-sakari": "Sakari answers 503 to everything",
    "down-bird": "Bird answers 503 to everything",
    "down-skipcall": "Skipcall answers 503 to everything",
    "unreadable": "some records are not objects, have no id or an endless one, or have no start",
    "odd": "some records hold NULs, lone surrogates, endless numbers, unknown words, or lack fields of every kind",
    "moving": "with each page of a list one record appears in it and one changes, with every other one vanishes",
    "deletes": "with each page of a list one of its records vanishes",
    "late-changes": "with each page of calls one that ended long ago gets another duration and end",
    "clock-ahead": "with each page of calls a new one arrives, stamped by a clock 5 minutes ahead of ours",
    "clock-behind": "the same with a clock 5 minutes behind",
    "newest-first": "Sakari's and Skipcall's lists run newest first",
    "oldest-first": "Sakari's and Skipcall's lists run oldest first",
    "unordered": "Sakari's and Skipcall's lists run in no order",
    "no-total": "lists tell no total",
    "total-lies": "lists tell a total that is three too low",
    "total-too-large": "lists tell a total that is three too high",
    "no-list": "pages come without their list",
    "cursor-repeats": "each page of Bird's leads to itself",
    "cursor-circle": "the third page of a list of Bird's leads back to the second",
    "cursor-expires": "every 50th page token of Bird's is refused as expired",
    "cursor-empty-page": "every 3rd page of Bird's is empty and leads on",
    "cursor-at-end": "the last page of a list of Bird's leads to an empty one that leads to itself",
}
ORDERS = ("newest-first", "oldest-first", "unordered")
DELAY = 0.3
TOKEN_REQUESTS = 5


class Faults(Switches):
    """The faults that are on."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self.seconds_late = DELAY
        """Of a slow answer."""
        super().__init__("fault", FAULTS, names)

    def order(self, usual: str) -> str:
        """How a list runs whose order a fault may change."""
        return next((name for name in ORDERS if name in self), usual)

    @property
    def delay(self) -> float:
        return self.seconds_late if "slow" in self else 0

    def interrupt(self, provider: str) -> Answer | None:
        """The answer that a fault gives in the provider's place."""
        for name, interruption in _INTERRUPTIONS.items():
            if name in self:
                self._counts[name, provider] += 1
                found = interruption(provider, self._counts[name, provider])
                if found:
                    return found
        return None

    def dress(self, stream: str, bodies: list[bytes]) -> list[bytes]:
        """Records as they are served while a fault changes some of them."""
        for name, spoiler in SPOILERS.items():
            if name in self:
                bodies = [spoiler(stream, body) for body in bodies]
        return bodies


def _down(victim: str) -> Callable[[str, int], Answer | None]:
    return lambda provider, _count: _unavailable() if provider == victim else None


def _unavailable() -> Answer:
    return answer({"message": "Service Unavailable"}, 503)


def _throttle(_provider: str, count: int) -> Answer | None:
    if count % 7:
        return None
    wait = formatdate(time.time() + 1, usegmt=True) if count % 2 else "1"
    refusal = answer({"message": "Too Many Requests"}, 429)
    return refusal._replace(headers=refusal.headers | {"retry-after": wait})


def _errors(_provider: str, count: int) -> Answer | None:
    if count % 10:
        return None
    status = (500, 502, 503)[count // 10 % 3]
    return Answer(status, b"<html><body>upstream error</body></html>", {"content-type": "text/html"})


_INTERRUPTIONS: dict[str, Callable[[str, int], Answer | None]] = {
    "down-sakari": _down("sakari"),
    "down-bird": _down("bird"),
    "down-skipcall": _down("skipcall"),
    "throttle": _throttle,
    "errors": _errors,
}
