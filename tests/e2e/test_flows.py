"""The flows as Prefect sees them: its real server is asked through its API what came of real runs."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types

from tasks.embedded import EmbeddedPostgres, Stack
from tasks.embedded.daemon import Daemon
from tasks.providers import PROVIDERS
from tests.e2e.test_cli import SECRETS, Branch, Done, Shell, days_ago
from tests.support.alerts import Alerts
from tests.support.builders import Json
from tests.support.installation import children
from tests.support.patience import eventually
from tests.support.prefect_api import api_client
from tests.support.prefect_runs import Prefect
from tests.support.relay import Asked, Relay, Reply, reply
from tests.tasks.test_embedded import alive

HOUSE = Path(__file__).parents[2]
NUMBER = "+33 6 12 34 56 78"
ASIDE = ("by id", "that did not come")
"""Ends of the names of tasks that read no window."""


class Ran(NamedTuple):
    """One command, and what Prefect and the people who are alerted know of it."""

    done: Done
    prefect: Prefect
    alerts: list[Json]
    branch: Branch


@pytest.fixture(scope="module")
def documented_automation(servers: Stack) -> Iterator[str]:
    """The id of the automation that docs/operating.md shows; it starts nothing here."""
    chapter = (HOUSE / "docs/operating.md").read_text("utf-8").partition("### Events, for automations")[2]
    shown = yaml.safe_load(chapter.partition("```yaml\n")[2].partition("```")[0])
    shown["actions"] = [{"type": "do-nothing"}]
    with api_client(servers) as client:
        made = client.post("/automations/", json=shown).raise_for_status().json()
        yield made["id"]
        client.delete(f"/automations/{made['id']}").raise_for_status()


@pytest.fixture(scope="module")
def runs(cluster: EmbeddedPostgres, servers: Stack, documented_automation: str) -> Iterator[dict[str, Ran]]:
    """A run that completes, one of which some windows fail, and one that fails."""
    with ExitStack() as opened:
        made = {}
        for name, (words, troubled) in RUNS.items():
            branch = opened.enter_context(Branch(cluster, cluster.data.parent))
            branch.shell.unspeakable |= {NUMBER, "hush-hook"}
            alerts, relay = opened.enter_context(Alerts()), opened.enter_context(Relay(branch.sandbox.url))
            relay.intervene = troubled
            own = {"CALLWEAVE_ALERT_URL": alerts.url, "SAKARI_BASE_URL": relay.url}
            done = branch.run(*words, **own)
            made[name] = Ran(done, Prefect(servers, branch.flow_runs()), alerts.received, branch)
        yield made


def no_trouble(_asked: Asked) -> Reply | None:
    return None


def refuse_some(asked: Asked) -> Reply | None:
    """Refuses every third window, with an error that repeats what nobody should read."""
    if asked.path.endswith("/calls") and int(asked.query.get("from", ["2026-11-01T01"])[0][11:13]) % 3 == 0:
        secret = asked.headers["authorization"].removeprefix("Bearer ")
        return reply(400, {"message": f"cannot call {NUMBER}, key sandbox-not-a-secret, token {secret}"})
    return None


def refuse_all(asked: Asked) -> Reply | None:
    message = {"message": f"forbidden for {NUMBER}, key sandbox-not-a-secret"}
    return reply(403, message) if asked.method == "GET" else None


SYNC = ("sync", "sakari", "--since", days_ago(2), "--json")
RUNS = {
    "completed": (SYNC, no_trouble),
    "partial": ((*SYNC, "--stream", "calls"), refuse_some),
    "failed": ((*SYNC, "--stream", "calls"), refuse_all),
}


@pytest.mark.parametrize(
    ("name", "status", "state", "kind"),
    [
        ("completed", 0, "Completed", "COMPLETED"),
        ("partial", 1, "Partial", "COMPLETED"),
        ("failed", 1, "Failed", "FAILED"),
    ],
)
def test_state(runs: dict[str, Ran], name: str, status: int, state: str, kind: str) -> None:
    """A flow's state is computed: windows that failed never leave it plain Completed (prefect#23137)."""
    ran = runs[name]
    flow_run = ran.prefect.flow_run

    assert (ran.done.status, ran.done.document["state"]) == (status, name), ran.done.err
    assert (flow_run["state"]["name"], flow_run["state"]["type"]) == (state, kind)
    assert flow_run["parameters"]["streams"]


def test_partial_run_keeps_the_rest(runs: dict[str, Ran]) -> None:
    """Windows that fail leave the others done: what they held has arrived (airbyte#17293)."""
    line = runs["partial"].done.line("sakari")
    failed = [one for one in runs["partial"].prefect.task_runs(line["windows"]) if one["state_type"] == "FAILED"]

    assert 0 < len(failed) < line["windows"]
    assert line["inserted"] == len(runs["partial"].branch.held())
    assert "400" in line["error"]


def test_names(runs: dict[str, Ran]) -> None:
    """Runs and tasks are called after what they read: provider, stream and range."""
    found = runs["completed"].prefect
    windows = [one["name"] for one in found.task_runs(runs["completed"].done.line("sakari", "calls")["windows"])]

    assert found.flow_run["name"].startswith("Sakari calls and contacts since 20")
    assert any(re.fullmatch(r"Sakari calls \d+ \w+ 20\d\d \d\d:\d\d.* to .*\d\d:\d\d.*", one) for one in windows)
    assert all(one.startswith(("Sakari calls ", "Sakari contacts ")) for one in windows)


def test_events(runs: dict[str, Ran]) -> None:
    """Prefect's automations can react to what became of a stream, by place."""
    place = {"callweave.provider": "sakari", "callweave.stream": "calls"}
    proven = runs["completed"].prefect.events("callweave.stream.proven")
    opened = runs["failed"].prefect.events("callweave.incident.opened")

    (calls,) = [one for one in proven if one["resource"]["callweave.stream"] == "calls"]
    assert place.items() <= calls["resource"].items()
    assert calls["payload"]["complete_up_to"] > days_ago(1)
    assert [one["payload"]["cause"] for one in opened] == ["failed"]


def test_documented_automation(servers: Stack, runs: dict[str, Ran], documented_automation: str) -> None:
    """The automation of docs/operating.md fires when the calls of a run are complete."""
    resource = {"id": [f"prefect.automation.{documented_automation}"]}
    wanted = {"event": {"prefix": ["prefect.automation.triggered"]}, "resource": resource}

    def fired() -> int:
        with api_client(servers) as client:
            answer = client.post("/events/filter", json={"filter": wanted}).raise_for_status().json()
        return int(answer["total"])

    assert runs["completed"].done.status == 0
    assert eventually(fired)


def test_artifacts(runs: dict[str, Ran]) -> None:
    """A run leaves a table with the counts of each stream, its progress at the end, and the provider's status page."""
    ran = runs["completed"]
    by_type = {one["type"]: one for one in ran.prefect.artifacts()}

    assert by_type.keys() == {"table", "progress", "markdown"}
    assert by_type["markdown"]["key"] == "sakari-status"
    assert "are complete up to" in by_type["markdown"]["data"]
    assert by_type["progress"]["data"] == 100
    rows = json.loads(by_type["table"]["data"])
    assert [row["stream"] for row in rows] == ["calls", "contacts"]
    assert rows == ran.done.document["runs"]


def test_one_task_run_per_window(runs: dict[str, Ran]) -> None:
    """Prefect sees a task per window, and keeps nothing of what it read (prefect#18883, #14329)."""
    ran = runs["completed"]
    windows = sum(run["windows"] for run in ran.done.document["runs"])
    task_runs = ran.prefect.task_runs(windows)

    assert len([one for one in task_runs if not one["name"].endswith(ASIDE)]) == windows
    told = json.dumps(task_runs, ensure_ascii=False)
    ran.branch.shell.assert_discreet(told)
    assert not [id_ for _, id_ in ran.branch.held() if id_ in told]
    assert not [one for one in task_runs if "storage_key" in json.dumps(one["state"].get("data") or "")]


@pytest.mark.parametrize("name", ["partial", "failed"])
def test_alert(runs: dict[str, Ran], name: str) -> None:
    """A run that is not whole posts one message at once, with its link and no number or secret in it."""
    ran = runs[name]
    (message,) = ran.alerts

    assert message["title"] == "Callweave: Sakari: the sync fails"
    assert message["message"].startswith("calls: Sakari answered 40")
    assert f"/runs/flow-run/{ran.prefect.flow_run['id']}" in message["message"]
    runs[name].branch.shell.assert_discreet(json.dumps(message, ensure_ascii=False))


def test_no_alert(runs: dict[str, Ran]) -> None:
    """A run that completed tells nobody."""
    assert runs["completed"].alerts == []


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_told(runs: dict[str, Ran], name: str) -> None:
    """Neither secrets nor whole telephone numbers reach Prefect's logs, states or artifacts, or `v1.sync_status`."""
    ran = runs[name]
    tasks = ran.prefect.task_runs(1) if name != "failed" else []  # that one reads no window
    kept = [ran.prefect.logs(), ran.prefect.flow_run, ran.prefect.artifacts(), tasks]
    status = ran.branch.rows("SELECT last_error FROM v1.sync_status")

    ran.branch.shell.assert_discreet(json.dumps([kept, status], ensure_ascii=False))


@pytest.mark.faults
def test_broken_alert_channel(runs: dict[str, Ran]) -> None:
    """A channel that cannot be reached changes nothing of the run, and is logged without its URL."""
    ran = runs["failed"]
    done = ran.branch.run(
        *SYNC, "--stream", "contacts", SAKARI_CLIENT_SECRET="wrong", CALLWEAVE_ALERT_URL="json://127.0.0.1:9/hush-hook"
    )

    assert (done.status, done.document["state"]) == (1, "failed")
    assert "refused the client id or secret" in done.err
    logs = [one["message"] for one in Prefect(ran.prefect.servers, ran.branch.flow_runs()).logs()]
    assert any("alert could not be delivered" in message for message in logs)
    ran.branch.shell.assert_discreet(json.dumps(logs, ensure_ascii=False))


# --- forms and deployments

FORMS = """
import json, sys
from importlib import import_module
from prefect import Flow
found = {}
for entry in json.loads(sys.argv[1]):
    module, _, name = entry.rpartition(".")
    made = getattr(import_module(module), name)
    assert isinstance(made, Flow), entry
    found[entry] = [made.name, made.description, made.parameters.model_dump()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def deployments() -> list[Json]:
    found: list[Json] = yaml.safe_load((HOUSE / "prefect.yaml").read_text())["deployments"]
    return found


@pytest.fixture(scope="module")
def forms(deployments: list[Json]) -> dict[str, tuple[str, str, Json]]:
    """Name, description and form of every flow that a deployment names, by entrypoint, imported as a worker would."""
    entries = json.dumps(sorted({one["entrypoint"] for one in deployments}))
    with tempfile.TemporaryDirectory(prefix="cw-") as folder:
        environ = Shell(Path(folder), {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}).environ
        done = subprocess.run(
            [sys.executable, "-c", FORMS, entries], check=True, capture_output=True, text=True, cwd=folder, env=environ
        )
    found: dict[str, tuple[str, str, Json]] = json.loads(done.stdout)
    return found


def test_deployments(deployments: list[Json], forms: dict[str, tuple[str, str, Json]]) -> None:
    """Every provider's calls are synced every five minutes and its contacts daily; a backfill is started by hand."""
    schedules = {f"{forms[one['entrypoint']][0]}/{one['name']}": one.get("schedules") for one in deployments}

    assert len(schedules) == len(deployments)
    for name in PROVIDERS:
        assert schedules[f"sync-{name}/calls"] == [{"interval": 300}]
        (daily,) = schedules[f"sync-{name}/contacts"] or [{}]
        assert daily["cron"].split()[2:] == ["*", "*", "*"]
    assert schedules["backfill/manual"] is None


def test_each_deployment_syncs_its_stream(deployments: list[Json]) -> None:
    """A deployment syncs the stream that it is named after, and a schedule that was switched off stays off."""
    for one in deployments:
        if one["name"] in {"calls", "contacts"}:
            assert one["parameters"] == {"streams": [one["name"]]}
        assert all("active" not in schedule for schedule in one.get("schedules", []))
        assert one["work_pool"]["name"] == "callweave"


def test_no_secret_in_deployments() -> None:
    """Nothing secret, and no template that Prefect would resolve into its database, stands in prefect.yaml."""
    text = (HOUSE / "prefect.yaml").read_text()

    assert "{{" not in text
    assert not [name for name in (*SECRETS, "_SECRET", "_KEY", "PASSWORD") if name in text.replace("block:NAME", "")]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_form(forms: dict[str, tuple[str, str, Json]], provider: str) -> None:
    """A sync flow's form offers the streams as choices and the provider's own filters by their names, with help."""
    name, description, form = forms[f"flows.sync.sync_{provider}"]
    fields = form["properties"]

    assert name == f"sync-{provider}"
    assert PROVIDERS[provider].title in description
    assert fields.keys() == {"streams", "since", "until", "full", "call_ids", "filters", "allow_deletes"}
    assert not form.get("required")
    assert all(field["description"] for field in fields.values())
    assert definition(form, fields["streams"]["items"])["enum"] == ["calls", "contacts"]
    assert {"type": "string", "format": "date-time"}.items() <= fields["since"]["anyOf"][0].items()
    documented = {
        info.alias or field: info.description for field, info in PROVIDERS[provider].filters.model_fields.items()
    }
    shown = definition(form, fields["filters"]["anyOf"][0])["properties"]
    assert {field: one.get("description") for field, one in shown.items()} == documented


def definition(form: Json, field: Json) -> Json:
    """What a field's `$ref` leads to."""
    found: Json = form["definitions"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    return found


def test_backfill_form(forms: dict[str, tuple[str, str, Json]]) -> None:
    """The backfill's form offers the registered providers, and demands a range."""
    _, _, form = forms["flows.sync.backfill"]

    assert definition(form, form["properties"]["provider"])["enum"] == list(PROVIDERS)
    assert set(form["required"]) == {"provider", "since", "until"}
    assert all(field["description"] for field in form["properties"].values())


# --- everything up

SCHEDULED = {f"sync-{name}/{stream}" for name in PROVIDERS for stream in ("calls", "contacts")}


@contextmanager
def up(cluster: EmbeddedPostgres) -> Iterator[tuple[Branch, Path, subprocess.Popen[str]]]:
    """`callweave up` in a home of its own."""
    with (
        Branch(cluster, cluster.data.parent) as branch,
        tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as folder,
    ):
        home = Path(folder) / "home"
        yield branch, home, branch.shell.start("up", CALLWEAVE_HOME=str(home), DATABASE_URL="")


@pytest.mark.faults
def test_up(cluster: EmbeddedPostgres) -> None:
    """`up` brings the stack up with deployments and schedules, syncs once, and stops all it started on SIGTERM."""
    with up(cluster) as (branch, home, process):
        try:
            server = Daemon(home, "prefect")
            port = eventually(lambda: home.exists() and server.facts().get("port"))
            servers = Stack("", f"http://127.0.0.1:{port}/api", (home / "prefect.key").read_text().strip())
            with api_client(servers) as api:
                states = eventually(lambda: completed(api))
                deployed = names_of(api)
        finally:
            process.terminate()
            done = branch.shell.ended(process, time.monotonic())

        assert states
        assert deployed >= SCHEDULED | {"backfill/manual"}
        assert done.status in {0, 130}, done.err
        assert "Traceback" not in done.err
        assert not server.running()
        assert not Daemon(home, "postgres").running()


@pytest.mark.faults
def test_up_killed(cluster: EmbeddedPostgres) -> None:
    """A second `up` says that one runs; `kill -9` of it leaves no worker behind, and the servers end themselves."""
    with up(cluster) as (branch, home, process):
        worker = eventually(lambda: beside(process.pid), 90)
        second = branch.run("up", CALLWEAVE_HOME=str(home), DATABASE_URL="")
        assert (second.status, second.out) == (1, "")
        assert f"runs already for {home.resolve()} (process {process.pid})" in second.err
        process.kill()
        process.communicate()
        assert worker
        assert eventually(lambda: not any(alive(pid) for pid in worker))
        assert eventually(lambda: not any(Daemon(home, one).running() for one in ("prefect", "postgres")), 120)


def beside(pid: int) -> list[int]:
    """The worker that `up` has started, and what keeps it."""
    kept = children(pid)
    return [*kept, *(worker for one in kept for worker in children(one))] if kept else []


def completed(api: httpx.Client) -> list[str]:
    """The names of the states of the scheduled deployments' first runs, once there are as many as deployments."""
    try:
        runs = api.post("/flow_runs/filter", json={}).json()
    except httpx.HTTPError:
        return []
    states = [one["state_name"] for one in runs if one["state_type"] == "COMPLETED"]
    return states if states.count("Completed") >= len(SCHEDULED) else []


def names_of(api: httpx.Client) -> set[str]:
    flows = {one["id"]: one["name"] for one in api.post("/flows/filter", json={}).json()}
    deployed = api.post("/deployments/filter", json={}).json()
    assert {f"{flows[one['flow_id']]}/{one['name']}" for one in deployed if one["schedules"]} >= SCHEDULED
    return {f"{flows[one['flow_id']]}/{one['name']}" for one in deployed}
