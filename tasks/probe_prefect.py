"""Whether Prefect's server answers, has our deployments, and whether a worker takes their runs."""

from collections.abc import Iterator
from typing import Any

import httpx

from models.errors import UsageError
from tasks.automations import names
from tasks.channel import Channel
from tasks.probe import Result
from tasks.schedules import POOL
from tasks.settings import Settings


def of_prefect(url: str, *, is_ours: bool) -> Iterator[Result]:
    """`is_ours`: the embedded server, which needs a worker only while `make up` runs."""
    from prefect import get_client  # noqa: PLC0415 - a second of import, only where Prefect is asked

    try:
        with get_client(sync_client=True) as client:
            yield Result(f"Prefect server: {client.api_version()}")
            for result in _of_work(client):
                yield result._replace(problem=None, is_note=True) if is_ours and result.problem else result
    except (httpx.HTTPError, RuntimeError) as error:
        yield Result(
            "Prefect server",
            f"it does not answer at {url} ({type(error).__name__}); start it, or correct PREFECT_API_URL and its key",
        )


def _of_work(client: Any) -> Iterator[Result]:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - see above

    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        yield Result(
            f"Prefect work pool {POOL}: missing",
            f"make it with `prefect --no-prompt work-pool create {POOL} --type process`",
        )
        return
    yield Result(f"Prefect work pool {POOL}", "it is paused: resume it" if pool.is_paused else None)
    online = [one for one in client.read_workers_for_work_pool(POOL) if one.status == "ONLINE"]
    nobody = f"none is online: nothing scheduled runs. `prefect worker start --pool {POOL}`"
    yield Result(f"Prefect workers: {len(online)}", None if online else nobody)
    deployed = [one for one in client.read_deployments() if one.schedules]
    yield Result(
        f"Prefect deployments with a schedule: {len(deployed)}",
        None if deployed else "none: `prefect --no-prompt deploy --all`",
    )
    known = [name for name in names() if client.read_automations_by_name(name)]
    missing = len(names()) - len(known)
    yield Result(
        f"Prefect automations: {len(known)}", f"{missing} are missing: `callweave automations`" if missing else None
    )


def of_alerts(settings: Settings) -> Iterator[Result]:
    """Where people are told, tried without a message."""
    if settings.general.callweave_alert_url is None:
        yield Result("CALLWEAVE_ALERT_URL is not set: nobody is told when something goes wrong", None, is_note=True)
    else:
        yield Result("alert channel", _channel_problem(settings))
    if settings.general.callweave_heartbeat_url is None:
        yield Result(
            "CALLWEAVE_HEARTBEAT_URL is not set: nobody notices when the watchdog itself is gone", None, is_note=True
        )


def _channel_problem(settings: Settings) -> str | None:
    try:
        return Channel(settings.alert_url or "").problem()
    except UsageError as error:
        return str(error)
