"""Exit statuses that cron, Nagios and Kubernetes rely on: real processes, a real database, Prefect away."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

from tests.e2e.test_cli import Shell

INCIDENT = "INSERT INTO incident (cause, provider, account, stream, since, times, detail, consequence) VALUES"
AWAY = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}


@pytest.fixture
def shell(database_url: str) -> Iterator[Shell]:
    with tempfile.TemporaryDirectory(prefix="cw-") as folder:
        yield Shell(Path(folder), {"DATABASE_URL": database_url, "CALLWEAVE_HOME": "/dev/null/home"})


def test_status_and_watchdog_with_an_open_incident(shell: Shell, database_url: str) -> None:
    """`status --check` and `watchdog` exit 1 while an incident is open; `status` alone exits 0."""
    assert shell.run("watchdog").status == 0
    with psycopg.connect(database_url) as connection:
        connection.execute(f"{INCIDENT} ('switched_off', '', '', 'sync-x/calls', now(), 1, 'paused', '')".encode())

    assert [shell.run(*words).status for words in (("status",), ("status", "--check"), ("watchdog",))] == [0, 1, 1]


def test_watchdog_without_prefect(shell: Shell) -> None:
    """A watchdog that cannot ask Prefect says so in one sentence and exits 1."""
    done = shell.run("watchdog", **AWAY)

    assert done.status == 1
    assert "schedules were not looked at" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["reconcile", "automations"])
def test_prefect_away(shell: Shell, command: str) -> None:
    """A command that needs Prefect says in one sentence that it is away, and exits 1."""
    done = shell.run(command, **AWAY)

    assert done.status == 1
    assert "Prefect's server does not answer" in done.err
    assert "Traceback" not in done.err


def test_health(shell: Shell, empty_database_url: str) -> None:
    """`health` needs the database only: 0 where it is ready, else not."""
    behind, nothing = {"DATABASE_URL": empty_database_url}, {"DATABASE_URL": ""}
    away = {"DATABASE_URL": "postgresql://127.0.0.1:9/x"}

    assert shell.run("health", **AWAY).out == "ok\n"
    assert [shell.run("health", **where).status for where in (behind, away, nothing)] == [2, 1, 1]


def test_version(shell: Shell) -> None:
    """`--version` prints the version of the package."""
    assert shell.run("--version").out == f"callweave {version('callweave')}\n"


def test_a_reader_that_has_read_enough(shell: Shell) -> None:
    """`callweave … | head` ends without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "status", "--json"],
        env=shell.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        process.stdout = None
    assert process.returncode == 0
