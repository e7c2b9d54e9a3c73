"""The watchdog: finds from the database what is wrong, whatever happened to the runs, and tells people once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from sqlalchemy import Engine

from flows.alerts import UNDELIVERED, tell_people
from models.errors import UsageError
from models.findings import Deployed
from tasks.channel import Channel, beat
from tasks.database import one_engine
from tasks.home import database
from tasks.incidents import read_open
from tasks.schedules import deployments
from tasks.settings import Settings
from tasks.watch import START_WITHIN, look, note_channel


def watch(
    settings: Settings, engine: Engine, found: Sequence[Deployed] | None, *, catching_up: bool = False
) -> str | None:
    """Looks, and tells what is new and what is over; why people could not be told, if so."""
    now = datetime.now(UTC)
    look(engine, found, now, catching_up=catching_up)
    problem = _undelivered(settings, engine)
    note_channel(engine, problem, now)
    # What is over now may be the channel's own trouble.
    return problem or (None if tell_people(settings, engine) else UNDELIVERED)


def _undelivered(settings: Settings, engine: Engine) -> str | None:
    """Every run tries the channel, without a message where none is due."""
    try:
        if not tell_people(settings, engine):
            return UNDELIVERED
        return Channel(url).problem() if (url := settings.alert_url) else None
    except UsageError as error:
        return str(error)


def schedules() -> list[Deployed] | None:
    """None where Prefect does not answer: its part is then left as it was."""
    try:
        return deployments(datetime.now(UTC))
    except (httpx.HTTPError, RuntimeError):
        return None


@flow(
    name="watchdog", description="Finds what is wrong, and tells people once when it begins and once when it is over."
)
def watchdog() -> State[Any]:
    """Finds what is wrong from the database and the schedules, and tells people once."""
    settings = Settings()
    with database(settings) as url, one_engine(url) as engine:
        problem = watch(settings, engine, schedules(), catching_up=_is_late())
        incidents = read_open(url)
    if problem:
        return Failed(message=problem)
    if (heartbeat := settings.heartbeat_url) and (failure := beat(heartbeat)):
        get_run_logger().warning("CALLWEAVE_HEARTBEAT_URL could not be reached (%s).", failure)
    return Completed(message=f"{len(incidents)} incidents are open" if incidents else "all is well")


def _is_late() -> bool:
    """Whether this very run waited for a worker: then so did all others."""
    planned = flow_run.scheduled_start_time
    return planned is not None and datetime.now(UTC) - planned > START_WITHIN
