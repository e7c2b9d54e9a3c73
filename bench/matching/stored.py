"""A world's records in Postgres, as a sync would have left them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from bench.matching.worlds import World
from models.calibration.columns import DIRECTIONS, NO_TIME, OUTCOMES, Records
from models.vocabulary import Outcome

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
PAYLOAD = '{"note": "' + "x" * 600 + '"}'
COPY = """
    COPY call (id, provider, account, external_id, digest, source_updated_at, observed_at, payload, parent_external_id,
        remote_e164, own_e164, started_at, answered_at, ended_at, duration_seconds, direction, outcome, is_final)
    FROM STDIN
"""


def store(url: str, world: World, *, payload: str = PAYLOAD, first: int = 0, last: int | None = None) -> None:
    """The records from place `first` to `last`, oldest first, into an empty or earlier part of the same world."""
    store_records(url, world, in_order(world)[first:last], payload)


def store_records(url: str, world: World, records: Records, payload: str = PAYLOAD) -> None:
    """Some records of a world, in this order."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for row in _rows(world, payload, records):
                copy.write_row(row)
        cursor.execute("SELECT setval(pg_get_serial_sequence('call', 'id'), max(id)) FROM call")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE call")


def in_order(world: World) -> Records:
    """As syncs would have brought them: the oldest nine tenths account by account, the rest as it happened."""
    records = world.records[np.argsort(world.records["started"], kind="stable")]
    old = len(records) * 9 // 10
    first = records[:old]
    return np.concatenate([first[np.argsort(first["account"], kind="stable")], records[old:]])


def _rows(world: World, payload: str, records: Records) -> Iterator[list[Any]]:
    for record in records:
        parent = int(record["parent"])
        outcome = OUTCOMES[record["outcome"]]
        duration = int(record["duration"])
        yield [
            int(record["id"]),
            world.names[record["account"]],
            "main",
            f"x{record['external']}",
            b"",
            EPOCH,
            EPOCH,
            payload,
            f"x{parent}" if parent else None,
            _number(record["remote"]),
            _number(record["own"]),
            *(_moment(record[name]) for name in ("started", "answered", "ended")),
            duration if duration >= 0 else None,
            str(DIRECTIONS[record["direction"]]),
            str(outcome),
            outcome is not Outcome.IN_PROGRESS,
        ]


def _number(key: Any) -> str | None:
    return f"+4930{key:08d}" if key else None


def _moment(time: Any) -> datetime | None:
    return None if time == NO_TIME else EPOCH + timedelta(microseconds=int(time))


def found(url: str, world: World) -> Any:
    """The real call of each record, in the order of the world's records."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT call_id, unified_call_id FROM call_member").fetchall()
    calls: dict[int, int] = dict(rows)
    return [calls.get(id_, 0) for id_ in world.records["id"].tolist()]
