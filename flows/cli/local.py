"""Flows run in this process: the stack around them, the threads under them, Prefect kept quiet."""

import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from flows.rendering import terminal
from models.errors import CallweaveError
from models.request import Request
from models.vocabulary import StreamName
from tasks.embedded import client_environ, stack
from tasks.extract.stream_run import StreamRun
from tasks.home import database, refuse_behind
from tasks.ledger.receipt import RunReceipt
from tasks.settings import Account, Settings

SECONDS_TO_END = 5.0
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
        worker.drain_all(timeout=SECONDS_TO_END)


@contextmanager
def calm() -> Iterator[None]:
    """Without heartbeats: they are for unattended runs, and ending each takes a second."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


Job = tuple[Account, Callable[[terminal.Receipts], Any]]
"""An account, and its flow to be run with an observer; the flow's final state is returned."""


def run_all(jobs: list[Job], request: Request) -> list[RunReceipt]:
    """Runs one flow per account, side by side; returns the receipts of all, in the order of the jobs."""
    # What was imported is never garbage, and records come and go by the thousand.
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    with calm(), terminal.followed() as observer:
        pool = ThreadPoolExecutor(max_workers=len(jobs))
        futures = [pool.submit(job, observer) for _, job in jobs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            _abandon(observer.runs, futures)
            raise
        finally:
            pool.shutdown(wait=False)
    pairs = zip(jobs, futures, strict=True)
    return [receipt for (account, _), future in pairs for receipt in _receipts(account, request, future)]


def _receipts(account: Account, request: Request, future: Future[Any]) -> list[RunReceipt]:
    """What a flow returned, or a failed receipt per stream of one that never came to its streams."""
    error: object = future.exception()
    if error is None:
        result = future.result().result(raise_on_failure=False)
        if isinstance(result, list):
            return result
        error = result
    return [_failed(account, stream, error) for stream in request.streams]


def _abandon(runs: list[StreamRun], futures: list[Future[Any]]) -> None:
    """Ctrl-C reaches the main thread only: the flows are stopped, and not waited for longer than people wait."""
    for run in runs:
        if run.receipt.is_running:
            with suppress(CallweaveError):
                run.abandon()
    wait(futures, SECONDS_TO_END)


def _failed(account: Account, stream: StreamName, error: object) -> RunReceipt:
    receipt = RunReceipt(account.provider.name, account.name, stream)
    receipt.error = str(error or "the flow ended before it began")
    receipt.close()
    return receipt
