"""Connections to Postgres, whatever libpq URL leads there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import JsonbDumper
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from models.errors import DatabaseUnavailable

T = TypeVar("T")

OPTIONS = "-c timezone=UTC -c jit=off"
OLDEST_SERVER = 150_000
RETRIED = {"40P01", "40001"}
"""Deadlock and serialization failure: the only errors that the same statement may answer differently a moment later."""
TRIES = 5
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def engine_for(database_url: str, pool_size: int = 5, *, synchronous_commit: bool = True) -> Engine:
    """An engine on `database_url` (libpq form, Unix sockets included); psycopg reads the URL itself."""
    options = "" if synchronous_commit else " -c synchronous_commit=off"
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(database_url, options),
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
    )


@contextmanager
def one_engine(database_url: str) -> Iterator[Engine]:
    """An engine for a few statements one after the other, closed behind them."""
    engine = engine_for(database_url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def connect(database_url: str, options: str = "") -> psycopg.Connection[Any]:
    """A raw connection. Raises `DatabaseUnavailable` with what to do."""
    try:
        connection = psycopg.connect(
            database_url, application_name="callweave", connect_timeout=10, options=OPTIONS + options
        )
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"Postgres cannot be reached: {_first_line(error)}. Check DATABASE_URL.") from error
    connection.adapters.register_dumper(dict, JsonbDumper)
    if connection.info.server_version < OLDEST_SERVER:
        raise DatabaseUnavailable(f"Postgres {connection.info.server_version // 10_000} is too old: 15 or newer.")
    return connection


@contextmanager
def database_errors() -> Iterator[None]:
    """Names a lost database as such; every other error passes."""
    try:
        yield
    except (OperationalError, psycopg.OperationalError) as error:
        if not _is_away(error):
            raise
        raise DatabaseUnavailable(
            f"Postgres went away: {_first_line(error)}. Start it again; the next run continues where this one stopped."
        ) from error


def in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    """`work` in one transaction, again from its start after a deadlock."""
    for _ in range(TRIES - 1):
        try:
            return _once(engine, work)
        except (OperationalError, psycopg.OperationalError) as error:
            if sqlstate(error) not in RETRIED:
                raise
    return _once(engine, work)


def lock(connection: Connection, *name: object) -> None:
    """Nobody else holds `name` until this transaction ends."""
    connection.execute(LOCK, {"name": ":".join(map(str, ("callweave", *name)))})


def _once(engine: Engine, work: Callable[[Connection], T]) -> T:
    with database_errors(), engine.begin() as connection:
        return work(connection)


def _is_away(error: BaseException) -> bool:
    state = sqlstate(error)
    return state is None or state[:2] in {"08", "53"} or state.startswith("57P")


def sqlstate(error: BaseException) -> str | None:
    """Postgres' five characters, through SQLAlchemy's wrapping; None where the server said nothing."""
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def raw(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection under SQLAlchemy's, for COPY."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def scalar(connection: psycopg.Connection[Any], query: str, values: Any = ()) -> Any:
    """The value of a query that gives one row with one column."""
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
