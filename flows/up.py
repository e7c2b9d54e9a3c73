"""The command `up`: the stack left running, with deployments, schedules and a worker."""

import os
import subprocess
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from flows.here import running_stack
from flows.processes import beside, say
from flows.showcase import DEMO_CALLS, sandbox_process, ui
from models.errors import CallweaveError
from tasks.automations import apply
from tasks.embedded import stack
from tasks.schedules import POOL
from tasks.settings import Settings, environment

WORKER = ["-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
SECONDS_BETWEEN_LOOKS = 10.0
SHORT_LIFE = 3
"""Looks after which a worker is taken to have started: one that ends before will not start the next time either."""


def up(_options: Namespace) -> int:
    """The stack left running, with the sandbox unless real accounts are configured."""
    os.environ |= {name: value for name, value in environment().items() if name not in os.environ}
    with ExitStack() as opened:
        if not Settings().configured:
            say("No provider is configured: serving three fake ones.")
            opened.enter_context(sandbox_process(DEMO_CALLS))
        settings = Settings()
        os.environ["CALLWEAVE_HOME"] = str(settings.home)
        opened.enter_context(running_stack(settings))
        deploy()
        apply(settings.alert_url)
        _run_all_once()
        say(f"Prefect's UI: {ui()}\nPostgres:     {os.environ['DATABASE_URL']}\nCtrl-C stops everything.")
        try:
            _keep_working(settings)
        except KeyboardInterrupt:
            say("Stopping ...")
    return 0


def deploy() -> None:
    """Installs the deployments of prefect.yaml, each for the first time or anew, without a question."""
    _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    _prefect("deploy", "--all", "--prefect-file", str(Path(__file__).parents[1] / "prefect.yaml"))


def _run_all_once() -> None:
    """Everything that has a schedule, at once: what happened while nothing ran here is caught up with."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            if deployment.schedules:
                client.create_flow_run_from_deployment(deployment.id, name=f"start-{deployment.name}")


def _prefect(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *words], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise CallweaveError(f"prefect {words[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _keep_working(settings: Settings) -> None:
    """A worker, and another one when it ends, as it does when Prefect's server stays away for minutes."""
    while True:
        with beside(WORKER) as worker:
            if _looks(worker, settings) < SHORT_LIFE:
                raise CallweaveError("The Prefect worker ended by itself; its last words stand above.")
        say("The Prefect worker ended; starting another one.")


def _looks(worker: subprocess.Popen[str], settings: Settings) -> int:
    """Looks after the servers while the worker lives; how often it did."""
    looks = 0
    while True:
        try:
            worker.wait(SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            looks += 1
            _mend(settings)
        else:
            return looks


def _mend(settings: Settings) -> None:
    """Starts what has died of the embedded servers; the port stays, so that the worker finds Prefect's again."""
    try:
        with stack(settings.home, settings.general.database_url, settings.general.prefect_api_url):
            pass
    except CallweaveError as error:
        say(f"callweave: {error}")
