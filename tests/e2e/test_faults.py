"""What goes wrong outside: wrong keys, providers and databases that go away, commands that are killed.

Most of it is waiting, so the default stories of this file are all told at once, each in a branch of its own.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest

from sandbox.providers.table import Row
from sandbox.server import Sandbox
from tasks.embedded import EmbeddedPostgres, Stack, postgres
from tasks.embedded.daemon import Daemon
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tests.e2e.test_cli import Branch, Done, days_ago
from tests.support.builders import decoded, iso
from tests.support.patience import PATIENCE, eventually

T = TypeVar("T")

DONE_WINDOWS = "SELECT since, until FROM sync_window WHERE state = 'done' AND provider = 'sakari' AND stream = 'calls'"


class Stories:
    """Stories that are told side by side; a test waits for the one that it is about."""

    def __init__(self, cluster: EmbeddedPostgres) -> None:
        self._cluster = cluster
        self._pool = ThreadPoolExecutor(8)
        self._told: dict[Callable[..., Any], Future[Any]] = {}

    def begin(self, story: Callable[[Branch], Any], **sandbox: Any) -> None:
        # Opened here: migrations are for one thread at a time.
        branch = Branch(self._cluster, self._cluster.data.parent, **sandbox)
        self._told[story] = self._pool.submit(_tell, story, branch)

    def of(self, story: Callable[[Branch], T]) -> T:
        told: T = self._told[story].result(timeout=3 * PATIENCE)
        return told

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _tell(story: Callable[[Branch], T], branch: Branch) -> T:
    with branch:
        return story(branch)


@pytest.fixture(scope="module")
def stories(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Stories]:
    told = Stories(cluster)
    told.begin(provider_down, calls=30)
    told.begin(killed_backfill)
    told.begin(database_killed)
    told.begin(interrupted)
    told.begin(wrong_key, calls=30)
    told.begin(two_at_once)
    yield told
    told.close()


# --- a key that is wrong, a provider that is down


def wrong_key(branch: Branch) -> Done:
    branch.shell.unspeakable.add("hush-wrong")
    return branch.run("sync", "all", "--since", days_ago(5), "--json", SAKARI_CLIENT_SECRET="hush-wrong")


def test_wrong_key(stories: Stories) -> None:
    """A refused key is one clear sentence; no other provider is disturbed, and the whole is partial (airbyte#30763)."""
    done = stories.of(wrong_key)

    assert (done.status, done.document["state"]) == (1, "partial")
    assert "Sakari refused the client id or secret (401)" in done.err
    assert {run["state"] for run in done.document["runs"] if run["provider"] == "sakari"} == {"failed"}
    assert {run["state"] for run in done.document["runs"] if run["provider"] != "sakari"} == {"completed"}
    assert done.line("sakari")["requests"] < 10, "a refused key is not tried for every window"


def provider_down(branch: Branch) -> tuple[Done, dict[str, int], int]:
    branch.sandbox.faults.add("down-bird")
    done = branch.run("sync", "all", "--json")
    held = Counter(provider for provider, _ in branch.held())
    return done, held, len(branch.sandbox.truth()["sakari"]["calls"])


def test_provider_down(stories: Stories) -> None:
    """A provider that is down fails within about a minute; the others go on, and the whole is partial."""
    done, held, truth = stories.of(provider_down)

    assert (done.status, done.document["state"]) == (1, "partial")
    assert {run["state"] for run in done.document["runs"] if run["provider"] == "bird"} == {"failed"}
    assert {run["state"] for run in done.document["runs"] if run["provider"] != "bird"} == {"completed"}
    assert "Bird" in done.err
    assert held["sakari"] == truth
    assert held["bird"] == 0
    assert done.line("bird")["seconds"] < 75


# --- a backfill that is killed


class Killed:
    """A backfill of Sakari that was killed in the middle, started again, and again."""

    def __init__(self, branch: Branch) -> None:
        words = ("backfill", "sakari", "--since", days_ago(50), "--until", days_ago(8), "--json")
        branch.run("sync", "sakari", "--stream", "calls", "--since", days_ago(2))
        self.complete_up_to = [branch.complete_up_to("sakari")]
        branch.sandbox.requests.clear()
        branch.sandbox.faults.add("slow")
        enough = len(branch.rows(DONE_WINDOWS)) + 8
        process = branch.shell.start(*words)
        self.was_in_the_middle = bool(eventually(lambda: len(branch.rows(DONE_WINDOWS)) > enough, 60))
        process.kill()
        branch.shell.ended(process, time.monotonic())
        branch.sandbox.faults.clear()
        time.sleep(1)  # the slow answers that were under way are noted when they are given
        self.done_before = {span for span in branch.rows(DONE_WINDOWS) if span[1] - span[0] > EDGE}
        self.asked_before = self._asked(branch)
        self.second, self.asked_again = self._run(branch, words)
        self.third, self.asked_in_the_end = self._run(branch, words)
        since, until = (datetime.fromisoformat(text) for text in (words[3], words[5]))
        self.held = {id_ for _, id_ in branch.held()}
        self.expected = {id_ for id_, start in branch.starts("sakari").items() if since <= start < until}

    def _run(self, branch: Branch, words: tuple[str, ...]) -> tuple[Done, Counter[tuple[str, str]]]:
        branch.sandbox.requests.clear()
        done = branch.run(*words)
        self.complete_up_to.append(branch.complete_up_to("sakari"))
        return done, self._asked(branch)

    @staticmethod
    def _asked(branch: Branch) -> Counter[tuple[str, str]]:
        """How often each window (by the times asked for) was asked."""
        queries = (request.query for request in branch.sandbox.requests if request.path.endswith("/calls"))
        return Counter((query["from"][0], query["to"][0]) for query in queries if "from" in query)


EDGE = datetime.resolution


def killed_backfill(branch: Branch) -> Killed:
    return Killed(branch)


def test_killed_backfill(stories: Stories) -> None:
    """A backfill killed in the middle ends complete when started again, and asks for nothing again that was done."""
    killed = stories.of(killed_backfill)

    assert killed.was_in_the_middle
    assert (killed.second.status, killed.second.document["state"]) == (0, "completed"), killed.second.err
    assert killed.expected
    assert killed.expected <= killed.held
    again = killed.asked_before.keys() & killed.asked_again.keys()
    assert len(killed.asked_before) >= 6
    assert len(again) <= 4, "only what its threads were reading when it was killed"
    assert max(killed.asked_again.values()) == 1


def test_killed_backfill_asks_for_no_done_window(stories: Stories) -> None:
    """No window that the ledger calls done is among those asked for after the kill (airbyte#17774)."""
    killed = stories.of(killed_backfill)

    asked = {tuple(round(datetime.fromisoformat(text).timestamp()) for text in pair) for pair in killed.asked_again}
    done = {
        (since, until)
        for since, until in killed.done_before
        if (round(since.timestamp() - 1), round(until.timestamp() + 1)) in asked
    }
    assert killed.done_before
    assert not done


def test_backfill_again_asks_nothing(stories: Stories) -> None:
    """A backfill of what is covered asks for nothing and is completed (latitude#3607)."""
    killed = stories.of(killed_backfill)

    assert (killed.third.status, killed.third.document["state"]) == (0, "completed")
    assert not killed.asked_in_the_end
    assert killed.third.line("sakari")["fetched"] == 0


def test_backfill_never_moves_complete_up_to_back(stories: Stories) -> None:
    """A backfill of older calls leaves the live watermark where it was (faros#1588)."""
    moments = stories.of(killed_backfill).complete_up_to

    assert moments[0] is not None
    assert moments == [moments[0]] * 3


# --- commands side by side


def two_at_once(branch: Branch) -> tuple[list[Done], Counter[tuple[str, ...]], set[str], set[str]]:
    branch.sandbox.faults.add("slow")
    branch.sandbox.faults.seconds_late = 1.5  # one may start seconds after the other
    words = ("sync", "sakari", "--stream", "calls", "--since", days_ago(30), "--until", days_ago(1), "--json")
    done = branch.shell.at_once(words, words)
    since, until = (datetime.fromisoformat(text) for text in (words[5], words[7]))
    queries = (request.query for request in branch.sandbox.requests if request.path.endswith("/calls"))
    pages: list[tuple[str, ...]] = [
        (*query["from"], *query["to"], *query["offset"]) for query in queries if "from" in query
    ]
    moments = [(datetime.fromisoformat(page[0]), datetime.fromisoformat(page[1])) for page in pages]
    # A probe asks without a range, of minutes, or of a day long ago; windows of this history are of many hours.
    asked = Counter(
        page
        for page, (first, last) in zip(pages, moments, strict=True)
        if first >= since - timedelta(minutes=1) and last - first > timedelta(hours=1)
    )
    held = {id_ for _, id_ in branch.held()}
    return done, asked, held, {id_ for id_, start in branch.starts("sakari").items() if since <= start < until}


def test_two_at_once(stories: Stories) -> None:
    """Two syncs of one stream at once share its windows: both complete, none is read twice (dlt#4297)."""
    done, asked, held, expected = stories.of(two_at_once)

    assert [one.status for one in done] == [0, 0], [one.err for one in done]
    assert expected
    assert expected <= held
    assert max(asked.values()) == 1
    assert all(one.line("sakari")["windows"] for one in done)
    assert sum(one.line("sakari")["inserted"] for one in done) == len(held)


# --- Postgres that goes away, Ctrl-C


def database_killed(branch: Branch) -> tuple[Done, Done, set[str], set[str]]:
    with (
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
        postgres(Path(folder) / "home") as doomed,
    ):
        url = doomed.url()
        upgrade(url)
        branch.url = url
        branch.sandbox.faults.add("slow")
        words = ("sync", "sakari", "--stream", "calls", "--json")
        process = branch.shell.start(*words, DATABASE_URL=url)
        eventually(lambda: len(branch.rows(DONE_WINDOWS)) > 4)
        os.kill(int(doomed.daemon.facts()["pid"]), signal.SIGKILL)
        cut = branch.shell.ended(process, time.monotonic())
        branch.sandbox.faults.clear()
        eventually(lambda: not doomed.daemon.running())
        doomed.start()
        again = branch.run(*words, DATABASE_URL=url)
        return cut, again, {id_ for _, id_ in branch.held()}, set(branch.sandbox.truth()["sakari"]["calls"])


def test_database_killed(stories: Stories) -> None:
    """Postgres killed in the middle of a sync is one clear sentence, soon; the next run misses nothing."""
    cut, again, held, truth = stories.of(database_killed)

    assert cut.status == 1
    assert "Postgres" in cut.err
    assert "Traceback" not in cut.err
    assert cut.document["state"] in {"partial", "failed"}
    assert (again.status, again.document["state"]) == (0, "completed"), again.err
    assert held == truth


def interrupted(branch: Branch) -> tuple[Done, dict[str, bool], list[int], Done]:
    with tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        branch.sandbox.faults.add("slow")
        branch.sandbox.faults.seconds_late = 2.0
        own = {"CALLWEAVE_HOME": str(home), "DATABASE_URL": ""}
        process = branch.shell.start("sync", "sakari", "--stream", "calls", **own)
        eventually(lambda: any(request.path.endswith("/calls") for request in branch.sandbox.requests))
        process.send_signal(signal.SIGINT)
        done = branch.shell.ended(process, time.monotonic())
        running = {name: Daemon(home, name).running() for name in ("postgres", "prefect")}
        left = processes_of(process.pid)
        branch.sandbox.faults.clear()
        return done, running, left, branch.run("status", "--json", **own)


def processes_of(group: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]


def test_interrupted(stories: Stories) -> None:
    """Ctrl-C stops a sync within seconds, says so, and stops whatever it had started; what it read stays.

    Its receipt says that somebody stopped it: not a killed process, of which people would be told.
    """
    done, running, left, status = stories.of(interrupted)

    assert done.status not in {0, 1, 2}
    assert "stopped" in done.err
    assert "Traceback" not in done.err
    assert done.seconds < 20
    assert running == {"postgres": False, "prefect": False}
    assert left == []
    (stream,) = status.document["streams"]
    assert (stream["provider"], stream["stream"]) == ("sakari", "calls")
    assert stream["last_error"].startswith("stopped before its end")


# --- every fault against every provider


@pytest.mark.faults
@pytest.mark.parametrize("fault", ["throttle", "errors", "slow", "token-expiry"])
def test_fault_is_outlived(cluster: EmbeddedPostgres, servers: Stack, fault: str) -> None:
    """Throttling, errors, slowness and dying tokens delay a sync and change nothing of what arrives."""
    with Branch(cluster, cluster.data.parent, calls=120, faults=[fault]) as branch:
        done = branch.run("sync", "all", "--json")

        assert (done.status, done.document["state"]) == (0, "completed"), done.err
        assert branch.held() == branch.served()
        assert branch.held("contact") == branch.served("contacts")


@pytest.mark.faults
@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_down(cluster: EmbeddedPostgres, servers: Stack, provider: str) -> None:
    """Whichever provider is down, the others arrive, and it catches up when it is back."""
    with Branch(cluster, cluster.data.parent, faults=[f"down-{provider}"]) as branch:
        down = branch.run("sync", "all", "--json")
        held = {name for name, _ in branch.held()}
        branch.sandbox.faults.clear()
        back = branch.run("sync", "all", "--json")

        assert (down.status, down.document["state"]) == (1, "partial")
        assert down.line(provider)["seconds"] < 75
        assert held == PROVIDERS.keys() - {provider}
        assert (back.status, back.document["state"]) == (0, "completed"), back.err
        assert branch.held() == branch.served()


@pytest.mark.faults
def test_unreadable_records(cluster: EmbeddedPostgres, servers: Stack) -> None:
    """What cannot be read is set aside with its reason and counted; all the rest arrives."""
    with Branch(cluster, cluster.data.parent, calls=240, faults=["unreadable"]) as branch:
        done = branch.run("sync", "all", "--json")
        good = {key for key in branch.served() if key[1] not in spoilt(branch.sandbox, "unreadable", key[0])}

        assert done.document["state"] in {"completed", "partial"}
        assert good <= branch.held().keys() | {("", "")}
        assert done.total("rejected") > 0
        assert branch.rows("SELECT count(*) FROM v1.rejected_row WHERE reason <> ''")[0][0] > 0


@pytest.mark.faults
def test_odd_records(cluster: EmbeddedPostgres, servers: Stack) -> None:
    """Odd records, with NULs, lone surrogates and endless numbers in them, all arrive (airbyte#3476)."""
    with Branch(cluster, cluster.data.parent, calls=240, faults=["odd"]) as branch:
        done = branch.run("sync", "all", "--json")

        assert (done.status, done.document["state"]) == (0, "completed"), done.err
        assert branch.held().keys() == branch.served().keys()


def spoilt(sandbox: Sandbox, fault: str, provider: str) -> set[str]:
    return sandbox.spoilt(fault, provider, "calls")


# --- a long backfill, killed again and again

PAGES = 3_000
KILLS = 10


def three_thousand_pages(sandbox: Sandbox) -> None:
    """Sakari calls of forty days."""
    like, now = next(iter(sandbox.truth()["sakari"]["calls"].values())), datetime.now(UTC)
    record, rows = decoded(like), []
    for number in range(100 * PAGES):
        at = now - timedelta(days=2) - timedelta(days=40) * number / (100 * PAGES)
        body = record | {"id": f"m{number}", "created": {"at": iso(at)}}
        rows.append(Row((round(at.timestamp() * 1000), body["id"]), msgspec.json.encode(body)))
    sandbox.world.tables["sakari"]["calls"].__init__(rows)  # type: ignore[misc]  # the providers hold this very table


def restarted(doomed: EmbeddedPostgres) -> None:
    os.kill(int(doomed.daemon.facts()["pid"]), signal.SIGINT)
    eventually(lambda: not doomed.daemon.running())
    doomed.start()


def has_asked(branch: Branch, requests: int) -> bool:
    return len(branch.sandbox.requests) >= requests


def killed_again_and_again(branch: Branch, doomed: EmbeddedPostgres, words: tuple[str, ...]) -> None:
    luck = Random(7)
    for number in range(KILLS):
        enough = len(branch.sandbox.requests) + 20
        process = branch.shell.start(*words)
        eventually(partial(has_asked, branch, enough), 90)
        time.sleep(luck.uniform(0, 3))
        if number in {3, 7}:
            restarted(doomed)
        process.kill()
        branch.shell.ended(process, time.monotonic())


def long_run(branch: Branch, words: tuple[str, ...]) -> Done:
    return branch.shell.ended(branch.shell.start(*words), time.monotonic(), patience=400)


@pytest.mark.faults
def test_ten_kills(cluster: EmbeddedPostgres, servers: Stack) -> None:
    """Ten kills, two restarts of Postgres, one failure in ten: nothing missing, nothing doubled, few requests more."""
    words = ("backfill", "sakari", "--since", days_ago(43), "--until", days_ago(1), "--json")
    with (
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
        postgres(Path(folder) / "home") as doomed,
        Branch(cluster, cluster.data.parent) as branch,
    ):
        three_thousand_pages(branch.sandbox)
        undisturbed = long_run(branch, words)
        branch.url = doomed.url()
        upgrade(branch.url)
        branch.shell.environ["DATABASE_URL"] = branch.url
        branch.sandbox.requests.clear()
        branch.sandbox.faults.add("errors")
        killed_again_and_again(branch, doomed, words)
        last = long_run(branch, words)

        assert (undisturbed.status, last.status) == (0, 0), last.err
        held = {id_ for (id_,) in branch.rows("SELECT external_id FROM v1.call WHERE deleted_at IS NULL")}
        assert held.symmetric_difference(branch.sandbox.truth()["sakari"]["calls"]) == set()
        assert not branch.rows("SELECT FROM sync_window WHERE state = 'open' OR verdict = 'unproven'")
        share = len(branch.sandbox.requests) / undisturbed.line("sakari")["requests"]
        assert share < 1.3, f"{share:.2f} times the requests"
