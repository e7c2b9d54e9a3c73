"""The command line as people and scripts meet it: real processes, HTTP, Postgres and Prefect server."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self

import psycopg
import pytest

from sandbox.server import Sandbox
from tasks.embedded import EmbeddedPostgres, Stack
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tests.support.builders import Json, call_of, decoded, iso
from tests.support.patience import PATIENCE
from tests.support.prefect_api import api_client

INHERITED = {"PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT"}
FAST = {f"{name.upper()}_REQUESTS_PER_SECOND": "500" for name in PROVIDERS} | {"CALLWEAVE_WORKERS": "4"}
SECRETS = ("SAKARI_CLIENT_ID", "SAKARI_CLIENT_SECRET", "BIRD_ACCESS_KEY", "SKIPCALL_API_KEY")
COUNTS = ("fetched", "inserted", "updated", "unchanged", "duplicate", "rejected", "deleted", "windows", "requests")
LINE = {"provider", "account", "stream", "state", "seconds", "error", *COUNTS}
MERGES = "SELECT id FROM person_change WHERE kind = 'merge' AND undone_at IS NULL ORDER BY id"
VERSIONS = "SELECT '{0}', ctid::text, xmin::text, external_id FROM {0}"

PROCESS = f"{os.getpid()}_{time.monotonic_ns()}"
_databases = count(1)


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> Json:
        """The one JSON document on stdout."""
        found: Json = json.loads(self.out)
        return found

    def line(self, provider: str, stream: str = "calls") -> Json:
        (found,) = (run for run in self.document["runs"] if (run["provider"], run["stream"]) == (provider, stream))
        return dict(found)

    def total(self, name: str) -> int:
        return sum(run[name] for run in self.document["runs"])


class Shell:
    """A shell in a folder of its own, with an environment of its own; checks whatever is printed for secrets."""

    def __init__(self, folder: Path, environ: dict[str, str], unspeakable: set[str] | None = None) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if name in INHERITED}
        self.environ = kept | {"HOME": str(folder)} | FAST | environ
        self.unspeakable = {self.environ[name] for name in SECRETS if name in self.environ} | (unspeakable or set())

    def start(self, *words: str, code: str = "", **more: str) -> subprocess.Popen[str]:
        """A command in a process group of its own, so that nothing but what a test sends reaches it."""
        return subprocess.Popen(
            [sys.executable, *(("-c", code) if code else ("-m", "flows")), *words],
            cwd=self.folder,
            env={name: value for name, value in (self.environ | more).items() if value},
            stdin=subprocess.PIPE if code else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **more: str) -> Done:
        began = time.monotonic()
        return self.ended(self.start(*words, **more), began)

    def ended(self, process: subprocess.Popen[str], began: float, patience: float = PATIENCE) -> Done:
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"no end after {patience} s; it had said:\n{out[-2000:]}{err[-2000:]}")
        done = Done(process.returncode, out, err, time.monotonic() - began)
        self.assert_discreet(out + err)
        return done

    def assert_discreet(self, text: str) -> None:
        told = sorted(word for word in self.unspeakable if word in text)
        assert not told, f"{told} must not be told in:\n{text[-2000:]}"

    def at_once(self, *commands: tuple[str, ...], **more: str) -> list[Done]:
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda words: self.run(*words, **more), commands))


class Branch:
    """A shell, a sandbox of its own and a database of its own: what a whole story is told with."""

    def __init__(self, cluster: EmbeddedPostgres, prefect_home: Path, **sandbox: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True)
        self.url = new_database(cluster)
        world: dict[str, Any] = {"calls": 60, "seed": 11, "until": an_hour_ago()}
        self.sandbox = Sandbox(**(world | sandbox))
        environ = self.sandbox.environ | {"DATABASE_URL": self.url, "CALLWEAVE_HOME": str(prefect_home)}
        self.shell = Shell(Path(self.folder.name), environ, phone_numbers(self.sandbox))

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.__exit__(None, None, None)
        self.folder.cleanup()

    def run(self, *words: str, **more: str) -> Done:
        return self.shell.run(*words, **more)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def held(self, view: str = "call") -> dict[tuple[str, str], Any]:
        """The payloads in `v1`, by provider and id."""
        return {
            (name, id_): body for name, id_, body in self.rows(f"SELECT provider, external_id, payload FROM v1.{view}")
        }

    def served(self, stream: str = "calls") -> dict[tuple[str, str], Any]:
        """The payloads at the providers."""
        truth = self.sandbox.truth()
        return {(name, id_): decoded(body) for name in truth for id_, body in truth[name][stream].items()}

    def starts(self, provider: str) -> dict[str, datetime]:
        """When the calls of a provider began, by id."""
        calls = self.sandbox.truth()[provider]["calls"]
        return {id_: call_of(provider, decoded(body)).started_at for id_, body in calls.items()}

    def versions(self) -> set[tuple[Any, ...]]:
        """Every row version there is of what was synced."""
        return {row for table in ("call", "contact") for row in self.rows(VERSIONS.format(table))}

    def complete_up_to(self, provider: str, stream: str = "calls") -> datetime | None:
        query = "SELECT complete_up_to FROM v1.sync_status WHERE provider = %s AND stream = %s"
        return next((moment for (moment,) in self.rows(query, provider, stream)), None)

    def flow_runs(self) -> list[str]:
        """The ids of the Prefect flow runs that worked on this database."""
        return [id_ for (id_,) in self.rows("SELECT DISTINCT flow_run_id FROM sync_run")]


def new_database(cluster: EmbeddedPostgres) -> str:
    """A migrated database without any row, copied from one that was migrated once."""
    pattern, name = f"pattern_{PROCESS}", f"branch_{PROCESS}_{next(_databases)}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [pattern]).fetchall():
            connection.execute(f"CREATE DATABASE {pattern}".encode())
            upgrade(cluster.url(pattern))
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {pattern}".encode())
    return cluster.url(name)


def an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def days_ago(days: float) -> str:
    return iso(datetime.now(UTC) - timedelta(days=days))


def phone_numbers(sandbox: Sandbox) -> set[str]:
    """Every telephone number that the world's records hold, as it is written there."""
    texts = {text for table in sandbox.world.tables.values() for name in table for text in _texts(table[name].bodies)}
    return {text for text in texts if 9 <= len(re.sub(r"\D", "", text)) <= 15}


def _texts(bodies: list[bytes]) -> set[str]:
    return {found.decode() for body in bodies for found in re.findall(rb'"(\+?[\d(][\d ().-]+)"', body)}


@pytest.fixture(scope="module")
def branch(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    """For tests that do not mind what others have synced."""
    with Branch(cluster, cluster.data.parent) as opened:
        yield opened


@pytest.fixture
def fresh(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    """Nothing synced yet."""
    with Branch(cluster, cluster.data.parent) as opened:
        yield opened


# --- wrong usage and wrong configuration


@pytest.fixture(scope="module")
def desert() -> Iterator[Shell]:
    """All is configured and nothing can be started: a command that gets as far as that ends with 1, not 2."""
    nowhere = {f"{name.upper()}_BASE_URL": "http://127.0.0.1:9" for name in PROVIDERS}
    environ = {
        "SAKARI_ACCOUNT_ID": "acc1",
        "SAKARI_CLIENT_ID": "hush-client",
        "SAKARI_CLIENT_SECRET": "hush-secret",
        "BIRD_WORKSPACE_ID": "ws1",
        "BIRD_ACCESS_KEY": "hush-access",
        "SKIPCALL_API_KEY": "hush-key",
        "CALLWEAVE_HOME": "/dev/null/home",
    }
    with tempfile.TemporaryDirectory(prefix="cw-") as folder:
        yield Shell(Path(folder), nowhere | environ)


SOMEDAY = "2999-01-01T00:00:00Z"
DAY = ("--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z")
CALLS_OF_BIRD, CALLS_OF_SAKARI = ("sync", "bird", "--stream", "calls"), ("sync", "sakari", "--stream", "calls")
USAGE: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (("nonsense",), {}, "nonsense"),
    (("sync",), {}, "PROVIDER"),
    (("sync", "aircall"), {}, "aircall"),
    (("sync", "sakari:elsewhere"), {}, "elsewhere"),
    (("sync", "bird", "--stream", "messages"), {}, "--stream"),
    (("sync", "bird", "--since", "2026-01-31T00:00:00"), {}, "--since"),
    (("sync", "bird", "--since", "2026-01-31"), {}, "--since"),
    (("sync", "bird", "--until", "yesterday"), {}, "--until"),
    (("sync", "bird", "--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"), {}, "since"),
    (("sync", "bird", "--since", "2026-02-01T01:00:00+01:00", "--until", "2026-02-01T00:00:00Z"), {}, "since"),
    (("sync", "bird", "--since", SOMEDAY), {}, "since"),
    (("sync", "bird", "--filter", "colour=red"), {}, "colour"),
    ((*CALLS_OF_BIRD, "--filter", "startAt=2026-01-01T00:00:00Z"), {}, "startAt"),
    ((*CALLS_OF_BIRD, "--filter", "pageToken=x"), {}, "pageToken"),
    ((*CALLS_OF_BIRD, "--filter", "limit=10"), {}, "limit"),
    ((*CALLS_OF_SAKARI, "--filter", "from=2026-01-01"), {}, "from"),
    ((*CALLS_OF_SAKARI, "--filter", "offset=5"), {}, "offset"),
    ((*CALLS_OF_SAKARI, "--filter", "direction=sideways"), {}, "direction"),
    (("sync", "sakari", "--filter", "direction=inbound"), {}, "direction"),
    (("sync", "skipcall", "--filter", "page=2"), {}, "page"),
    (("sync", "bird", "--filter", "direction"), {}, "--filter"),
    (("sync", "sakari", "bird", "--call-id", "1"), {}, "--call-id"),
    (("sync", "all", "--call-id", "1"), {}, "--call-id"),
    (("backfill", "bird", "--since", "2026-01-01T00:00:00Z"), {}, "--until"),
    (("backfill", "all", *DAY), {}, "all"),
    (("backfill", "bird", *DAY, "--filter", "colour=red"), {}, "colour"),
    (("backfill", "bird", *DAY, "--filter", "colour=red", "--dry-run"), {}, "colour"),
    (("check", "aircall"), {}, "aircall"),
    (("sandbox", "--fault", "gremlins"), {}, "gremlins"),
    (("sync", "sakari"), {"SAKARI_CLIENT_SECRET": ""}, "SAKARI_CLIENT_SECRET"),
    (("sync", "all"), {"BIRD_WORKSPACE_ID": ""}, "BIRD_WORKSPACE_ID"),
    (("check", "sakari"), {"SAKARI_ACCOUNT_ID": ""}, "SAKARI_ACCOUNT_ID"),
    (("sync", "skipcall"), {"SKIPCALL_API_KEY": ""}, "SKIPCALL_API_KEY"),
    (("sync", "all"), {"CALLWEAVE_HISTORY": "a while"}, "CALLWEAVE_HISTORY"),
    (("status",), {"CALLWEAVE_DELETE_BRAKE": "many"}, "CALLWEAVE_DELETE_BRAKE"),
    (("sync", "bird"), {"BIRD_REQUESTS_PER_SECOND": "0"}, "BIRD_REQUESTS_PER_SECOND"),
    (("sync", "bird"), {"BIRD_LOOKBACK": "two days"}, "BIRD_LOOKBACK"),
    (("sync", "bird"), {"BIRD_DEFAULT_REGION": "Narnia"}, "BIRD_DEFAULT_REGION"),
    (("sync", "all"), dict.fromkeys((*SECRETS, "SAKARI_ACCOUNT_ID", "BIRD_WORKSPACE_ID"), ""), "No provider is confi"),
    (("check",), dict.fromkeys((*SECRETS, "SAKARI_ACCOUNT_ID", "BIRD_WORKSPACE_ID"), ""), "No provider is configured"),
]

ONE_AFTER_THE_OTHER = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from flows.cli.main import main
for line in sys.stdin:
    words, environ = json.loads(line)
    before = dict(os.environ)
    os.environ.update(environ)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = main(words)
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def refusals(desert: Shell) -> list[Done]:
    """What the command line says to every case of `USAGE`: one process for all of them, since none does anything."""
    cases = [json.dumps([words, environ]) for words, environ, _ in USAGE]
    told, _ = desert.start(code=ONE_AFTER_THE_OTHER).communicate("\n".join(cases), timeout=PATIENCE)
    return [Done(status, out, err, 0) for status, out, err in map(json.loads, told.splitlines())]


@pytest.mark.parametrize("number", range(len(USAGE)), ids=lambda i: " ".join([*USAGE[i][0], *USAGE[i][1]]))
def test_usage(desert: Shell, refusals: list[Done], number: int) -> None:
    """What is wrong is told by its name before anything starts: exit 2, stdout empty (nocturne#1057)."""
    done = refusals[number]

    assert (done.status, done.out) == (2, ""), done.err
    assert USAGE[number][2] in done.err
    assert "Traceback" not in done.err
    desert.assert_discreet(done.err)


def test_exit_status(desert: Shell) -> None:
    """The shell sees the same: 2 for wrong usage by whichever part finds it, 0 for help."""
    done = desert.at_once(("sync", "aircall"), ("sync", "bird", "--since", "2026-01-31"), ("backfill", "--help"))

    assert [one.status for one in done] == [2, 2, 0]
    assert [bool(one.out) for one in done] == [False, False, True]


def test_database_behind(desert: Shell, empty_database_url: str) -> None:
    """A database of the user's own that is behind is not migrated behind their back: exit 2, and what to run."""
    commands = (("sync", "all"), ("backfill", "bird", *DAY), ("status",), ("check",))

    for done in desert.at_once(*commands, DATABASE_URL=empty_database_url):
        assert (done.status, done.out) == (2, "")
        assert "run `callweave migrate`" in done.err


def test_migrate(desert: Shell, empty_database_url: str) -> None:
    """`migrate` brings a database of the user's own up to date; a second time there is nothing to do."""
    first, second = (desert.run("migrate", DATABASE_URL=empty_database_url) for _ in range(2))
    assert (first.status, second.status) == (0, 0)
    assert re.search(r"DATABASE_URL: \d+ migrations run, now at the newest", first.err)
    assert "DATABASE_URL: at the newest migration already" in second.err

    done = desert.run("status", "--json", DATABASE_URL=empty_database_url)
    assert done.status == 0
    assert done.document["streams"] == []


def test_database_away(desert: Shell) -> None:
    """A database that cannot be reached is one clear sentence and exit 1, without the URL's password."""
    done = desert.run("sync", "all", DATABASE_URL="postgresql://me:hush-secret@127.0.0.1:9/callweave")

    assert (done.status, done.out) == (1, "")
    assert "Postgres cannot be reached" in done.err
    assert "DATABASE_URL" in done.err
    assert "Traceback" not in done.err


# --- everything, twice, and once more after some records changed


class Story(NamedTuple):
    branch: Branch
    first: Done
    held: dict[str, dict[tuple[str, str], Any]]
    served: dict[str, dict[tuple[str, str], Any]]
    before: set[tuple[Any, ...]]
    second: Done
    after: set[tuple[Any, ...]]
    changed: dict[str, str]
    third: Done
    complete_up_to: list[dict[str, datetime | None]]
    fourth: Done


@pytest.fixture(scope="module")
def story(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Story]:
    with Branch(cluster, cluster.data.parent) as branch:
        first = branch.run("sync", "all", "--full", "--json")
        held = {"calls": branch.held(), "contacts": branch.held("contact")}
        served = {"calls": branch.served(), "contacts": branch.served("contacts")}
        before = branch.versions()
        second = branch.run("sync", "all", "--full", "--json")
        after = branch.versions()
        changed = {provider: change_newest(branch, provider) for provider in PROVIDERS}
        third = branch.run("sync", "all", "--stream", "calls", "--since", days_ago(9), "--full", "--json")
        earlier = {provider: branch.complete_up_to(provider) for provider in PROVIDERS}
        fourth = branch.run("sync", "all", "--json")
        later = {provider: branch.complete_up_to(provider) for provider in PROVIDERS}
        yield Story(branch, first, held, served, before, second, after, changed, third, [earlier, later], fourth)


def change_newest(branch: Branch, provider: str) -> str:
    """Changes the newest call of a provider, as an agent's note would."""
    starts = branch.starts(provider)
    id_ = max(starts, key=lambda one: starts[one])
    record = decoded(branch.sandbox.truth()[provider]["calls"][id_])
    branch.sandbox.put(provider, "calls", record | {"note": "called back"})
    return id_


def test_json_document(story: Story) -> None:
    """`--json` is one document of the contract's shape, a line per stream of each provider, and its sums add up."""
    document = story.first.document

    assert story.first.status == 0, story.first.err
    assert document.keys() == {"state", "seconds", "runs"}
    assert document["state"] == "completed"
    assert {(run["provider"], run["stream"]) for run in document["runs"]} == {
        (name, str(stream.name)) for name, provider in PROVIDERS.items() for stream in provider.streams
    }
    for run in document["runs"]:
        assert run.keys() == LINE
        assert run["state"] == "completed"
        assert run["error"] is None
        parts = ("inserted", "updated", "unchanged", "duplicate", "rejected")
        assert run["fetched"] == sum(run[name] for name in parts)
        assert 0 <= run["seconds"] <= document["seconds"]
        assert run["windows"] >= 1


def test_requests_are_all_counted(story: Story) -> None:
    """`requests` counts every request that a provider received, tokens included."""
    told = sum(done.total("requests") for done in (story.first, story.second, story.third, story.fourth))

    assert told == len(story.branch.sandbox.requests)


@pytest.mark.parametrize("stream", ["calls", "contacts"])
def test_everything_arrives(story: Story, stream: str) -> None:
    """After a full sync the ids and payloads in `v1` are those that the providers hold."""
    assert story.held[stream].keys() == story.served[stream].keys()
    assert story.held[stream] == story.served[stream]
    inserted = sum(run["inserted"] for run in story.first.document["runs"] if run["stream"] == stream)
    assert inserted == len(story.served[stream])


def test_second_sync_changes_nothing(story: Story) -> None:
    """What is known is read again and not written again: no count but `unchanged` moves, nor any row version."""
    assert story.second.status == 0, story.second.err
    assert {name: story.second.total(name) for name in ("inserted", "updated", "rejected", "deleted")} == {
        "inserted": 0,
        "updated": 0,
        "rejected": 0,
        "deleted": 0,
    }
    assert story.second.total("unchanged") == story.first.total("inserted")
    assert story.before == story.after


@pytest.mark.parametrize("provider", PROVIDERS)
def test_changed_record(story: Story, provider: str) -> None:
    """A record that changed at the provider is one `updated`, and its new content is there."""
    line = story.third.line(provider)

    assert (line["updated"], line["inserted"]) == (1, 0)
    assert story.branch.held()[provider, story.changed[provider]]["note"] == "called back"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_live_sync_moves_complete_up_to(story: Story, provider: str) -> None:
    """Each ordinary sync moves `complete_up_to` on, also where a list cannot be bounded by time."""
    earlier, later = (moments[provider] for moments in story.complete_up_to)

    assert story.fourth.status == 0, story.fourth.err
    assert earlier is not None
    assert later is not None
    assert later > earlier


def test_people(story: Story) -> None:
    """A sync ends with people linked; `person undo` takes a merge apart."""
    merges = story.branch.rows(MERGES)
    linked = "SELECT 1 FROM v1.contact WHERE e164s <> '{}' AND person_id IS NULL AND deleted_at IS NULL"
    assert story.branch.rows(f"{linked} AND NOT e164s && ARRAY(SELECT e164 FROM v1.unlinked_phone)") == []
    assert merges
    merge = str(merges[0][0])
    # Alone among the commands it is asked for numbers.
    listed, _ = story.branch.shell.start("person", "merges").communicate(timeout=PATIENCE)
    unasked = story.branch.shell.run("person", "undo", merge)
    assert unasked.status == 2
    assert merge in listed
    assert "--yes" in unasked.err
    assert story.branch.rows(MERGES) == merges, "nothing is changed without a yes"
    done, again, unknown = (
        story.branch.shell.run("person", "undo", which, "--yes") for which in (merge, merge, "999999")
    )

    assert (done.status, again.status, unknown.status) == (0, 0, 2)
    assert done.out == again.out != ""
    assert "no merge 999999" in unknown.err
    assert story.branch.rows(MERGES) == merges[1:]


def test_status(story: Story) -> None:
    """`status` tells for every stream how far it is complete, in a table and as one JSON document."""
    text, document = story.branch.shell.at_once(("status",), ("status", "--json"))

    assert (text.status, document.status) == (0, 0)
    assert all(name in text.out for name in PROVIDERS)
    streams = document.document["streams"]
    assert {(one["provider"], one["stream"]) for one in streams} == {
        (run["provider"], run["stream"]) for run in story.first.document["runs"]
    }
    assert {one["state"] for one in streams} == {"ok"}
    assert all(datetime.fromisoformat(one["complete_up_to"]) for one in streams)
    assert {one["open_windows"] for one in streams} == {0}


def test_nothing_is_told_in_prefect_logs(story: Story, servers: Stack) -> None:
    """Neither a secret nor a whole telephone number stands in the logs, states or parameters that Prefect keeps."""
    runs = {"flow_runs": {"id": {"any_": story.branch.flow_runs()}}}
    with api_client(servers) as prefect:
        logs = prefect.post("/logs/filter", json={"logs": {"flow_run_id": runs["flow_runs"]["id"]}}).json()
        kept = [prefect.post(f"/{what}/filter", json=runs).json() for what in ("flow_runs", "task_runs")]

    assert len(kept[0]) == 12
    assert logs
    story.branch.shell.assert_discreet(json.dumps([logs, kept], ensure_ascii=False))


# --- what to sync


def test_all_skips_what_is_not_configured(branch: Branch) -> None:
    """`all` leaves out what is not configured, says so, and has no line for it."""
    nothing = dict.fromkeys(("SAKARI_ACCOUNT_ID", *SECRETS[:3], "BIRD_WORKSPACE_ID"), "")

    done = branch.run("sync", "all", "--stream", "contacts", "--json", **nothing)

    assert done.status == 0, done.err
    assert "not configured, left out: Sakari, Bird" in done.err
    assert [(run["provider"], run["stream"]) for run in done.document["runs"]] == [("skipcall", "contacts")]


def test_range(fresh: Branch) -> None:
    """`--since` and `--until` choose calls by their start, half-open; a list without a time filter is cut exactly."""
    starts = fresh.starts("skipcall")
    inner = sorted(starts.values())[-12:-2]
    since, until = inner[0], inner[-1]

    done = fresh.run(
        "sync", "all", "--stream", "calls", "--since", since.isoformat(), "--until", until.isoformat(), "--json"
    )

    assert done.status == 0, done.err
    exact = {id_ for id_, start in starts.items() if since <= start < until}
    held: dict[str, set[str]] = {name: set() for name in PROVIDERS}
    for provider, id_ in fresh.held():
        held[provider].add(id_)
    assert held["skipcall"] == exact
    assert done.line("skipcall")["fetched"] == len(exact)
    for provider in ("sakari", "bird"):
        found = fresh.starts(provider)
        asked = {id_ for id_, start in found.items() if since <= start < until}
        edges = {id_ for id_, start in found.items() if since - EDGE <= start <= until + EDGE}
        assert asked <= held[provider] <= edges
        assert done.line(provider)["inserted"] == len(held[provider])


EDGE = timedelta(seconds=1)


@pytest.mark.faults
def test_since_leaves_the_gap_open(fresh: Branch) -> None:
    """A run that begins after what is complete claims nothing of the time between (airbyte#34881)."""
    first = fresh.run("sync", "sakari", "--stream", "calls", "--since", days_ago(12), "--until", days_ago(10))
    complete = fresh.complete_up_to("sakari")
    later = fresh.run("sync", "sakari", "--stream", "calls", "--since", days_ago(2))
    (gap,) = fresh.rows(
        "SELECT covered @> now() - interval '5 days', covered @> now() - interval '11 days',"
        " covered @> now() - interval '1 day' FROM v1.sync_status WHERE provider = 'sakari'"
    )

    assert (first.status, later.status) == (0, 0)
    assert complete is not None
    assert gap == (False, True, True)


def test_call_id(fresh: Branch) -> None:
    """A call is read by its id; an id that the provider does not know fails and buries nothing."""
    known, other = list(fresh.starts("skipcall"))[-2:]
    first = fresh.run("sync", "skipcall", "--call-id", known, other, "--json")
    fresh.sandbox.remove("skipcall", "calls", known)
    second = fresh.run("sync", "skipcall", "--call-id", known, "--json")

    assert (first.status, first.line("skipcall")["inserted"], first.line("skipcall")["requests"]) == (0, 2, 2)
    assert (second.status, second.document["state"]) == (1, "failed")
    assert known in second.err
    assert fresh.rows("SELECT count(*) FROM v1.call WHERE deleted_at IS NOT NULL") == [(0,)]
    assert fresh.complete_up_to("skipcall") is None


def test_filter(fresh: Branch) -> None:
    """A filtered run reads what the provider's own filter finds, and moves no watermark."""
    filters = {"sakari": ("direction=inbound", "inbound"), "bird": ("direction=incoming", "incoming")}
    done = fresh.shell.at_once(
        *(("sync", name, "--stream", "calls", "--filter", text, "--json") for name, (text, _) in filters.items())
    )

    assert [one.status for one in done] == [0, 0], done
    served, held = fresh.served(), fresh.held()
    for name, (_, word) in filters.items():
        expected = {key for key, body in served.items() if key[0] == name and body.get("direction") == word}
        assert expected
        assert {key for key in held if key[0] == name} == expected
        assert fresh.complete_up_to(name) is None


def test_dry_run(fresh: Branch) -> None:
    """`backfill --dry-run` tells windows, requests and minutes expected, and syncs nothing."""
    words = ("backfill", "sakari", "--since", days_ago(20), "--until", days_ago(10), "--dry-run")
    text, document = fresh.shell.at_once(words, (*words, "--json"))

    assert (text.status, document.status) == (0, 0), text.err
    assert document.document.keys() >= {"windows", "requests", "minutes"}
    assert 1 <= document.document["windows"] <= document.document["requests"]
    assert all(word in text.out for word in ("windows", "requests", "minutes"))
    assert fresh.rows("SELECT count(*) FROM sync_window") == fresh.rows("SELECT count(*) FROM v1.call") == [(0,)]


# --- check and sandbox

TITLES = [provider.title for provider in PROVIDERS.values()]


def test_check(branch: Branch) -> None:
    """`check` finds nothing wrong where nothing is; a wrong key is named with its variables, and never printed."""
    good, wrong = branch.shell.at_once(("check",), ("check", "bird"))

    assert (good.status, wrong.status) == (0, 0), good.out
    assert "WRONG" not in good.out
    assert {
        f"good   {name} {stream}: key, rights and paging" for name in TITLES for stream in ("calls", "contacts")
    } <= {*good.out.splitlines()}

    branch.shell.unspeakable |= {"hush-wrong"}
    done = branch.run("check", BIRD_ACCESS_KEY="hush-wrong")

    assert done.status == 1
    assert "Bird refused the access key (401)" in done.out
    assert "BIRD_ACCESS_KEY" in done.out
    assert done.out.count("WRONG") == 2


def test_check_with_one_provider_half_configured(branch: Branch) -> None:
    """`check` names the provider that is half configured, tries the others, and exits 1."""
    done = branch.run("check", SAKARI_ACCOUNT_ID="")

    assert done.status == 1
    assert "WRONG  configuration of sakari: Sakari is half configured: set SAKARI_ACCOUNT_ID." in done.out
    assert "good   Bird calls: key, rights and paging" in done.out
    assert done.out.count("WRONG") == 1


def test_sandbox_command(desert: Shell) -> None:
    """`sandbox` first prints the `export` lines that point at it, credentials included, and ends on Ctrl-C."""
    process = desert.start("sandbox", "--calls", "40", "--seed", "3")
    assert process.stdout
    exports = {}
    while "CALLWEAVE_HISTORY" not in exports:
        name, _, value = process.stdout.readline().removeprefix("export ").strip().partition("=")
        exports[name] = value
    process.send_signal(signal.SIGINT)

    assert exports.keys() >= {*SECRETS, "SAKARI_BASE_URL", "BIRD_BASE_URL", "SKIPCALL_BASE_URL", "BIRD_WORKSPACE_ID"}
    assert desert.ended(process, time.monotonic()).status == 0
