"""Binary COPY of fixed width, between Postgres and numpy without a Python loop.

A row is the number of its fields (int16), then for each its length (int32) and its bytes, all big-endian:
https://www.postgresql.org/docs/current/sql-copy.html. Without nulls and texts every row is equally long.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg

from models.calibration.columns import DTYPE, Records

Columns = dict[str, np.ndarray[Any, Any]]
"""Equally long, by their names; bytes for texts."""

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
READ = np.dtype([*DTYPE.descr, ("was", "<i8"), ("changed", "<i8")])
"""A record and what is ours of it: the real call it is in so far (0: none), and when it last changed."""


def wire(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """How rows of `dtype` stand on the wire."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name in dtype.names or ():
        fields += [(f"{name} length", ">i4"), (name, dtype[name].newbyteorder(">").str)]
    return np.dtype(fields)


def copy_out(connection: psycopg.Connection[Any], statement: str, values: Mapping[str, Any]) -> Records:
    with connection.cursor() as cursor, cursor.copy(statement, values) as copy:
        body = b"".join(copy)[len(HEADER) : -len(TRAILER)]
    found = np.frombuffer(body, wire(READ))
    records = np.empty(found.size, READ)
    for name in READ.names or ():
        records[name] = found[name]
    return records


def copy_in(connection: psycopg.Connection[Any], table: str, columns: Columns, **same: str) -> None:
    """`same`: columns of one text in every row."""
    size = next(iter(columns.values())).size
    columns = columns | {name: np.full(size, text.encode()) for name, text in same.items()}
    rows = np.empty(size, wire(np.dtype([(name, values.dtype) for name, values in columns.items()])))
    rows["fields"] = len(columns)
    for name, values in columns.items():
        rows[f"{name} length"] = values.itemsize
        rows[name] = values
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER + rows.tobytes() + TRAILER)
