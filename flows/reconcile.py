"""The reconciliation as a Prefect flow: calibrate, decide in pieces, tell people."""

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.drain import hidden
from flows.forms import Moment
from flows.markdown import table
from models.matching.records import Ints
from models.matching.report import brief, brief_pairs, brief_reasons, picture, zone_faults
from models.wording import minute
from tasks.home import database
from tasks.matching.reading import Knowledge, Piece
from tasks.matching.reporting import Report, report
from tasks.matching.run import Ask, Reconciliation
from tasks.matching.writing import Written
from tasks.settings import Settings, workers

DESCRIPTION = "Recognises the same call in several accounts."
MOST_WORKERS = 2
"""Pieces at once: one waits for Postgres while another is decided; more would only take memory."""


@task(task_run_name="calibrate", cache_policy=NO_CACHE, persist_result=False)
def calibrate(run: Reconciliation) -> list[str]:
    """Learns clocks and habits, and adopts what has moved."""
    return [f"{clock}: {one.reason}" for clock, one in run.calibrate().items()]


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False, retries=2)
def decide(name: str, run: Reconciliation, piece: Piece, touched: Ints | None, knowledge: Knowledge) -> Written:  # noqa: ARG001 - the name is for the UI
    """Decides one piece and writes what differs."""
    return run.work(piece, touched, knowledge)


def work(run: Reconciliation) -> None:
    for reason in calibrate(hidden(run)):
        get_run_logger().info("Calibration adopted, %s", reason)
    knowledge = run.knowledge()
    pieces, touched = run.pieces()
    futures = [
        decide.submit(piece.name, hidden(run), hidden(piece), hidden(touched), hidden(knowledge)) for piece in pieces
    ]
    for future in futures:
        run.written += future.result()


def markdown(told: Report, written: Written) -> str:
    sections = [
        _counted(written),
        f"Measured precision: {told.precision.told}.",
        f"Below: {f'the newest calls, since {minute(told.since)}' if told.since else 'all calls'}.",
        "## Matched share\n" + table(brief_pairs(told.pairs)),
        "## Calibrations\n" + table(brief(told.calibrations)),
        *zone_faults(told.calibrations),
        "## Unmatched, by reason\n" + table(brief_reasons(told.reasons)),
        f"## Start gaps of matched calls\n![Start gaps before and after calibration]({picture(*told.gaps)})",
    ]
    return "\n\n".join(sections)


def _counted(written: Written) -> str:
    return (
        f"{written.records:,} records looked at, {written.changed:,} of them entered a real call or another one, "
        f"{written.formed:,} pairs formed, {written.dissolved:,} dissolved."
    )


runner: Any = ThreadPoolTaskRunner(max_workers=min(MOST_WORKERS, workers()))


@flow(name="reconcile", description=DESCRIPTION, task_runner=runner)
def reconcile(since: Moment = None, until: Moment = None, full: bool = False) -> State[Any]:
    """Recognises the same call in several accounts.

    Args:
        since: Decide calls that began at this moment or later. Not set: whatever has changed since the last run.
        until: Decide calls that began before this moment. Not set: up to now.
        full: Learn the clocks anew and decide every call again.
    """
    with database(Settings()) as url:
        run = Reconciliation(url, Ask(since=since, until=until, full=full), flow_run.id)
        with run.begun():
            work(run)
        told = report(url, whole=run.is_whole)
        create_markdown_artifact(markdown(told, run.written), key="reconcile", description=DESCRIPTION)
    return Completed(
        message=f"{run.written.records:,} records decided, {run.written.formed:,} pairs formed",
        data=(run.written, told),
    )
