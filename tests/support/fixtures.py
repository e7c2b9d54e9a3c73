"""A real Postgres for the session, an empty migrated database per test, and the sandbox providers over HTTP.

What is heavy is imported by the fixture that needs it: tests of pure functions use none of them and start at once.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from sandbox.server import Sandbox
    from tasks.embedded import EmbeddedPostgres, Stack
    from tests.support.builders import Office

EMPTY = """
    DO $$ DECLARE one text; filled text[] := '{}'; is_filled bool; BEGIN
        FOREACH one IN ARRAY ARRAY[%s] LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %%I)', one) INTO is_filled;
            filled := filled || CASE WHEN is_filled THEN ARRAY[quote_ident(one)] ELSE '{}' END;
        END LOOP;
        IF filled <> '{}' THEN
            EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' RESTART IDENTITY CASCADE';
        END IF;
    END $$
"""
"""Most tests fill few of the tables; emptying an empty one costs as much as any."""
LEFT_BEHIND = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_numbers = count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    from tasks.embedded import postgres

    # Not tmp_path: its parent is closed to the account that Postgres runs as.
    with (
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
        postgres(Path(folder) / "home") as running,
    ):
        yield running


@pytest.fixture(scope="session")
def servers(cluster: EmbeddedPostgres) -> Iterator[Stack]:
    """Prefect's server beside the session's Postgres, kept running so that commands find it there.

    Not on port 4200, where a client that does not ask for the port would look.
    """
    from tasks.embedded import stack

    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            usual.bind(("127.0.0.1", 4200))
            usual.listen()
        with stack(cluster.data.parent) as running:
            yield running


@cache
def emptying() -> str:
    """The statement that empties all tables."""
    from models.tables.base import Base

    return EMPTY % ", ".join(f"'{table.name}'" for table in Base.metadata.sorted_tables)


def new_database(cluster: EmbeddedPostgres) -> str:
    import psycopg

    name = f"test_{next(_numbers)}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return cluster.url(name)


@pytest.fixture
def empty_database_url(cluster: EmbeddedPostgres) -> str:
    """A database without any table."""
    return new_database(cluster)


@pytest.fixture(scope="session")
def migrated_url(cluster: EmbeddedPostgres) -> str:
    """The database that the tests take turns in, made by the real migrations."""
    from tasks.migrate import upgrade

    url = new_database(cluster)
    upgrade(url)
    return url


@pytest.fixture
def emptied(migrated_url: str) -> Callable[[], str]:
    """Gives the migrated database without any row. Emptying one costs a tenth of copying one."""
    import psycopg

    def empty() -> str:
        with psycopg.connect(migrated_url, autocommit=True) as connection:
            connection.execute(LEFT_BEHIND)
            connection.execute(emptying())
        return migrated_url

    return empty


@pytest.fixture
def database_url(emptied: Callable[[], str]) -> str:
    return emptied()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    from tasks.database import engine_for

    engine = engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A world that tests only read."""
    from sandbox.server import Sandbox

    with Sandbox(calls=900, seed=5, until=_an_hour_ago()) as running:
        yield running


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """A small world that a test may change and disturb."""
    from sandbox.server import Sandbox

    with Sandbox(calls=240, seed=3, until=_an_hour_ago()) as running:
        yield running


def _an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def office(database_url: str, sandbox: Sandbox) -> Iterator[Office]:
    """The accounts at the sandbox, working on the test's database."""
    from tests.support.builders import Office

    with Office(database_url, sandbox.environ) as office:
        yield office


@pytest.fixture
def own_office(database_url: str, own_sandbox: Sandbox) -> Iterator[Office]:
    """The accounts at the sandbox of the test's own; its few records are planned in few windows."""
    from models.coverage import Sizes
    from tests.support.builders import Office

    with Office(database_url, own_sandbox.environ, sizes=Sizes(pieces=10)) as office:
        yield office
