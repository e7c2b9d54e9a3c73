"""Alerts: one message when something begins, one when it is over, and nothing in between."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.settings import get_current_settings
from sqlalchemy import Engine

from models.alerts.incident import OF_RUNS, Change, Incident
from models.alerts.messages import opening, recovery
from models.errors import CallweaveError
from models.vocabulary import RunState
from tasks.alerts.notifier import Channel
from tasks.alerts.run_queries import of_ended_runs
from tasks.alerts.store import send_pending, settle
from tasks.client.redaction import outward
from tasks.ledger.receipt import RunReceipt
from tasks.providers import PROVIDERS
from tasks.settings import Settings

Tell = Callable[[Change], None]
"""Told of what opened and what closed."""
UNDELIVERED = "An alert could not be delivered: check CALLWEAVE_ALERT_URL. It is tried again by the watchdog."


def message(receipts: list[RunReceipt]) -> str:
    """A sentence per stream that is not whole."""
    bad = [one for one in receipts if one.state is not RunState.COMPLETED]
    return "\n".join(f"{one.provider} {one.stream}: {one.state}. {outward(one.error or '')}" for one in bad)


def untold(_change: Change) -> None:
    """Tells nobody: outside of a flow no Prefect may be there."""


def after_a_run(settings: Settings, engine: Engine, account: dict[str, str], tell: Tell = untold) -> str | None:
    """Opens or closes what this run of an account brought or ended; what went wrong with that, if anything did."""
    try:
        tell(settle(engine, OF_RUNS, lambda connection: of_ended_runs(connection, account), account))
        return None if send_alerts(settings, engine) else UNDELIVERED
    except CallweaveError as error:
        return f"Incidents could not be settled, the watchdog will: {error}"


def send_alerts(settings: Settings, engine: Engine) -> bool:
    """Sends what was not sent yet; False where that failed: the next watchdog run tries again."""
    if (url := settings.alert_url) is None:
        return True
    made: list[Channel] = []

    def send(group: list[Incident], is_over: bool) -> bool:
        made[:] = made or [Channel(url)]
        return made[0].send((recovery if is_over else opening)(group, _who(group[0]), *_links(group, is_over)))

    return send_pending(engine, send)


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
