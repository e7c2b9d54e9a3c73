"""The watchdog among Prefect's own things: killed processes, deployments, automations. Real processes, real server."""

import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed, Running, Scheduled

from models.findings import Deployed
from tasks.automations import FOLDER, apply
from tasks.embedded import EmbeddedPostgres, Stack
from tasks.probe_prefect import of_prefect
from tasks.schedules import deployments
from tests.alerts import Alerts
from tests.test_cli import Branch, eventually

POOL = "nobody-else-s"
FLOW = "from flows.watchdog import watchdog; assert watchdog(return_state=True).name == 'Completed'"


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    with Alerts() as server:
        yield server


@pytest.fixture
def branch(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    with Branch(cluster, cluster.data.parent, calls=240) as opened:
        opened.shell.unspeakable |= {"hush-hook", "hush-beat"}
        yield opened


def test_killed(branch: Branch, alerts: Alerts, servers: Stack) -> None:
    """A run that is killed tells nobody by itself: the watchdog does, once, and the next run that it is over."""
    where = {"CALLWEAVE_ALERT_URL": alerts.url, "CALLWEAVE_HEARTBEAT_URL": alerts.heartbeat_url}
    branch.sandbox.faults.add("slow")
    process = branch.shell.start("sync", "bird", **where)
    assert eventually(lambda: branch.rows("SELECT 1 FROM sync_window WHERE claimed_by IS NOT NULL"), 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    branch.sandbox.faults.clear()
    with psycopg.connect(branch.url) as connection:
        connection.execute("UPDATE sync_run SET heartbeat_at = heartbeat_at - interval '3 minutes'")
        connection.execute("UPDATE sync_window SET claimed_until = now()")

    flow = branch.shell.start(code=FLOW, PREFECT_API_URL=servers.prefect_api_url, **where)
    looks = [branch.shell.ended(flow, time.monotonic()), branch.run("watchdog", **where)]
    assert [look.status for look in looks] == [0, 0], looks[0].err
    assert "bird" in looks[1].out
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Bird: a run ended without a word"
    assert "/runs/flow-run/" in told["message"]
    assert alerts.beats == 2

    branch.sandbox.faults.clear()
    assert branch.run("sync", "bird", **where).status == 0
    assert alerts.titles == ["Bird: over: a run ended without a word"]
    status = branch.run("status", "--json").document
    assert status["incidents"] == []


@pytest.fixture
def client(servers: Stack) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: servers.prefect_api_url}),
        get_client(sync_client=True) as client,
    ):
        yield client
        for one in client.read_automations():
            client.delete_automation(one.id)


def deployed(client: SyncPrefectClient, name: str) -> Deployed:
    (found,) = (one for one in deployments(datetime.now(UTC)) if one.name == f"sync-bird/{name}")
    return found


def deploy(client: SyncPrefectClient, name: str) -> Any:
    """A deployment whose schedule lies far ahead, so that nothing is planned but what the test plans."""
    later = IntervalSchedule(interval=timedelta(days=30), anchor_date=datetime.now(UTC) + timedelta(days=10))
    flow = client.create_flow_from_name("sync-bird")
    schedule = DeploymentScheduleCreate(schedule=later, active=True)
    return client.create_deployment(flow, name, schedules=[schedule], parameters={"streams": ["calls"]})


def test_schedules(client: SyncPrefectClient) -> None:
    """Whether a schedule is on, what waits, and what failed first, is read from Prefect's server."""
    id_ = deploy(client, "quiet")
    one = deployed(client, "quiet")
    assert (one.is_on, one.streams) == (True, frozenset({("bird", "calls")}))
    assert not one.is_late(datetime.now(UTC) - timedelta(minutes=10)), "it takes Prefect a moment to plan a run"

    long_ago = datetime.now(UTC) - timedelta(minutes=40)
    run = client.create_flow_run_from_deployment(id_, state=Scheduled(scheduled_time=long_ago))
    one = deployed(client, "quiet")
    assert one.waiting_since == one.due == long_ago
    assert one.is_late(datetime.now(UTC) - timedelta(minutes=10))

    client.set_flow_run_state(run.id, Failed(message="no block for +33 6 12 34 56 78"), force=True)
    one = deployed(client, "quiet")
    assert one.failed_run
    assert (one.failed_run[0], one.failed_run[2]) == (str(run.id), "no block for …78")

    client.pause_deployment(id_)
    assert deployed(client, "quiet").is_on is False
    client.delete_deployment(id_)


def test_automations(client: SyncPrefectClient, alerts: Alerts, cluster: EmbeddedPostgres) -> None:
    """Applied twice they are there once; what was switched off stays off; the URL is nowhere in clear."""
    names = apply(alerts.url)
    assert len(names) == len(list(FOLDER.glob("*.yaml")))
    (first, *_) = [client.read_automations_by_name(name)[0] for name in names]
    client.pause_automation(first.id)
    assert apply(alerts.url) == names
    found = [client.read_automations_by_name(name) for name in names]

    assert [len(one) for one in found] == [1] * len(names)
    assert [one[0].enabled for one in found] == [False, *[True] * (len(names) - 1)]
    client.resume_automation(first.id)
    with psycopg.connect(cluster.url("prefect")) as connection:
        tables = connection.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        dump = [connection.execute(f"SELECT {name}::text FROM {name}".encode()).fetchall() for (name,) in tables]
    assert "callweave-alerts" in str(dump)
    assert "hush-hook" not in str(dump)


def test_a_deleted_deployment_is_told(client: SyncPrefectClient, alerts: Alerts) -> None:
    """Prefect itself tells, through the same channel, that a deployment is gone."""
    apply(alerts.url)
    client.delete_deployment(deploy(client, "doomed"))

    assert eventually(lambda: alerts.received, 20)
    (told,) = alerts.take()
    assert told["title"] == "Callweave: a deployment was deleted"
    assert '"doomed"' in told["message"]


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The automations with seconds in place of minutes."""
    for file in FOLDER.glob("*.yaml"):
        (tmp_path / file.name).write_text(re.sub(r"within: \d+", "within: 12", file.read_text()))
    monkeypatch.setattr("tasks.automations.FOLDER", tmp_path)


@pytest.mark.faults
@pytest.mark.usefixtures("hasty")
def test_silence_and_zombies(client: SyncPrefectClient, branch: Branch, alerts: Alerts, servers: Stack) -> None:
    """A watchdog that falls silent is told once; a run without a heartbeat is ended, and nobody told."""
    apply(alerts.url)
    zombie = client.create_flow_run_from_deployment(deploy(client, "zombie"))
    client.set_flow_run_state(zombie.id, Running(), force=True)
    emit_event("prefect.flow-run.heartbeat", resource={"prefect.resource.id": f"prefect.flow-run.{zombie.id}"})
    flow = branch.shell.start(code=FLOW, PREFECT_API_URL=servers.prefect_api_url)
    assert branch.shell.ended(flow, time.monotonic()).status == 0

    assert eventually(lambda: alerts.received, 40)
    time.sleep(20)
    assert alerts.titles == ["the watchdog is silent"]
    assert client.read_flow_run(zombie.id).state_name == "Crashed"


def test_zombie_and_silence_files_are_understood(client: SyncPrefectClient) -> None:
    """Without an alert URL only what tells nobody is installed."""
    assert apply(None) == ["Callweave: end runs without a heartbeat"]


def test_check(client: SyncPrefectClient, servers: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without a pool, without a worker, or without deployments is told with the command that mends it."""

    def problems() -> str:
        return " ".join(str(result.problem) for result in of_prefect(servers.prefect_api_url, is_ours=False))

    monkeypatch.setattr("tasks.probe_prefect.POOL", POOL)
    assert f"prefect --no-prompt work-pool create {POOL}" in problems()
    assert not any(result.problem for result in of_prefect(servers.prefect_api_url, is_ours=True))

    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    assert f"prefect worker start --pool {POOL}" in problems()
    client.send_worker_heartbeat(POOL, "hand")
    assert "worker start" not in problems()
    client.delete_work_pool(POOL)
