"""An installation survives what kills parts of it: nothing is left stuck, no schedule stays silent."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tasks.embedded import EmbeddedPostgres, Stack, stack
from tasks.embedded.daemon import Daemon
from tests.e2e.test_cli import days_ago
from tests.support.alerts import Alerts
from tests.support.builders import Json
from tests.support.installation import OVER, Installation, children, kill
from tests.support.patience import eventually

TIME_PASSES = "UPDATE sync_window SET claimed_until = now() RETURNING id"
SLOW = {"CALLWEAVE_WORKERS": "2", "SAKARI_REQUESTS_PER_SECOND": "6"}


@pytest.fixture(scope="module")
def installed(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Installation]:
    with Installation(cluster, servers, calls=240) as installation:
        installation.deploy()
        yield installation


def of_schedule(installation: Installation, deployment: Json) -> list[Json]:
    """The runs that its schedule has started, and that have ended."""
    query = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": list(OVER)}}}
    return [one for one in installation.found("flow_runs", flow_runs=query) if one["auto_scheduled"]]


def test_run_and_worker_killed_together(installed: Installation) -> None:
    """The next run of a new worker reads what the killed one has left; nothing waits for a slot."""
    backfill = {"provider": "sakari", "since": days_ago(80), "until": days_ago(1)}
    with installed.worker(**SLOW) as worker:
        lost = installed.start("backfill/manual", **backfill)
        assert eventually(lambda: installed.reading(lost), 120)
        kill(*children(worker.pid), worker.pid)
        worker.wait()
    done = {id_ for (id_,) in installed.rows("SELECT id FROM sync_window WHERE state = 'done'")}
    installed.rows(TIME_PASSES)

    with installed.worker():
        again = installed.ended(installed.start("backfill/manual", **backfill))
    assert again["state_name"] == "Completed", again["state"]
    assert installed.rows("SELECT count(*) FROM sync_window WHERE state = 'open'") == [(0,)]
    read_again = "SELECT id FROM sync_window WHERE attempts > 1 AND state = 'done'"
    assert done.isdisjoint(id_ for (id_,) in installed.rows(read_again))
    starts = installed.starts("sakari").values()
    wanted = [one for one in starts if backfill["since"] <= one.isoformat() < backfill["until"]]
    assert len(installed.held()) == len(wanted)


def test_server_restarted_in_the_middle(installed: Installation, servers: Stack) -> None:
    """A run under way ends, the same worker takes up what the schedule starts next."""
    server = Daemon(installed.home, "prefect")
    with installed.worker(**SLOW):
        running = installed.start("sync-sakari/calls", since=days_ago(60), full=True)
        assert eventually(lambda: installed.run_of(running)["state_type"] == "RUNNING", 120)
        soon = (datetime.now(UTC) + timedelta(seconds=15)).isoformat()  # often enough, and no pile on a slow machine
        often = {"active": True, "schedule": {"interval": 30, "anchor_date": soon}}
        deployment = installed.deployments()["sync-skipcall/calls"]
        installed.client.post(f"/deployments/{deployment['id']}/schedules", json=[often]).raise_for_status()
        server.stop(signal.SIGKILL)
        with stack(installed.home) as restarted:
            assert restarted.prefect_api_url == servers.prefect_api_url
        assert installed.ended(running)["state_name"] == "Completed"
        ended = eventually(lambda: of_schedule(installed, deployment), 150)
        installed.client.patch(f"/deployments/{deployment['id']}", json={"paused": True}).raise_for_status()
    assert {one["state_name"] for one in ended} == {"Completed"}


def test_a_worker_away_for_a_day(cluster: EmbeddedPostgres, installed: Installation) -> None:
    """Of the runs that waited for a worker the newest reads all; the others say so and do nothing. A person's runs."""
    deployment = installed.deployments()["sync-bird/calls"]
    waited = [waiting(installed, deployment, minutes) for minutes in (60, 55, 50, 45, 40)]
    by_hand = waiting(installed, deployment, 30)
    with psycopg.connect(cluster.url("prefect"), autocommit=True) as connection:
        connection.execute("UPDATE flow_run SET auto_scheduled = true WHERE id = ANY (%s::uuid[])", [waited])
    with installed.worker(PREFECT_WORKER_QUERY_SECONDS="1"):
        ended = [installed.ended(id_) for id_ in (*waited, by_hand)]

    *older, newest, of_a_person = [run["state_name"] for run in ended]
    assert (newest, of_a_person) == ("Completed", "Completed")
    assert set(older) <= {"Skipped", "Cancelled"}
    assert all("a newer run of its schedule" in run["state"]["message"] for run in ended[: len(older)])


def waiting(installation: Installation, deployment: Json, minutes: int) -> str:
    """The id of a run that was to begin some minutes ago."""
    moment = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment}}
    path = f"/deployments/{deployment['id']}/create_flow_run"
    made: Json = installation.client.post(path, json={"state": state}).raise_for_status().json()
    return str(made["id"])


def test_stopped_schedule(installed: Installation) -> None:
    """A schedule that is switched off is reported once by the watchdogs that a worker runs, and once when it is on."""
    deployment = installed.deployments()["sync-bird/calls"]
    (schedule,) = deployment["schedules"]
    url = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    with Alerts() as alerts, installed.worker(CALLWEAVE_ALERT_URL=alerts.url):
        for is_on in (False, True):
            installed.client.patch(url, json={"active": is_on}).raise_for_status()
            assert installed.ended(installed.start("watchdog/default"))["state_name"] == "Completed"
    sent = [one["title"] for one in alerts.received if "sync-bird/calls" in one["message"]]
    assert sent == ["Callweave: a schedule is switched off", "Callweave: over: a schedule is switched off"]
