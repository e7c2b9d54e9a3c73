"""Lists that hold other records than the provider does, or are cut by another time than the calls' beginning."""

from collections.abc import Callable, Iterator
from zlib import crc32

import msgspec

from sandbox.deviations.place import Numbers
from sandbox.providers.table import Record, Row, Table
from sandbox.world.clock import DAY, epoch

Change = Callable[[Table, Numbers], Table]
"""A stream as the lists show it; what is asked for by id is not changed."""


def omitting(table: Table, numbers: Numbers) -> Table:
    return Table(row for row in _rows(table) if crc32(row.key[1].encode()) % numbers.omits_every)


def by_last_change(table: Table, _numbers: Numbers) -> Table:
    """Keyed by when a call was last written: at its end, or up to a day later."""
    newest = table.keys[-1][0] if len(table) else 0
    return Table(Row((min(_changed(row), newest), row.key[1]), row.body) for row in _rows(table))


def _rows(table: Table) -> Iterator[Row]:
    return (Row(key, body) for key, body in zip(table.keys, table.bodies, strict=True))


def _changed(row: Row) -> int:
    began, record_id = row.key
    record: Record = msgspec.json.decode(row.body)
    ended = record.get("endedAt")
    is_told = isinstance(ended, str) and not ended.startswith("0001")
    end = round(epoch(str(ended))) if is_told else began + 1_000 * int(record.get("duration") or 0)
    return end + crc32(record_id.encode()) % DAY
