"""The commands that bring everything up: `demo`, which ends, and `up`, which stays."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from sqlalchemy import Engine, text

from flows import terminal
from flows.commands import sync_lines
from flows.here import running_stack
from flows.matching import reconciled, show
from flows.scoring import show_score
from models.errors import CallweaveError
from models.vocabulary import RunState, StreamName
from tasks.database import one_engine
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tasks.run import Request
from tasks.settings import Settings, environment

DEMO_CALLS = 3_000
PATIENCE = 10.0

BUSIEST = text("""
    SELECT display_name, e164s[1] AS e164, array_to_string(providers, ', ') AS providers, call_count, last_call_at
    FROM v1.person WHERE display_name IS NOT NULL ORDER BY call_count DESC, person_id LIMIT 3
""")
HELD = text("""
    SELECT provider, 'calls' AS stream, count(*) FROM v1.call GROUP BY 1
    UNION ALL SELECT provider, 'contacts', count(*) FROM v1.contact GROUP BY 1
""")


def demo(_options: Namespace) -> int:
    """Three fake providers into an embedded Postgres of its own; compares what arrived with what was there."""
    _say("Starting three fake providers, an embedded Postgres and a Prefect server ...")
    with ExitStack() as stack:
        url = stack.enter_context(_sandbox_process(DEMO_CALLS))
        os.environ |= {"CALLWEAVE_HOME": str(Settings().home / "demo"), "DATABASE_URL": "", "PREFECT_API_URL": ""}
        os.environ |= {f"{name.upper()}_REQUESTS_PER_SECOND": "200" for name in PROVIDERS}
        settings = Settings()
        database_url = stack.enter_context(running_stack(settings))
        _empty(database_url)
        accounts = [settings.account(name) for name in PROVIDERS]
        _say(f"Syncing all of them at once; Prefect's UI is at {_ui()} meanwhile.\n")
        first = sync_lines(accounts, Request(full=True))
        terminal.show(first)
        _say("\nOnce more, every window again: what is known is not written a second time.\n")
        second = sync_lines(accounts, Request(full=True))
        terminal.show(second)
        with one_engine(database_url) as engine:
            agrees = _summary(engine, url)
        _say("\nEvery call, once: recognising the same call in all of them.\n")
        show(reconciled(database_url, Request(streams=(StreamName.CALLS,))))
        with one_engine(database_url) as engine:
            show_score(engine, url)
    _say("\nEverything is stopped again. What next:\n" + NEXT)
    return 0 if agrees and RunState.of([line.state for line in first + second]) is RunState.COMPLETED else 1


def _empty(database_url: str) -> None:
    """The world of an earlier demo was another one."""
    with one_engine(database_url) as engine, engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS v1 CASCADE"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    upgrade(database_url)


NEXT = """\
  make up                        the same stack left running, with schedules and Prefect's UI
  .venv/bin/callweave --help     every command; README.md tells how to point it at real accounts
"""


def _summary(engine: Engine, sandbox_url: str) -> bool:
    """Whether Postgres holds as many records as the providers do; shows who called most."""
    with urlopen(f"{sandbox_url}/_truth/counts") as answer:  # noqa: S310 - our own sandbox
        truth = json.load(answer)
    with engine.connect() as connection:
        held = {(provider, stream): count for provider, stream, count in connection.execute(HELD)}
        busiest = connection.execute(BUSIEST).all()
    wrong = [
        f"{provider} {stream}: {held.get((provider, stream), 0)} in Postgres, {count} at the provider"
        for provider, streams in truth.items()
        for stream, count in streams.items()
        if held.get((provider, stream), 0) != count
    ]
    total = sum(held.values())
    sys.stdout.write("\n".join(wrong) or f"\nPostgres holds {total:,} records, exactly what the three providers hold.")
    sys.stdout.write("\nWho is called most, whichever system (v1.person):\n")
    rows = [
        [row.display_name, row.e164, row.providers, str(row.call_count), f"{row.last_call_at:%F %H:%M}"]
        for row in busiest
    ]
    terminal.show_rows(["name", "number", "known to", "calls", "last call"], rows)
    return not wrong


def up(_options: Namespace) -> int:
    """The stack left running, with the sandbox unless real accounts are configured."""
    os.environ |= {name: value for name, value in environment().items() if name not in os.environ}
    with ExitStack() as stack:
        if not Settings().configured:
            _say("No provider is configured: serving three fake ones.")
            stack.enter_context(_sandbox_process(DEMO_CALLS))
        settings = Settings()
        os.environ["CALLWEAVE_HOME"] = str(settings.home)
        stack.enter_context(running_stack(settings))
        _deploy()
        _run_all_once()
        worker = stack.enter_context(
            _process(["-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"])
        )
        _say(f"Prefect's UI: {_ui()}\nPostgres:     {os.environ['DATABASE_URL']}\nCtrl-C stops everything.")
        return _until_stopped(worker)


POOL = "callweave"


def _deploy() -> None:
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


def _until_stopped(worker: subprocess.Popen[str]) -> int:
    try:
        worker.wait()
    except KeyboardInterrupt:
        _say("Stopping ...")
        return 0
    raise CallweaveError("The Prefect worker ended by itself; its last words stand above.")


def _ui() -> str:
    return os.environ["PREFECT_API_URL"].removesuffix("/api")


@contextmanager
def _sandbox_process(calls: int) -> Iterator[str]:
    """The sandbox in a process of its own, and everything pointed at it and nothing else."""
    with _process(["-m", "flows", "sandbox", "--calls", str(calls)], stdout=subprocess.PIPE) as process:
        prefixes = tuple(f"{name.upper()}_" for name in PROVIDERS)
        os.environ |= {name: "" for name in environment() if name.startswith(prefixes)}
        exports = _exports(process)
        os.environ |= exports
        yield next(value for name, value in exports.items() if name.endswith("_BASE_URL"))


def _exports(process: subprocess.Popen[str]) -> dict[str, str]:
    """The `export` lines the sandbox begins with; the last is told by the line on what it serves."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    while line := process.stdout.readline().removeprefix("export ").strip():
        name, _, value = line.partition("=")
        found[name] = value
        if name == "CALLWEAVE_HISTORY":
            return found
    raise CallweaveError("The sandbox did not start.")


@contextmanager
def _process(words: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process out of reach of a terminal's Ctrl-C, ended in good order when we are."""
    process = subprocess.Popen([sys.executable, *words], text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def _say(what: str) -> None:
    sys.stderr.write(what + "\n")
