"""Connections to Postgres by any libpq URL."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import (
    Connection,
    Engine,
    Text,
    bindparam,
    create_engine,
    func,
)
from sqlalchemy import cast as cast_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.sql.elements import NamedColumn

from models.errors import DatabaseUnavailable
from tasks.session import Session, open_session

T = TypeVar("T")

IDLE = {"idle_session_timeout": "30s"}
"""Connections that lie in a pool are given back to the server, which may have few."""
RETRIED = {"40P01", "40001"}
"""Deadlock and serialization failure: the only errors that the same statement may answer differently a moment later."""
DATA_FAULTS = {"22", "23", "54"}
"""Classes of SQLSTATE that speak of one value, not of the server: data, constraint, and limit."""
LIMITS = {
    "55P03": "Another process of Callweave, or of somebody else, has held a lock in Postgres for 15 minutes",
    "57014": "A statement was stopped, by hand or after 30 minutes",
    "25P03": "This process slept in a transaction for more than 10 minutes and lost its locks",
}
"""By SQLSTATE: what ended by `tasks.session.PINNED`."""
TRIES = 5
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def engine_for(database_url: str, pool_size: int = 5, settings: Mapping[str, str] | None = None) -> Engine:
    """An engine on `database_url` (libpq form, Unix sockets included), with `settings` of its sessions."""
    pinned = {**IDLE, **(settings or {})}
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(database_url, pinned),
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        pool_use_lifo=True,
    )


@contextmanager
def one_engine(database_url: str) -> Iterator[Engine]:
    """An engine for a few statements one after the other, closed behind them."""
    engine = engine_for(database_url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def connect(database_url: str, settings: Mapping[str, str] | None = None) -> Session:
    """A raw connection, with `settings` of the session beside those that all have. Raises `DatabaseUnavailable`."""
    return open_session(database_url, settings or {})


@contextmanager
def database_errors() -> Iterator[None]:
    """Names a lost database as such; every other error passes."""
    try:
        yield
    except (OperationalError, InternalError, psycopg.OperationalError, psycopg.InternalError) as error:
        if words := LIMITS.get(sqlstate(error) or ""):
            raise DatabaseUnavailable(f"{words}; the next run continues where this one stopped.") from error
        if not _is_away(error) or isinstance(error, InternalError | psycopg.InternalError):
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


def lock(connection: Connection | psycopg.Connection[Any], *name: object) -> None:
    """Holds the lock `name` until this transaction ends."""
    words = (":".join(map(str, ("callweave", *name))),)
    if isinstance(connection, Connection):
        connection.exec_driver_sql(LOCK, words)
    else:
        connection.execute(LOCK, words)


def _once(engine: Engine, work: Callable[[Connection], T]) -> T:
    with database_errors(), engine.begin() as connection:
        return work(connection)


def _is_away(error: BaseException) -> bool:
    state = sqlstate(error)
    return state is None or state[:2] in {"08", "53"} or state.startswith("57P")


def sqlstate(error: BaseException) -> str | None:
    """Postgres' five characters, through SQLAlchemy's wrapping; None where the server said nothing."""
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def is_about_data(error: BaseException) -> bool:
    return (sqlstate(error) or "")[:2] in DATA_FAULTS


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


def texts(name: str) -> NamedColumn[str]:
    """The strings of the parameter `name`, a JSON array, as rows."""
    return func.jsonb_array_elements_text(cast_(bindparam(name, type_=Text), JSONB)).column_valued(name)
