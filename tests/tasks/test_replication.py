"""The documented publications, with a second Postgres as the subscriber."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from sandbox.server import Sandbox
from tasks.embedded import EmbeddedPostgres, postgres
from tasks.embedded.cluster import bundled_software
from tasks.migrate import upgrade
from tests.support.builders import CALLS, Office
from tests.support.patience import PATIENCE, eventually
from tests.support.reconciled import reconcile

PAGE = (Path(__file__).parents[2] / "docs" / "querying.md").read_text("utf-8").partition("## Into other systems")[2]
PROGRAMS = bundled_software() / "bin"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Both(NamedTuple):
    """Where calls are synced to, and the subscriber."""

    here: str
    there: str


@pytest.fixture
def both() -> Iterator[Both]:
    with (
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
        postgres(Path(folder) / "here") as publisher,
        postgres(Path(folder) / "there") as subscriber,
    ):
        run(publisher.url(), "ALTER SYSTEM SET wal_level = logical")
        publisher.stop()
        publisher.start()
        upgrade(publisher.url())
        run(publisher.url(), *block("pgsql").strip().split("\n"))
        subscribe(publisher, subscriber)
        yield Both(publisher.url(), subscriber.url())


def subscribe(publisher: EmbeddedPostgres, subscriber: EmbeddedPostgres) -> None:
    """By the documented commands. Here psql may not be had: what it would be told is told by psycopg."""
    dumped, subscribed = block("bash").replace("\\\n", "").split("\npsql")
    tables = re.findall(r"--table \w+", dumped)
    options = re.findall(r"--(?:schema-only|no-owner|no-privileges)", dumped)
    dump = [str(PROGRAMS / "pg_dump"), *options, *" ".join(tables).split(), publisher.url()]
    schema = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    run(subscriber.url(), "\n".join(line for line in schema.splitlines() if not line.startswith("\\")))
    created = re.search(r'"(CREATE SUBSCRIPTION .*)"', subscribed)
    assert created is not None
    run(subscriber.url(), created[1].replace("$REPLICATION_URL", publisher.url()))


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, options="-c timezone=UTC -c search_path=public") as connection:
        return connection.execute(query.encode()).fetchall()


def alike(both: Both, query: str, seconds: float = PATIENCE) -> bool:
    """Whether both come to hold the same."""
    return bool(eventually(lambda: rows(both.here, query) == rows(both.there, query), seconds))


def test_a_subscriber_holds_the_real_calls(both: Both, sandbox: Sandbox) -> None:
    """What is synced, decided, taken apart and forgotten here arrives in another Postgres as it is here."""
    calls = "SELECT * FROM unified_call ORDER BY unified_call_id"
    feed = "SELECT * FROM record_change ORDER BY sequence"
    with Office(both.here, sandbox.environ) as office:
        for provider in ("sakari", "bird"):
            office.sync(provider, CALLS)
        reconcile(both.here)
        assert len(rows(both.here, calls)) > 100
        assert alike(both, calls)
        assert alike(both, feed)

        run(both.here, "UPDATE call SET deleted_at = now(), changed_at = clock_timestamp() WHERE id % 3 = 0")
        reconcile(both.here)
        run(both.here, "DELETE FROM record_change WHERE sequence < 100")
    assert alike(both, calls)
    assert not alike(both, feed, 1)
    assert alike(both, f"{feed.replace('ORDER', 'WHERE sequence >= 100 ORDER')}")
    assert min(rows(both.there, feed))[0] < 100
