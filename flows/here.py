"""Flows run in this process: the stack around them, the threads under them, Prefect kept quiet."""

import contextvars
import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from flows import terminal
from models.errors import CallweaveError
from models.vocabulary import RunState, StreamName
from tasks.embedded import client_environ, stack
from tasks.home import database, refuse_behind
from tasks.line import Line
from tasks.run import BEGUN, Request, StreamRun
from tasks.settings import Account, Settings

PATIENCE = 5.0
"""Seconds that Prefect's own threads get to send their last logs and events, and flows that are stopped to end."""


@contextmanager
def running_stack(settings: Settings) -> Iterator[str]:
    """Postgres and Prefect's server; everything after this finds them through the environment."""
    if own := settings.general.database_url:
        refuse_behind(own)
    with stack(settings.home, own, settings.general.prefect_api_url) as servers:
        os.environ.update(client_environ(servers, settings.home))
        # Our own sentences go to stderr; Prefect's stay in its UI.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        with database(settings) as url:
            os.environ["DATABASE_URL"] = url
            yield url
            _drain()


def connected(settings: Settings) -> AbstractContextManager[str]:
    """Postgres alone, and Prefect's server only where a key is kept there."""
    return running_stack(settings) if settings.uses_blocks else database(settings)


def _drain() -> None:
    """Lets Prefect send its last logs and events while its server is still there."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=PATIENCE)


@contextmanager
def calm() -> Iterator[None]:
    """Without heartbeats: they are for runs that nobody watches, and ending each takes a second."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def run_all(jobs: list[tuple[Account, Callable[[], Any]]], request: Request) -> list[Line]:
    """Runs one flow per account, side by side; returns the lines of all, in the order of the jobs."""
    # What was imported is never garbage, and records come and go by the thousand.
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    with calm(), terminal.watched() as lines, _begun() as runs:
        pool = ThreadPoolExecutor(max_workers=len(jobs))
        futures = [pool.submit(contextvars.copy_context().run, job) for _, job in jobs]
        try:
            errors = [future.exception() for future in futures]
        except KeyboardInterrupt:
            _abandon(runs, futures)
            raise
        finally:
            pool.shutdown(wait=False)
    result = []
    for (account, _), error in zip(jobs, errors, strict=True):
        for stream in request.streams:
            line = lines.all.get((account.provider.name, stream))
            result.append(line or _failed(account, stream, error))
    return result


@contextmanager
def _begun() -> Iterator[list[StreamRun]]:
    """The runs that begin in this process meanwhile."""
    runs: list[StreamRun] = []
    token = BEGUN.set(runs)
    try:
        yield runs
    finally:
        BEGUN.reset(token)


def _abandon(runs: list[StreamRun], futures: list[Future[Any]]) -> None:
    """Ctrl-C reaches the main thread only: the flows are told, and not waited for longer than people wait."""
    for run in runs:
        if run.line.state is RunState.RUNNING:
            with suppress(CallweaveError):
                run.abandon()
    wait(futures, PATIENCE)


def _failed(account: Account, stream: StreamName, error: BaseException | None) -> Line:
    """For a flow that never came to its streams."""
    line = Line(account.provider.name, account.name, stream)
    line.error = str(error or "the flow ended before it began")
    line.close()
    return line
