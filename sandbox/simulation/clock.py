"""Virtual time: a Postgres whose clock is a counter.

The engine takes its time from the database. In a simulated one `now()`, `clock_timestamp()` and `statement_timestamp()`
are functions in front of the server's own on the search path, there before the tables and views are made, so that
defaults and views use them too. Each look at the clock is a millisecond later than the one before; nothing else
moves it but `set`. So a story is the same each time it is played, however fast the machine is and whatever the date.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from tasks.database import scalar
from tasks.embedded import EmbeddedPostgres
from tasks.migrate import upgrade
from tasks.session import PINNED

_TEMPLATE, _DATABASE = "simulation_template", "simulation"
_PATH = "public, pg_catalog"
_SHIM = """
    CREATE SEQUENCE public.simulated_clock MINVALUE 0;
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS $$ SELECT to_timestamp(nextval('public.simulated_clock') / 1000.0) $$;
    CREATE FUNCTION public.now() RETURNS timestamptz STABLE LANGUAGE sql
        AS $$ SELECT to_timestamp(last_value / 1000.0) FROM public.simulated_clock $$;
    CREATE FUNCTION public.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT public.now()';
"""


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """The clock of one simulated database."""

    database_url: str
    connection: psycopg.Connection[Any]

    def set(self, moment: datetime) -> None:
        """May also be earlier than it was."""
        milliseconds = round(moment.timestamp() * 1000)
        self.connection.execute("SELECT setval('public.simulated_clock', %s)", (milliseconds,))

    def now(self) -> datetime:
        moment: datetime = scalar(self.connection, "SELECT now()")
        return moment


@contextmanager
def _our_clock_first() -> Iterator[None]:
    """Every session pins its search path, on which the server's own functions come first unless it names them."""
    usual = PINNED["search_path"]
    PINNED["search_path"] = _PATH
    try:
        yield
    finally:
        PINNED["search_path"] = usual


class Databases:
    """Makes simulated databases, one at a time, each without a row."""

    def __init__(self, cluster: EmbeddedPostgres) -> None:
        self._cluster = cluster
        self._create(_TEMPLATE)
        url = cluster.url(_TEMPLATE)
        with psycopg.connect(url) as connection:
            connection.execute(_SHIM)
        with _our_clock_first():
            upgrade(url)

    @contextmanager
    def one(self, begin: datetime) -> Iterator[VirtualClock]:
        """A database whose clock stands at `begin`; the one before it is gone."""
        self._create(_DATABASE, f"TEMPLATE {_TEMPLATE}")
        url = self._cluster.url(_DATABASE)
        with _our_clock_first(), psycopg.connect(url, autocommit=True) as connection:
            clock = VirtualClock(url, connection)
            clock.set(begin)
            yield clock

    def _create(self, name: str, like: str = "") -> None:
        with self._admin() as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            admin.execute(f"CREATE DATABASE {name} {like}".encode())
            admin.execute(f"ALTER DATABASE {name} SET search_path = {_PATH}".encode())

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._cluster.url("postgres"), autocommit=True)
