"""Payloads spoilt as vendors spoil them: types swapped, keys dropped, doubled, nested; each as raw JSON text."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from hypothesis import strategies as st

VALUES: list[Any] = [
    *(None, True, False, 0, 7, -1, 10**30, 1e20, 0.1, "", " ", "x", "7", "null", "\x00", "\ud83d", "🙂", "a" * 5_000),
    *([], {}, [None], [[]], {"id": 1}, {"": {}}, "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "+4912", "2026-13-45"),
]
"""Nothing of it is a time that a call could have begun at."""


class Pairs(list[tuple[str, Any]]):
    """An object that may hold a key twice."""


def pairs(value: Any) -> Any:
    if isinstance(value, dict):
        return Pairs((key, pairs(held)) for key, held in value.items())
    return [pairs(item) for item in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    """JSON, also of what no dictionary can hold."""
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{written(held)}" for key, held in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def objects(value: Any) -> Iterator[Pairs]:
    """The object and all objects within it that hold something."""
    if isinstance(value, Pairs) and value:
        yield value
    for held in [item for _, item in value] if isinstance(value, Pairs) else value if isinstance(value, list) else []:
        yield from objects(held)


def drop(found: Pairs, at: int, _random: Random) -> None:
    del found[at]


def replace(found: Pairs, at: int, random: Random) -> None:
    found[at] = (found[at][0], pairs(random.choice(VALUES)))


def double(found: Pairs, at: int, random: Random) -> None:
    found.insert(random.randint(0, len(found)), (found[at][0], pairs(random.choice([found[at][1], *VALUES]))))


def nest(found: Pairs, at: int, random: Random) -> None:
    key, held = found[at]
    found[at] = (key, random.choice([[held], Pairs([("value", held)]), [held, held]]))


def exchange(found: Pairs, at: int, random: Random) -> None:
    other = random.randrange(len(found))
    (left, one), (right, two) = found[at], found[other]
    found[at], found[other] = (left, two), (right, one)


def retype(found: Pairs, at: int, _random: Random) -> None:
    key, held = found[at]
    found[at] = (key, written(held) if not isinstance(held, str) else [held])


def rename(found: Pairs, at: int, _random: Random) -> None:
    key, held = found[at]
    found[at] = (key.upper(), held)


WAYS: list[Callable[[Pairs, int, Random], None]] = [drop, replace, replace, double, nest, exchange, retype, rename]


def spoilt(record: Any, random: Random) -> str:
    """The record with one to four of its values spoilt, as text."""
    made = pairs(record)
    for _ in range(random.randint(1, 4)):
        if not (places := list(objects(made))):
            break
        place = random.choice(places)
        random.choice(WAYS)(place, random.randrange(len(place)), random)
    return written(made)


def randoms() -> st.SearchStrategy[Random]:
    return st.integers(0, 2**32 - 1).map(Random)
