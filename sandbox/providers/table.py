"""Encoded records in time order: what a page of a list is cut from."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import itemgetter
from random import Random
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import msgspec

Record = dict[str, Any]
Key = tuple[int, str]
"""Epoch milliseconds of the record's creation, and its id."""

_CACHED_VIEWS = 512
_GAPS = 0.04
"""The share of records that lack what they may lack."""

T = TypeVar("T")


def with_gaps(rng: Random, record: Record, names: Sequence[str]) -> Record:
    """Now and then, fields that may be missing are."""
    if rng.random() > _GAPS:
        return record
    lost = rng.sample(names, rng.randint(1, len(names)))
    return {name: value for name, value in record.items() if name not in lost}


class Row(NamedTuple):
    key: Key
    body: bytes


class View:
    """Rows in ascending order of their keys; both lists have the same length."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = sorted(rows, key=itemgetter(0))
        self.keys = [row[0] for row in rows]
        self.bodies = [row[1] for row in rows]

    def __len__(self) -> int:
        return len(self.keys)

    def span(self, low: float, high: float) -> tuple[int, int]:
        """The positions of the rows created from `low` to `high`, both inclusive, in epoch milliseconds."""
        return bisect_left(self.keys, (low,)), bisect_left(self.keys, (high, chr(0x10FFFF)))

    def before(self, key: Key) -> int:
        """How many rows come before a key that need not be there."""
        return bisect_left(self.keys, key)

    def after(self, key: Key) -> int:
        """Where the rows after a key begin."""
        return bisect_right(self.keys, key)


class Table(View):
    """One stream of one provider."""

    def __init__(self, rows: Iterable[Row]) -> None:
        super().__init__(rows)
        self._places = {key[1]: key for key in self.keys}
        self._cache: dict[Hashable, Any] = {}

    def ids(self) -> list[str]:
        return [key[1] for key in self.keys]

    def get(self, record_id: str) -> bytes | None:
        key = self._places.get(record_id)
        return None if key is None else self.bodies[bisect_left(self.keys, key)]

    def put(self, row: Row) -> None:
        self.remove(row.key[1])
        insort(self.keys, row.key)
        self.bodies.insert(bisect_left(self.keys, row.key), row.body)
        self._places[row.key[1]] = row.key

    def remove(self, record_id: str) -> None:
        self._cache.clear()
        key = self._places.pop(record_id, None)
        if key is not None:
            position = bisect_left(self.keys, key)
            del self.keys[position], self.bodies[position]

    def derived(self, name: Hashable, build: Callable[[], T]) -> T:
        """Something made of this table, kept until the table changes; `name` stands for it."""
        return self._cached(("derived", name), build)

    def filtered(self, name: Hashable, keep: Callable[[Record], bool]) -> View:
        """The rows that `keep` accepts; `name` stands for `keep` in the cache."""
        return self._cached(("filtered", name), lambda: self._pick(keep))

    def ordered(self, name: Hashable, view: View, span: tuple[int, int], order: str) -> Sequence[bytes]:
        """The stretch of a view newest first, oldest first, or in a stable order that has nothing to do with time."""
        start, stop = span
        if order == "unordered":
            return self._cached(("shuffled", name, start, stop), lambda: _shuffle(view, start, stop))
        found = view.bodies[start:stop]
        return found if order == "oldest-first" else found[::-1]

    def _pick(self, keep: Callable[[Record], bool]) -> View:
        rows = zip(self.keys, self.bodies, strict=True)
        return View(Row(key, body) for key, body in rows if keep(msgspec.json.decode(body)))

    def _cached(self, name: Hashable, build: Callable[[], T]) -> T:
        if name not in self._cache:
            if len(self._cache) >= _CACHED_VIEWS:
                self._cache.clear()
            self._cache[name] = build()
        found: T = self._cache[name]
        return found


def _shuffle(view: View, start: int, stop: int) -> list[bytes]:
    keys, bodies = view.keys, view.bodies
    order = sorted(range(start, stop), key=lambda position: crc32(keys[position][1].encode()))
    return [bodies[position] for position in order]
