"""A seeded world: people, what they did, what each provider wrote down of it, and which records are one call."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Protocol

import msgspec

from sandbox.providers import bird_records, sakari_records, skipcall_records
from sandbox.providers.table import Record, Row, Table
from sandbox.world.clock import SECOND
from sandbox.world.happenings import BIRD, PROVIDERS, SAKARI, SKIPCALL, RealCall, happenings
from sandbox.world.people import Person, cast


class _Scribe(Protocol):
    def contacts(self, person: Person) -> list[Record]: ...
    def calls(self, call: RealCall) -> list[Record]: ...


Same = set[tuple[str, str]]
"""Records, as provider and id, of one real call."""

STREAMS = ("calls", "contacts")
_RECORDS = {SAKARI: sakari_records, BIRD: bird_records, SKIPCALL: skipcall_records}


class World:
    """`calls` is about how many call records all the providers hold together."""

    def __init__(self, *, calls: int = 5000, seed: int = 1, until: datetime | None = None, days: int = 60) -> None:
        self.until = until or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.truth: list[Same] = []
        self._rows: dict[str, dict[str, list[Row]]] = {name: {stream: [] for stream in STREAMS} for name in PROVIDERS}
        with _without_collection():
            self._write(Random(seed), calls, days)
            self.tables = {
                name: {s: Table(rows) for s, rows in streams.items()} for name, streams in self._rows.items()
            }
        del self._rows

    def truths(self) -> dict[str, dict[str, dict[str, bytes]]]:
        """Provider, stream and id to the record, as it is without faults."""
        return {
            name: {stream: dict(zip(table.ids(), table.bodies, strict=True)) for stream, table in streams.items()}
            for name, streams in self.tables.items()
        }

    def put(self, provider: str, stream: str, payload: Record) -> None:
        self.tables[provider][stream].put(_row(provider, payload))

    def remove(self, provider: str, stream: str, record_id: str) -> None:
        self.tables[provider][stream].remove(record_id)

    def days_held(self) -> int:
        """How many days back from now the oldest call lies, rounded up."""
        oldest = min(tables["calls"].keys[0][0] for tables in self.tables.values())
        return (datetime.now(UTC) - datetime.fromtimestamp(oldest / 1000, UTC)).days + 2

    def _write(self, rng: Random, calls: int, days: int) -> None:
        until = round(self.until.timestamp()) * SECOND
        people = cast(rng, max(12, calls // 6), until)
        sakari, bird, skipcall = (records.Scribe(rng, people) for records in _RECORDS.values())
        scribes: dict[str, _Scribe] = {SAKARI: sakari, BIRD: bird, SKIPCALL: skipcall}
        self.identifiers = bird.identifiers
        self._write_examples()
        for person in people.people:
            for name, scribe in scribes.items():
                self._add(name, "contacts", scribe.contacts(person))
        written = 0
        for call in happenings(rng, people, until, days):
            if written >= calls:
                break
            written += self._write_call(scribes, call)

    def _write_examples(self) -> None:
        for name, records in _RECORDS.items():
            examples = records.examples()
            self._add(name, "contacts", examples["contacts"])
            self.truth += [{record} for record in self._add(name, "calls", examples["calls"])]

    def _write_call(self, scribes: dict[str, _Scribe], call: RealCall) -> int:
        same = {record for name in call.seen for record in self._add(name, "calls", scribes[name].calls(call))}
        self.truth.append(same)
        return len(same)

    def _add(self, provider: str, stream: str, payloads: list[Record]) -> list[tuple[str, str]]:
        rows = [_row(provider, payload) for payload in payloads]
        self._rows[provider][stream] += rows
        return [(provider, row.key[1]) for row in rows]


@contextmanager
def _without_collection() -> Iterator[None]:
    # Nothing made here is garbage, and looking for some again and again doubles the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _row(provider: str, payload: Record) -> Row:
    return Row((round(_RECORDS[provider].created(payload)), payload["id"]), msgspec.json.encode(payload))
