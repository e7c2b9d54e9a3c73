"""The reconciliation as a Prefect flow: calibrate, decide in pieces, tell people."""

from dataclasses import replace
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.events import tell_of_calibrations
from flows.forms import Moment
from flows.late_runs import superseded
from flows.rendering.explain import side_by_side
from flows.rendering.markdown import table
from flows.rendering.matching import brief, brief_pairs, brief_reasons, picture, zone_faults
from flows.run_names import of_reconcile
from flows.window_tasks import hidden
from models.calibration.columns import Ints
from models.wording import minute
from tasks.change_feed import announce
from tasks.database import one_engine
from tasks.home import database
from tasks.matching.reader import Knowledge, Piece
from tasks.matching.report import Report, report
from tasks.matching.run import Ask, Reconciliation
from tasks.matching.verify import nothing_changed
from tasks.matching.writer import Written
from tasks.settings import Settings, workers

DESCRIPTION = "Recognises the same call in several accounts."
MOST_WORKERS = 2
"""Pieces at once: one waits for Postgres while another is decided; more would only take memory."""


@task(task_run_name="calibrate", cache_policy=NO_CACHE, persist_result=False)
def calibrate(run: Reconciliation) -> dict[str, str]:
    """Learns clocks and habits, and adopts what has moved: the reason for each."""
    return {clock: one.reason for clock, one in run.calibrate().items()}


@task(task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False, retries=2)
def decide(name: str, run: Reconciliation, piece: Piece, touched: Ints | None, knowledge: Knowledge) -> Written:  # noqa: ARG001 - the name is for the UI
    """Decides one piece and writes what differs."""
    return run.work(piece, touched, knowledge)


def work(run: Reconciliation) -> None:
    for clock, reason in (moved := calibrate(hidden(run))).items():
        get_run_logger().info("Calibration adopted, %s: %s", clock, reason)
    tell_of_calibrations(moved)
    knowledge = run.knowledge()
    pieces, touched = run.pieces()
    futures = [
        decide.submit(piece.name, hidden(run), hidden(piece), hidden(touched), hidden(knowledge)) for piece in pieces
    ]
    for future in futures:
        run.written += future.result()


def markdown(found: Report, written: Written) -> str:
    sections = [
        _counted(written),
        f"Measured precision: {found.precision.words}.",
        f"Below: {f'the newest calls, since {minute(found.since)}' if found.since else 'all calls'}.",
        "## Matched share\n" + table(brief_pairs(found.pairs)),
        "## Calibrations\n" + table(brief(found.calibrations)),
        *zone_faults(found.calibrations),
        "## Unmatched, by reason\n" + table(brief_reasons(found.reasons)),
        *(["## The newest day of two systems, side by side\n" + table(side_by_side(found.day))] if found.day else []),
        f"## Start gaps of matched calls\n![Start gaps before and after calibration]({picture(*found.gaps)})",
    ]
    return "\n\n".join(sections)


def _counted(written: Written) -> str:
    return (
        f"{written.records:,} records looked at, {written.changed:,} of them entered a real call or another one, "
        f"{written.formed:,} pairs formed, {written.dissolved:,} dissolved."
    )


runner: Any = ThreadPoolTaskRunner(max_workers=min(MOST_WORKERS, workers()))


def carried_out(url: str, ask: Ask) -> Reconciliation:
    """One run, and the check that it left no record out."""
    run = Reconciliation(url, ask, flow_run.id)
    with run.begun():
        work(run)
        run.verify()
    with one_engine(url) as engine:
        announce(engine)
    return run


def verified(url: str, ask: Ask) -> None:
    """Decides everything again; raises `DecisionsIncomplete` where that changes anything."""
    again = Reconciliation(url, replace(ask, full=True), flow_run.id)
    with again.begun():
        work(again)
        again.verify()
        if not again.adopted:
            nothing_changed(again.written)


@flow(name="reconcile", description=DESCRIPTION, task_runner=runner, flow_run_name=of_reconcile)
def reconcile(since: Moment = None, until: Moment = None, full: bool = False, verify: bool = False) -> State[Any]:
    """Recognises the same call in several accounts.

    Args:
        since: Decide calls that began at this moment or later. Not set: whatever has changed since the last run.
        until: Decide calls that began before this moment. Not set: up to now.
        full: Learn the clocks again and decide every call again.
        verify: Afterwards decide every call again, and fail if that changes anything.
    """
    if skipped := superseded():
        return skipped
    settings = Settings()
    with database(settings) as url:
        ask = Ask(since=since, until=until, full=full, join=settings.join)
        run = carried_out(url, ask)
        if verify:
            verified(url, Ask(join=settings.join))
        found = report(url, whole=run.is_whole)
        create_markdown_artifact(markdown(found, run.written), key="reconcile", description=DESCRIPTION)
    return Completed(
        message=f"{run.written.records:,} records decided, {run.written.formed:,} pairs formed",
        data=(run.written, found),
    )
