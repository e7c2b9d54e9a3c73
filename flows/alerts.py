"""People are told: one message when something begins, one when it is over, and nothing in between."""

from typing import Any
from uuid import UUID

from prefect.settings import get_current_settings
from sqlalchemy import Engine

from models.advice import opening, recovery
from models.errors import CallweaveError
from models.incidents import OF_RUNS, Incident
from models.vocabulary import RunState
from tasks.channel import Channel
from tasks.client import masked
from tasks.ended_runs import of_ended_runs
from tasks.incidents import settle, tell
from tasks.line import Line
from tasks.providers import PROVIDERS
from tasks.settings import Settings

UNDELIVERED = "An alert could not be delivered: check CALLWEAVE_ALERT_URL. It is tried again by the watchdog."


def message(lines: list[Line]) -> str:
    """A sentence per stream that is not whole."""
    told = [line for line in lines if line.state is not RunState.COMPLETED]
    return "\n".join(f"{line.provider} {line.stream}: {line.state}. {masked(line.error or '')}" for line in told)


def after_a_run(settings: Settings, engine: Engine, account: dict[str, str]) -> str | None:
    """Opens or closes what this run of an account brought or ended; what went wrong with that, if anything did."""
    try:
        settle(engine, OF_RUNS, lambda connection: of_ended_runs(connection, account), account)
        return None if tell_people(settings, engine) else UNDELIVERED
    except CallweaveError as error:
        return f"Incidents could not be settled, the watchdog will: {error}"


def tell_people(settings: Settings, engine: Engine) -> bool:
    """Sends what is to be told; False where that failed, so that it is tried again by the next watchdog run."""
    if (url := settings.alert_url) is None:
        return True
    made: list[Channel] = []

    def send(group: list[Incident], is_over: bool) -> bool:
        made[:] = made or [Channel(url)]
        return made[0].send((recovery if is_over else opening)(group, _who(group[0]), *_links(group, is_over)))

    return tell(engine, send)


def _who(incident: Incident) -> str:
    provider = PROVIDERS.get(incident.provider)
    return provider.title if provider else incident.provider


def _links(group: list[Incident], is_over: bool) -> tuple[Any, ...]:
    if is_over:
        return ()
    return (next((link for one in group if (link := _link(one.flow_run_id))), None),)


def _link(flow_run_id: str | None) -> str | None:
    """The run in Prefect's UI."""
    ui = get_current_settings().ui_url
    try:
        return f"{ui.rstrip('/')}/runs/flow-run/{UUID(flow_run_id)}" if ui and flow_run_id else None
    except ValueError:
        return None
