"""Why a window was read again: on stderr with --verbose, and in the log of the run in Prefect's UI without."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tasks.embedded import EmbeddedPostgres, Stack
from tests.e2e.test_cli import Branch, Done
from tests.support.patience import eventually
from tests.support.prefect_runs import Prefect

SYNC = ("sync", "sakari", "--stream", "calls", "--full")


@pytest.fixture(scope="module")
def branch(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    """A provider that counts three records too few: its windows are read again until two readings are alike."""
    with Branch(cluster, cluster.data.parent, faults=["total-lies", "errors"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def verbose(branch: Branch) -> Done:
    """The shell looks for keys and telephone numbers in all that is printed."""
    return branch.run(*SYNC, "--verbose")


def test_reasons_on_stderr(verbose: Done) -> None:
    """With --verbose stderr says of each window when it was read again, and how it ended, with the reason."""
    assert "read again" in verbose.err
    assert "read twice alike" in verbose.err
    assert "GET /" in verbose.err
    assert " 503 after " in verbose.err or " 500 after " in verbose.err or " 502 after " in verbose.err


def test_times_on_stderr(verbose: Done) -> None:
    """Each line begins with the time in UTC, and they are in order."""
    times = [line.split("Z ")[0] for line in verbose.err.splitlines() if " tasks." in line]

    assert len(times) > 10
    assert all(before <= after or before > "23:" for before, after in pairwise(times))


def test_json_on_stderr(branch: Branch) -> None:
    """With CALLWEAVE_LOG=json each line of the log is an object with its time, level, logger and message."""
    done = branch.run(*SYNC, "--verbose", CALLWEAVE_LOG="json")
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]

    assert len(lines) > 10
    assert {frozenset(line) for line in lines} == {frozenset({"time", "level", "logger", "message"})}
    assert any("read twice alike" in line["message"] for line in lines)
    assert all(datetime.fromisoformat(line["time"]).utcoffset() == timedelta() for line in lines)
    assert not [line for line in done.err.splitlines() if " tasks." in line.partition('"')[0]]


def test_nothing_without_verbose(branch: Branch) -> None:
    """Without --verbose stderr has nothing of it, and stdout is the same table."""
    quiet = branch.run(*SYNC)

    assert "tasks." not in quiet.err
    assert quiet.out.startswith("provider")


def test_reasons_in_prefect(branch: Branch, servers: Stack, verbose: Done) -> None:
    """The log of the run in Prefect has the reasons and no line for each request, without --verbose too."""
    runs = branch.flow_runs()
    prefect = Prefect(servers, runs)

    found = eventually(lambda: [one for one in prefect.logs() if "read twice alike" in one["message"]])

    assert found, [one["message"] for one in prefect.logs()]
    assert {one["flow_run_id"] for one in found} <= set(runs)
    assert not [one["message"] for one in prefect.logs() if " 200 after " in one["message"]]
