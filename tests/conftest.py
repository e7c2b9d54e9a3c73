"""A real Postgres for the session, an empty migrated database per test, and the sandbox providers over HTTP."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from models.matching import tables as _matching  # noqa: F401 - its tables are emptied too
from models.tables import Base
from models.window import cut
from sandbox.server import Sandbox
from tasks.database import engine_for
from tasks.embedded import EmbeddedPostgres, Stack, postgres, stack
from tasks.migrate import upgrade
from tests.builders import Office

LONG = (
    *("browser", "moving", "kills", "reconcile", "fetch", "faults", "conformance", "people", "watchdog", "cli"),
    *("embedded", "watchdog_prefect", "reconcile_cli", "secrets", "flows"),
)
"""The files that take longest, begun first: those that mostly wait for other processes beside those that compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("house"), derandomize=False, max_examples=200)
settings.load_profile("house")

TABLES = ", ".join(f"'{table.name}'" for table in Base.metadata.sorted_tables)
EMPTY = f"""
    DO $$ DECLARE one text; filled text[] := '{{}}'; is_filled bool; BEGIN
        FOREACH one IN ARRAY ARRAY[{TABLES}] LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %I)', one) INTO is_filled;
            filled := filled || CASE WHEN is_filled THEN ARRAY[quote_ident(one)] ELSE '{{}}' END;
        END LOOP;
        IF filled <> '{{}}' THEN
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
    # Not tmp_path: its parent is closed to the account that Postgres runs as.
    with (
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
        postgres(Path(folder) / "home") as running,
    ):
        yield running


@pytest.fixture(scope="session")
def servers(cluster: EmbeddedPostgres) -> Iterator[Stack]:
    """Prefect's server beside the session's Postgres, kept running so that commands find it there."""
    with stack(cluster.data.parent) as running:
        yield running


def new_database(cluster: EmbeddedPostgres) -> str:
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
    url = new_database(cluster)
    upgrade(url)
    return url


@pytest.fixture
def emptied(migrated_url: str) -> Callable[[], str]:
    """Gives the migrated database without any row. Emptying one costs a tenth of copying one."""

    def empty() -> str:
        with psycopg.connect(migrated_url, autocommit=True) as connection:
            connection.execute(LEFT_BEHIND)
            connection.execute(EMPTY)
        return migrated_url

    return empty


@pytest.fixture
def database_url(emptied: Callable[[], str]) -> str:
    return emptied()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A world that tests only read."""
    with Sandbox(calls=900, seed=5, until=_an_hour_ago()) as running:
        yield running


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """A small world that a test may change and disturb."""
    with Sandbox(calls=240, seed=3, until=_an_hour_ago()) as running:
        yield running


def _an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def office(database_url: str, sandbox: Sandbox) -> Iterator[Office]:
    """The accounts at the sandbox, working on the test's database."""
    with Office(database_url, sandbox.environ) as office:
        yield office


@pytest.fixture
def own_office(database_url: str, own_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The accounts at the sandbox of the test's own; its few records are planned in few windows."""
    monkeypatch.setattr("tasks.plan.cut", partial(cut, pieces=10))
    with Office(database_url, own_sandbox.environ) as office:
        yield office
