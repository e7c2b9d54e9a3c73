"""How a connection to Postgres is opened: settings pinned on each, whatever role, database, URL or pooler says.

Settings are set by statements after the connection stands: poolers refuse the `options` startup parameter. A pooler
may give every transaction to another session of the server, so that there the settings are set in every transaction:
nothing in this program may run outside of one.
"""

import random
import re
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.json import JsonbDumper

from models.errors import DatabaseUnavailable
from tasks.client.redaction import outward

OLDEST_SERVER = 150_000
PATIENCE = 60.0
"""Seconds that a connection is waited for while the server, or a pooler, has none to give."""
PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    "search_path": '"$user", public',
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "jit": "off",
    "statement_timeout": "30min",
    "lock_timeout": "15min",
    "idle_in_transaction_session_timeout": "10min",
}
"""What the program relies on, and limits: whoever sleeps in a transaction loses its locks after ten minutes."""
DRIVER = re.compile(r"^(postgres(?:ql)?)\+\w+://")
FULL = re.compile(
    r"too many (?:clients|connections)|remaining connection slots|no more connections allowed", re.IGNORECASE
)


class Session(psycopg.Connection[Any]):
    """A connection that repeats its settings in each transaction, where a pooler makes that necessary."""

    prelude = b""
    """A statement that follows each BEGIN."""

    @property
    def is_pooled(self) -> bool:
        return bool(self.prelude)

    def _start_query(self) -> PQGen[None]:
        """Where psycopg begins a transaction before its first statement; there is no public place for this."""
        is_first = self.info.transaction_status == TransactionStatus.IDLE and not self.autocommit
        yield from super()._start_query()
        if self.prelude and is_first:
            yield from self._exec_command(self.prelude)


def open_session(database_url: str, settings: Mapping[str, str]) -> Session:
    """A connection with `PINNED` and `settings` in force. Raises `DatabaseUnavailable` with what to do."""
    connection = _connected(database_url)
    try:
        _refuse_unfit(connection)
        _pin(connection, {**PINNED, **settings})
    except BaseException:
        connection.close()
        raise
    connection.adapters.register_dumper(dict, JsonbDumper)
    return connection


def _connected(database_url: str) -> Session:
    """Waits while there is no connection to be had: a small limit makes the program slower."""
    given_up = time.monotonic() + PATIENCE
    while True:
        try:
            return Session.connect(
                _plain(database_url), application_name="callweave", connect_timeout=10, client_encoding="UTF8"
            )
        except psycopg.Error as error:
            if not FULL.search(str(error)) or time.monotonic() > given_up:
                raise DatabaseUnavailable(_why(error)) from error
        time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - so that not all ask at once


def _plain(database_url: str) -> str:
    """The address as libpq takes it: without quotes around it, and without the driver that SQLAlchemy would name."""
    return DRIVER.sub(r"\1://", database_url.strip().strip("'\""))


def _why(error: psycopg.Error) -> str:
    line = outward(str(error).strip().partition("\n")[0])
    if FULL.search(line):
        return (
            f"Postgres has had no connection to give for a minute: {line}. Raise its limit, or lower CALLWEAVE_WORKERS."
        )
    return f"Postgres cannot be reached: {line}. Check DATABASE_URL."


def _refuse_unfit(connection: Session) -> None:
    info = connection.info
    if info.server_version < OLDEST_SERVER:
        raise DatabaseUnavailable(f"Postgres {info.server_version // 10_000} is too old: 15 or newer.")
    if (encoding := info.parameter_status("server_encoding")) not in {"UTF8", None}:
        raise DatabaseUnavailable(
            f"The database is encoded in {encoding} and cannot hold every text: make one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )
    if info.parameter_status("in_hot_standby") == "on":
        raise DatabaseUnavailable("The database is a standby that takes no writes: DATABASE_URL must name the primary.")


def _pin(connection: Session, settings: Mapping[str, str]) -> None:
    connection.autocommit = True
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    if row[0] == connection.info.backend_pid:
        connection.execute(_assigned(settings, is_local=False))
    else:
        # A pooler answered the handshake, with a number of its own. Its sessions are left as they are: they serve
        # others too.
        local = {name: value for name, value in settings.items() if name != "idle_session_timeout"}
        connection.prelude = _assigned(local, is_local=True).as_bytes(connection)
        # What one session has prepared is not known to the next one.
        connection.prepare_threshold = None
    connection.autocommit = False


def _assigned(settings: Mapping[str, str], *, is_local: bool) -> sql.Composed:
    calls = [sql.SQL("set_config({}, {}, {})").format(name, value, is_local) for name, value in settings.items()]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))
