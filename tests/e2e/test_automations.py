"""When Prefect fires our two proactive automations, on a real server with a real run that is really killed.

All cases are watched side by side for some 40 seconds, most of which is waiting.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from tasks.alerts.automations import FOLDER, apply
from tasks.embedded import EmbeddedPostgres, Stack, client_environ
from tests.support.alerts import Alerts
from tests.support.builders import Json
from tests.support.patience import eventually

WITHIN = 12
"""Seconds in place of the minutes of the files; Prefect takes no less than 10."""
SECONDS_TO_FIRE = 60.0
"""Seconds to wait for one to fire. Prefect looks every 5; the rest is for a busy machine."""
BEAT = 1.5
"""Seconds between two signs of life: also on a busy machine many fall into `WITHIN`."""
SILENT = "Callweave: the watchdog is silent"
ZOMBIES = "Callweave: end runs without a heartbeat"
FLOW = """
import time
from prefect import flow
from prefect.runtime import flow_run

@flow(name="sync-bird")
def sync():
    print(flow_run.id, flush=True)
    time.sleep(600)

sync()
"""


class Watched:
    """Runs and deployments of one server, and how often an automation fired for each."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self.deployments: list[UUID] = []

    def deploy(self, flow: str) -> UUID:
        id_ = self._client.create_deployment(self._client.create_flow_from_name(flow), f"{flow}-{uuid4().hex[:6]}")
        self.deployments.append(id_)
        return id_

    def running(self, deployment: UUID) -> UUID:
        id_ = self._client.create_flow_run_from_deployment(deployment).id
        self._client.set_flow_run_state(id_, Running(), force=True)
        return id_

    def complete(self, run: UUID) -> None:
        self._client.set_flow_run_state(run, Completed(), force=True)

    def completed(self, deployment: UUID) -> None:
        self.complete(self.running(deployment))

    def completed_by_hand(self, flow: str) -> None:
        """A run of no deployment, as of a flow that is called from a shell."""
        flow_id = self._client.create_flow_from_name(flow)
        body = {"flow_id": str(flow_id), "state": {"type": "RUNNING"}}
        made = self._client._client.post("/flow_runs/", json=body).raise_for_status().json()
        self.complete(UUID(made["id"]))

    def beat(self, run: UUID, at: datetime | None = None) -> None:
        """A heartbeat as Prefect's engine sends them, that happened `at`, or now."""
        event = {
            "id": str(uuid4()),
            "event": "prefect.flow-run.heartbeat",
            "occurred": (at or datetime.now(UTC)).isoformat(),
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        }
        self._client._client.post("/events", json=[event]).raise_for_status()

    def heard(self, event: str, resource: str) -> list[Json]:
        """The events of that name about that resource, as the server keeps them."""
        body = {"filter": {"event": {"name": [event]}, "resource": {"id": [resource]}}, "limit": 50}
        found: list[Json] = self._client._client.post("/events/filter", json=body).raise_for_status().json()["events"]
        return found

    def has_heard(self, event: str, run: UUID) -> bool:
        return bool(self.heard(f"prefect.flow-run.{event}", f"prefect.flow-run.{run}"))

    def fired(self, automation: str) -> list[str]:
        """For which runs or deployments it fired, one entry for each time."""
        (found,) = self._client.read_automations_by_name(automation)
        events = self.heard("prefect.automation.triggered", f"prefect.automation.{found.id}")
        return [id_.rsplit(".", 1)[-1] for event in events for id_ in event["payload"]["triggering_labels"].values()]

    def state(self, run: UUID) -> str | None:
        return self._client.read_flow_run(run).state_name

    def clear(self) -> None:
        for one in self._client.read_automations():
            self._client.delete_automation(one.id)
        for id_ in self.deployments:
            self._client.delete_deployment(id_)


class Story:
    """What happened in the watch: two silences of one watchdog, one killed run, and much that must fire nothing."""

    def __init__(self, watched: Watched, alerts: Alerts, environ: dict[str, str]) -> None:
        self.watched, self.alerts, self._environ = watched, alerts, environ
        self.sync, self.silent, self.lively = (watched.deploy(flow) for flow in ("sync-bird", "watchdog", "watchdog"))
        self.alive, self.ended, self.overtaken, self.outlived = (watched.running(self.sync) for _ in range(4))

    def play(self) -> None:
        watched = self.watched
        watched.beat(self.ended)
        watched.complete(self.ended)
        self._late_heartbeats()
        watched.completed_by_hand("watchdog")
        self.killed = self._kill_one()
        watched.completed(self.silent)
        assert eventually(lambda: self.alerts.received and watched.state(self.killed) == "Crashed", SECONDS_TO_FIRE), (
            self._seen
        )
        watched.completed(self.silent)
        assert eventually(lambda: len(self.alerts.received) > 1, SECONDS_TO_FIRE), self._seen
        time.sleep(6)  # one more look of Prefect's at both
        self.fired = {name: watched.fired(name) for name in (SILENT, ZOMBIES)}
        self.states = {run: watched.state(run) for run in (self.alive, self.ended, self.overtaken, self.outlived)}

    @contextmanager
    def alive_and_lively(self) -> Iterator[None]:
        """Meanwhile one run sends heartbeats, and one watchdog's runs complete."""
        over = Event()

        def beat() -> None:
            while not over.wait(BEAT):
                self.watched.beat(self.alive)
                self.watched.completed(self.lively)

        with ThreadPoolExecutor(1) as pool:
            beating = pool.submit(beat)
            try:
                yield
            finally:
                over.set()
        beating.result()

    def _late_heartbeats(self) -> None:
        """Two runs whose end the server hears before their last heartbeat; only one heartbeat was before the end."""
        before = datetime.now(UTC)
        for run in (self.overtaken, self.outlived):
            self.watched.complete(run)
            assert eventually(partial(self.watched.has_heard, "Completed", run))
        time.sleep(1)  # what is stored may not yet be evaluated
        self.watched.beat(self.overtaken, before)
        self.watched.beat(self.outlived)

    def _kill_one(self) -> UUID:
        """A run that is killed once its first heartbeat is at the server."""
        process = subprocess.Popen([sys.executable, "-c", FLOW], env=self._environ, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            run = UUID(process.stdout.readline().strip())
            assert eventually(partial(self.watched.has_heard, "heartbeat", run))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return run

    @property
    def _seen(self) -> tuple[list[str], str | None]:
        return self.alerts.titles, self.watched.state(self.killed)


@pytest.fixture(scope="module")
def automations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the house, with seconds in place of minutes."""
    folder = tmp_path_factory.mktemp("automations")
    for file in FOLDER.glob("*.yaml"):
        (folder / file.name).write_text(re.sub(r"within: \d+", f"within: {WITHIN}", file.read_text()))
    return folder


@pytest.fixture(scope="module")
def story(cluster: EmbeddedPostgres, servers: Stack, automations: Path) -> Iterator[Story]:
    environ = os.environ | client_environ(servers, cluster.data.parent)
    with (
        temporary_settings({PREFECT_API_URL: servers.prefect_api_url, PREFECT_API_AUTH_STRING: servers.prefect_key}),
        get_client(sync_client=True) as client,
        Alerts() as alerts,
    ):
        watched = Watched(client)
        try:
            apply(alerts.url, automations)
            story = Story(watched, alerts, environ)
            with story.alive_and_lively():
                story.play()
            yield story
        finally:
            watched.clear()


def test_killed_run_is_ended_once(story: Story) -> None:
    """A run whose process is gone is marked as crashed once no heartbeat comes any more, and that once."""
    assert story.watched.state(story.killed) == "Crashed"
    assert story.fired[ZOMBIES].count(str(story.killed)) == 1


def test_living_run_is_left_alone(story: Story) -> None:
    """A run that goes on sending heartbeats is never marked, however long it takes (prefect#16459)."""
    assert story.states[story.alive] == "Running"
    assert str(story.alive) not in story.fired[ZOMBIES]


def test_ended_run_is_left_alone(story: Story) -> None:
    """A run that ended after its last heartbeat fires nothing, whichever the server hears first (prefect#18838)."""
    assert {str(story.ended), str(story.overtaken)}.isdisjoint(story.fired[ZOMBIES])
    assert [story.states[run] for run in (story.ended, story.overtaken)] == ["Completed"] * 2


def test_heartbeat_after_the_end(story: Story) -> None:
    """A heartbeat between a run's end and that of its process does not undo the end (prefect#18653)."""
    assert story.fired[ZOMBIES].count(str(story.outlived)) == 1
    assert story.states[story.outlived] == "Completed"


def test_each_silence_is_told_once(story: Story) -> None:
    """A watchdog that falls silent is told once, and again only after it was back; one run by hand starts no watch."""
    assert story.fired[SILENT] == [str(story.silent)] * 2
    assert story.alerts.titles == ["the watchdog is silent"] * 2
