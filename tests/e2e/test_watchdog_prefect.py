"""The watchdog among Prefect's own things: killed processes, deployments, automations. Real processes, real server."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Failed, Scheduled

from models.alerts.incident import Cause, Key
from models.alerts.rules import Deployed, of_schedules
from tasks.alerts.automations import FOLDER, apply, names
from tasks.alerts.schedules import deployments, unplanned
from tasks.diagnostics.prefect_checks import of_prefect
from tasks.embedded import EmbeddedPostgres, Stack, client_environ
from tests.e2e.test_cli import Branch
from tests.support.alerts import Alerts
from tests.support.patience import eventually

POOL = "nobody-else-s"
TEMPLATE = Path(__file__).parents[2] / "work-pool.json"
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


def test_killed(branch: Branch, alerts: Alerts, servers: Stack, cluster: EmbeddedPostgres) -> None:
    """A run that is killed sends no alert by itself: the watchdog does, once, and the next run that it is over."""
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

    flow = branch.shell.start(code=FLOW, **client_environ(servers, cluster.data.parent), **where)
    looks = [branch.shell.ended(flow, time.monotonic()), branch.run("watchdog", **where)]
    assert [look.status for look in looks] == [0, 1], looks[1].err + looks[1].out
    assert "bird" in looks[1].out
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Bird: a run ended without a word"
    assert "/runs/flow-run/" in sent["message"]
    assert alerts.beats == 2

    branch.sandbox.faults.clear()
    assert branch.run("sync", "bird", **where).status == 0
    assert alerts.titles == ["Bird: over: a run ended without a word"]
    status = branch.run("status", "--json").document
    assert status["incidents"] == []


@pytest.fixture
def client(servers: Stack) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: servers.prefect_api_url, PREFECT_API_AUTH_STRING: servers.prefect_key}),
        get_client(sync_client=True) as client,
    ):
        yield client
        for one in client.read_automations():
            client.delete_automation(one.id)


def deployed(client: SyncPrefectClient, name: str) -> Deployed:
    (found,) = (one for one in deployments(datetime.now(UTC)) if one.name == f"sync-bird/{name}")
    return found


def deploy(client: SyncPrefectClient, name: str, when: CronSchedule | None = None) -> Any:
    """A deployment whose schedule lies far ahead, so that nothing is planned but what the test plans."""
    later = IntervalSchedule(interval=timedelta(days=30), anchor_date=datetime.now(UTC) + timedelta(days=10))
    flow = client.create_flow_from_name("sync-bird")
    schedule = DeploymentScheduleCreate(schedule=when or later, active=True)
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


def test_daily_schedules_are_planned(client: SyncPrefectClient) -> None:
    """Prefect's server plans runs of a schedule by cron; `check` names deployments of which it plans none."""
    far, daily = deploy(client, "far"), deploy(client, "daily", CronSchedule(cron="17 3 * * *", timezone="UTC"))

    def forgotten() -> list[str]:
        found = [("sync-bird", client.read_deployment(one)) for one in (far, daily)]
        return unplanned(client, found, timedelta(0))

    assert eventually(lambda: "sync-bird/daily" not in forgotten())
    planned = forgotten()
    client.create_flow_run_from_deployment(far, state=Scheduled(scheduled_time=datetime.now(UTC)))
    assert planned in ([], ["sync-bird/far"])
    assert forgotten() == []
    client.delete_deployment(far)
    client.delete_deployment(daily)


def test_a_server_shared_with_many(client: SyncPrefectClient, servers: Stack) -> None:
    """Among 250 deployments of other people, ours that are paused are found by the watchdog and by `check`."""
    others = client.create_flow_from_name("aaa-other-people-s")
    later = IntervalSchedule(interval=timedelta(days=30), anchor_date=datetime.now(UTC) + timedelta(days=10))
    schedule = DeploymentScheduleCreate(schedule=later, active=True)
    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    for number in range(250):
        client.create_deployment(others, f"aaa-{number}", schedules=[schedule])
    ours = deploy(client, "zzz-last")
    client.pause_deployment(ours)
    try:
        looked = of_schedules(deployments(datetime.now(UTC)), datetime.now(UTC), timedelta(minutes=10))
        assert Key(Cause.SWITCHED_OFF, stream="sync-bird/zzz-last") in {one.key for one in looked}
        assert not any("aaa-" in one.key.stream for one in looked)
        checked = {one.what: str(one.problem) for one in of_prefect(servers.prefect_api_url, is_ours=False, pool=POOL)}
        assert "paused: sync-bird/zzz-last" in checked["Prefect deployments with a schedule: 1"]
    finally:
        client.delete_work_pool(POOL)
        client.delete_deployment(ours)
        client.delete_flow(others)


def test_automations(client: SyncPrefectClient, alerts: Alerts, cluster: EmbeddedPostgres) -> None:
    """Applied twice they are there once; what was switched off stays off; the URL is nowhere in clear."""
    applied = apply(alerts.url)
    assert len(applied) == len(list(FOLDER.glob("*.yaml")))
    (first, *_) = [client.read_automations_by_name(name)[0] for name in applied]
    client.pause_automation(first.id)
    assert apply(alerts.url) == applied
    found = [client.read_automations_by_name(name) for name in applied]

    assert [len(one) for one in found] == [1] * len(applied)
    assert [one[0].enabled for one in found] == [False, *[True] * (len(applied) - 1)]
    client.resume_automation(first.id)
    with psycopg.connect(cluster.url("prefect")) as connection:
        tables = connection.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        dump = [connection.execute(f"SELECT {name}::text FROM {name}".encode()).fetchall() for (name,) in tables]
    assert "callweave-alerts" in str(dump)
    assert "hush-hook" not in str(dump)


def test_a_deleted_deployment_is_told(client: SyncPrefectClient, alerts: Alerts) -> None:
    """Prefect itself reports, through the same channel, that a deployment is gone."""
    apply(alerts.url)
    client.delete_deployment(deploy(client, "doomed"))

    assert eventually(lambda: alerts.received)
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: a deployment was deleted"
    assert '"doomed"' in sent["message"]


def test_zombie_and_silence_files_are_understood(client: SyncPrefectClient) -> None:
    """Without an alert URL only what sends no alert is installed."""
    assert apply(None) == names(with_alerts=False) == ["Callweave: end runs without a heartbeat"]
    assert len(names(with_alerts=True)) == len(list(FOLDER.glob("*.yaml")))


def test_check(client: SyncPrefectClient, servers: Stack) -> None:
    """A server without pool, worker or deployments, or whose pool lets runs set commands, is reported with a cure."""

    def problems() -> str:
        return " ".join(str(result.problem) for result in of_prefect(servers.prefect_api_url, is_ours=False, pool=POOL))

    assert f"prefect --no-prompt work-pool create {POOL}" in problems()
    assert not any(result.problem for result in of_prefect(servers.prefect_api_url, is_ours=True, pool=POOL))

    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    assert f"prefect worker start --pool {POOL}" in problems()
    assert "sets their command and environment" in problems()
    client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=json.loads(TEMPLATE.read_text())))
    assert "sets their command and environment" not in problems()
    client.send_worker_heartbeat(POOL, "hand")
    assert "worker start" not in problems()
    client.delete_work_pool(POOL)
