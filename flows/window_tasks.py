"""Works through the windows of a run: one Prefect task per window, as many at once as the task runner has threads."""

import logging
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from models.errors import TryAgain
from models.wording import stretch
from tasks.extract.context import StreamContext
from tasks.extract.stream_run import StreamRun
from tasks.ledger.windows import CLAIM, OpenWindow

T = TypeVar("T")

SECONDS_BETWEEN_MOVES = 5.0

# A line for each window that went well would bury those of the run.
logging.getLogger("prefect.task_runs").setLevel(logging.WARNING)


def may_succeed_later(_task: Any, _task_run: TaskRun, state: State[Any]) -> bool:
    """Prefect asks a plain function only; anything else would never retry."""
    return isinstance(state.result(raise_on_failure=False), TryAgain)


@task(
    task_run_name="{name}",
    retries=1,
    retry_delay_seconds=5,
    retry_condition_fn=may_succeed_later,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def fetch_window(name: str, run: StreamRun, context: StreamContext, window: OpenWindow) -> bool:  # noqa: ARG001 - the name is for the UI
    """Reads one window of one stream into Postgres; returns whether that opened others."""
    return run.read_window(context, window)


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def fetch_record(name: str, run: StreamRun, context: StreamContext, external_id: str) -> bool:  # noqa: ARG001 - the name is for the UI
    """Reads one record by its id."""
    run.read_record(context, external_id)
    return False


def hidden(value: T) -> T:
    """`value` as a task's parameter that Prefect neither looks into nor stores."""
    return cast("T", quote(value))


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def confirm_deletes(name: str, run: StreamRun) -> bool:  # noqa: ARG001 - the name is for the UI
    """Asks by id for records that a proven reading missed, and marks as deleted what is gone."""
    run.confirm_deletions()
    return False


Done = SimpleQueue[tuple[StreamRun, PrefectFuture[bool] | None]]
"""Tasks that are done; None in place of one where a task under way opened other windows."""


class WindowTasks:
    """Submits what is open until nothing is; windows may open others as they are read."""

    def __init__(self, runs: list[StreamRun], on_progress: Callable[[], None]) -> None:
        self._runs, self._on_progress = runs, on_progress
        self._done: Done = SimpleQueue()
        self._submitted: set[OpenWindow] = set()
        self._waiting = 0
        for run in runs:
            run.on_opened = partial(self._done.put, (run, None))

    def work(self) -> None:
        for run in self._runs:
            self._submit_records(run)
        while self._submit_all():
            self._wait()
        self._outwait_others()
        self._confirm_deletes()

    def _confirm_deletes(self) -> None:
        for run in self._runs:
            if run.misses_records and not run.stop.is_set():
                self._watch(run, confirm_deletes.submit(f"{_title(run)} that did not come", hidden(run)))
        self._wait()

    def _submit_all(self) -> int:
        for run in self._runs:
            self._submit_windows(run)
        return self._waiting

    def _wait(self) -> None:
        while self._waiting:
            try:
                run, future = self._done.get(timeout=SECONDS_BETWEEN_MOVES)
            except Empty:
                self._on_progress()
                continue
            self._waiting -= future is not None
            result = future is None or future.result(raise_on_failure=False)
            if isinstance(result, BaseException):
                run.failed(result)
            elif result:
                self._submit_windows(run)
            self._on_progress()

    def _outwait_others(self) -> None:
        """Windows that another run holds are theirs, unless it dies: no longer than a claim lasts."""
        deadline = time.monotonic() + CLAIM.total_seconds() + 1
        while time.monotonic() < deadline and self._others_read():
            time.sleep(1)
            if self._submit_all():
                self._wait()
        # A claim can run out between the last look at what is open and the last look at what is held.
        while self._submit_all():
            self._wait()

    def _others_read(self) -> bool:
        """Whether another run is reading windows of these runs."""
        return any(run.plan.held_windows() for run in self._runs if not run.stop.is_set())

    def _submit_records(self, run: StreamRun) -> None:
        for context, external_id in run.plan.records():
            name = f"{_title(run)} by id"
            self._watch(run, fetch_record.submit(name, hidden(run), hidden(context), external_id))

    def _submit_windows(self, run: StreamRun) -> None:
        if run.stop.is_set():
            return
        for context, window in run.plan.open_windows():
            if window not in self._submitted:
                self._submitted.add(window)
                self._watch(run, fetch_window.submit(_named(run, window), hidden(run), hidden(context), hidden(window)))
        run.receipt.windows_known = max(run.receipt.windows_known, len(self._submitted))

    def _watch(self, run: StreamRun, future: PrefectFuture[bool]) -> None:
        self._waiting += 1
        future.add_done_callback(lambda finished: self._done.put((run, finished)))


def _named(run: StreamRun, window: OpenWindow) -> str:
    """`Bird calls 3 to 9 November 2026`; a part of a scan, which has no range, by its window's number."""
    return f"{_title(run)} " + (stretch(window.span.since, window.span.until) if window.span else f"part {window.id}")


def _title(run: StreamRun) -> str:
    """What is read, as people call it: `Bird calls`."""
    return f"{run.account.provider.title} {run.stream.name}"
