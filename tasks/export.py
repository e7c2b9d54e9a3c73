"""A view of `v1` as a file, streamed: COPY for CSV, Arrow batches for Parquet. Memory does not grow with the rows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from psycopg import sql

from models.errors import UsageError
from tasks.database import connect, database_errors

TIMES = ("started_at", "hour", "changed_at", "decided_at", "last_seen_at", "since")
"""What a range chooses rows by: the first of these that the view has."""
ARROW = {"text", "text[]", "boolean", "integer", "bigint", "double precision", "timestamp with time zone"}
"""Types that arrive in Arrow as they are; every other one is written as text."""
BATCH_BYTES = 4_000_000

Wrote = Callable[[int], None]
"""Called with the bytes, or the rows, that were written since it was called last."""
COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = 'v1'::regnamespace AND relkind = 'v' ORDER BY 1"


class View(NamedTuple):
    """A view of `v1`, and its columns with their types."""

    name: str
    columns: dict[str, str]


class Range(NamedTuple):
    """Half-open; None: without that end."""

    since: datetime | None = None
    until: datetime | None = None


def find_view(database_url: str, name: str, span: Range) -> View:
    """The view, as `call` or `v1.call`. Raises `UsageError` where there is none, or none with a time for `span`."""
    bare = name.removeprefix("v1.")
    with connect(database_url) as connection:
        known = [row[0] for row in connection.execute(VIEWS)]
        if bare not in known:
            raise UsageError(f"There is no view v1.{bare}; there are {', '.join(known)}.")
        view = View(bare, dict(connection.execute(COLUMNS, [f"v1.{bare}"]).fetchall()))
    if span != Range() and _time(view) is None:
        raise UsageError(f"v1.{bare} has no time that --since and --until could choose by.")
    return view


def write_csv(database_url: str, view: View, span: Range, file: BinaryIO, wrote: Wrote) -> None:
    """UTF-8 with a heading; times in UTC, lists as JSON, nothing for null and `""` for an empty text."""
    columns = [_as_json(name) if kind.endswith("[]") else sql.Identifier(name) for name, kind in view.columns.items()]
    with database_errors(), connect(database_url) as connection, connection.cursor() as cursor:
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER)").format(_query(view, columns, span))
        with cursor.copy(statement) as copy:
            for block in copy:
                file.write(block)
                wrote(len(block))


def write_parquet(database_url: str, view: View, span: Range, file: BinaryIO, wrote: Wrote) -> None:
    """Times as UTC timestamps, lists as lists, JSON and ranges as text. Raises `UsageError` without the extra."""
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - an optional extra
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - the same
    except ImportError:
        raise UsageError("--format parquet needs an extra: pip install 'callweave[parquet]'.") from None
    columns = [sql.Identifier(name) if kind in ARROW else _as_text(name) for name, kind in view.columns.items()]
    with connect(database_url) as connection:
        query = _query(view, columns, span).as_string(connection)
    with dbapi.connect(database_url) as arrow, arrow.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
        cursor.execute(query)
        batches = cursor.fetch_record_batch()
        with ParquetWriter(file, batches.schema.remove_metadata(), compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
                wrote(batch.num_rows)


def write_beside(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Writes `path` under another name first, so that half a file is never taken for a whole one."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _time(view: View) -> str | None:
    return next((name for name in TIMES if name in view.columns), None)


def _query(view: View, columns: Sequence[sql.Composable], span: Range) -> sql.Composed:
    query = sql.SQL("SELECT {} FROM v1.{}").format(sql.SQL(", ").join(columns), sql.Identifier(view.name))
    ends = [(">=", span.since), ("<", span.until)]
    conditions = [
        sql.SQL("{} " + sign + " {}").format(sql.Identifier(_time(view) or ""), sql.Literal(moment))
        for sign, moment in ends
        if moment is not None
    ]
    return query + sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else query


def _as_json(name: str) -> sql.Composed:
    return sql.SQL("to_json({0}) AS {0}").format(sql.Identifier(name))


def _as_text(name: str) -> sql.Composed:
    return sql.SQL("{0}::text AS {0}").format(sql.Identifier(name))
