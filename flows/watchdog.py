"""The watchdog: finds what is wrong from the database, also where a run was killed, and sends one alert for each."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from sqlalchemy import Engine, func, select

from flows.alerts import UNDELIVERED, Tell, send_alerts, untold
from flows.events import tell_of_incidents
from flows.late_runs import superseded
from models.alerts.rules import Deployed
from models.errors import PrefectUnavailable, UsageError
from tasks.alerts.notifier import Channel, beat
from tasks.alerts.schedules import deployments
from tasks.alerts.store import read_open
from tasks.alerts.watchdog import START_WITHIN, look, note_channel
from tasks.database import database_errors, one_engine
from tasks.home import database
from tasks.settings import Settings


def watch(
    settings: Settings,
    engine: Engine,
    found: Sequence[Deployed] | None,
    *,
    catching_up: bool = False,
    tell: Tell = untold,
) -> str | None:
    """Looks, and sends what is new and what is over; returns why an alert could not be delivered, if so."""
    with database_errors(), engine.connect() as connection:
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    tell(look(engine, found, now, catching_up=catching_up))
    problem = _undelivered(settings, engine)
    note_channel(engine, problem, now)
    # What is over now may be the channel's own trouble.
    return problem or (None if send_alerts(settings, engine) else UNDELIVERED)


def _undelivered(settings: Settings, engine: Engine) -> str | None:
    """Every run tries the channel, without a message where none is due."""
    try:
        if not send_alerts(settings, engine):
            return UNDELIVERED
        return Channel(url).problem() if (url := settings.alert_url) else None
    except UsageError as error:
        return str(error)


def schedules() -> list[Deployed] | None:
    """None where Prefect does not answer: its part is then left as it was."""
    try:
        return deployments(datetime.now(UTC))
    except PrefectUnavailable:
        return None


@flow(
    name="watchdog",
    description="Finds what is wrong; sends one alert when it begins and one when it is over.",
    flow_run_name="A look at everything",
)
def watchdog() -> State[Any]:
    """Finds what is wrong from the database and the schedules, and sends one alert for each."""
    if skipped := superseded():
        return skipped
    settings = Settings()
    with database(settings) as url, one_engine(url) as engine:
        problem = watch(settings, engine, schedules(), catching_up=_is_late(), tell=tell_of_incidents)
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
