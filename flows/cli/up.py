"""The command `up`: the stack left running, with deployments, schedules and a worker."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.cli.demo import DEMO_CALLS, sandbox_process, ui
from flows.cli.local import running_stack
from flows.cli.processes import beside, say
from models.errors import CallweaveError
from tasks.alerts.automations import apply
from tasks.alerts.schedules import POOL, scheduled
from tasks.embedded import stack
from tasks.embedded.locks import try_lock
from tasks.prefect_server import prefect_client
from tasks.settings import Settings, environment

HOUSE = Path(__file__).parents[2]
WORKER = ["-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
SECONDS_BETWEEN_LOOKS = 10.0
SHORT_LIFE = 3
"""Looks after which a worker is taken to have started: one that ends before will not start the next time either."""


def up(_options: Namespace) -> int:
    """The stack left running, with the sandbox unless real accounts are configured."""
    os.environ |= {name: value for name, value in environment().items() if name not in os.environ}
    with ExitStack() as opened:
        opened.enter_context(_alone(Settings().home))
        if not Settings().configured:
            say("No provider is configured: serving three fake ones.")
            opened.enter_context(sandbox_process(DEMO_CALLS))
        settings = Settings()
        os.environ["CALLWEAVE_HOME"] = str(settings.home)
        own = settings.general
        needed = {"Postgres": own.database_url, "Prefect's server": own.prefect_api_url}
        if ours := [name for name, address in needed.items() if not address]:
            say(f"Starting {' and '.join(ours)}; the first time takes up to a minute.")
        opened.enter_context(running_stack(settings))
        say("Installing the deployments, their schedules and the automations.")
        deploy()
        apply(settings.alert_url)
        _run_all_once()
        where = "that of DATABASE_URL" if own.database_url else os.environ["DATABASE_URL"]
        say(f"Prefect's UI: {ui(settings)}\nPostgres:     {where}\nCtrl-C stops everything.")
        try:
            _keep_working(settings)
        except KeyboardInterrupt:
            say("Stopping ...")
    return 0


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Raises `CallweaveError` where `up` runs already for this home: two workers would take runs from each other."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as file:
        if not try_lock(file):
            file.seek(0)
            raise CallweaveError(
                f"`callweave up` runs already for {home} (process {file.read().strip()}); its terminal shows the "
                "address of the UI. Stop it there with Ctrl-C first, or set CALLWEAVE_HOME for a second one."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def deploy() -> None:
    """Installs the work pool and the deployments of prefect.yaml, or updates them, without a question."""
    template = ["--base-job-template", str(HOUSE / "work-pool.json")]
    _prefect("work-pool", "create", POOL, "--type", "process", *template, "--overwrite")
    _prefect("deploy", "--all", "--prefect-file", str(HOUSE / "prefect.yaml"))


def _run_all_once() -> None:
    """Everything of ours that has a schedule, at once: what happened while nothing ran here is caught up with."""
    with prefect_client() as client:
        for _, deployment in scheduled(client):
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
