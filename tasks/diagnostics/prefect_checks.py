"""Whether Prefect's server answers, has our deployments, and whether a worker takes their runs."""

from collections.abc import Iterator
from typing import Any

from models.errors import PrefectUnavailable, UsageError
from tasks.alerts.automations import names
from tasks.alerts.notifier import Channel
from tasks.alerts.schedules import POOL, is_on, scheduled, unplanned
from tasks.diagnostics.checks import Result
from tasks.prefect_server import all_parts, door, prefect_client
from tasks.settings import Settings

CHAPTER = "A password for Prefect"


def of_prefect(url: str, *, is_ours: bool, with_alerts: bool = True, pool: str = POOL) -> Iterator[Result]:
    """`is_ours`: the embedded server, which needs a worker only while `make up` runs.

    `with_alerts`: there is an address that alerts are sent to.
    """
    try:
        with prefect_client() as client:
            yield Result(f"Prefect server: {client.api_version()}")
            yield of_door(url)
            for result in _of_work(client, pool, names(with_alerts=with_alerts)):
                yield result._replace(problem=None, is_note=True) if is_ours and result.problem else result
    except PrefectUnavailable as error:
        yield Result("Prefect server", _unavailable(url, error.__cause__))


def _unavailable(url: str, cause: BaseException | None) -> str:
    if getattr(getattr(cause, "response", None), "status_code", None) in {401, 403}:
        return f"it answers at {url} and refuses the password: set PREFECT_API_AUTH_STRING as the server has it"
    return f"it does not answer at {url} ({type(cause).__name__}); start it, or correct PREFECT_API_URL and its key"


def of_door(url: str) -> Result:
    found = door(url)
    if not found.answers_anybody:
        return Result("Prefect server's API asks for a password")
    also = ", and every web page they open" if found.answers_pages else ""
    problem = f"it answers everybody who reaches it{also}: set a password (docs/operating.md, {CHAPTER!r})"
    return Result("Prefect server's API", problem)


def _of_work(client: Any, name: str, automations: list[str]) -> Iterator[Result]:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - a second of import, only where Prefect is asked

    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        yield Result(
            f"Prefect work pool {name}: missing",
            f"make it with `{_creating(name)}`",
        )
        return
    yield Result(f"Prefect work pool {name}", "it is paused: resume it" if pool.is_paused else None)
    if pool.type == "process":
        yield Result(f"Prefect work pool {name}: its processes", _template_problem(name, pool.base_job_template))
    workers = all_parts(lambda offset: client.read_workers_for_work_pool(name, offset=offset))
    online = [one for one in workers if one.status == "ONLINE"]
    offline = f"none is online: nothing scheduled runs. `prefect worker start --pool {name}`"
    yield Result(f"Prefect workers: {len(online)}", None if online else offline)
    deployed = scheduled(client)
    yield _of_schedules(deployed)
    if forgotten := unplanned(client, deployed):
        why = (
            "look for `Error scheduling` in the log of Prefect's server; its packages are to be those of the lock file"
        )
        yield Result("Prefect's plans", f"no run is planned of {', '.join(forgotten)}: {why}")
    known = [one for one in automations if client.read_automations_by_name(one)]
    missing = len(automations) - len(known)
    yield Result(
        f"Prefect automations: {len(known)}", f"{missing} are missing: `callweave automations`" if missing else None
    )


def _of_schedules(deployed: list[tuple[str, Any]]) -> Result:
    what = f"Prefect deployments with a schedule: {len(deployed)}"
    if not deployed:
        return Result(what, "none: `prefect --no-prompt deploy --all`")
    paused = sorted(f"{flow}/{one.name}" for flow, one in deployed if not is_on(one))
    return Result(what, f"paused: {', '.join(paused)}; resume them in Prefect's UI" if paused else None)


def _creating(pool: str) -> str:
    return f"prefect --no-prompt work-pool create {pool} --type process --base-job-template work-pool.json"


def _template_problem(pool: str, template: dict[str, Any]) -> str | None:
    """A worker gives a pool without any template its own, which lets runs set all of them."""
    configuration = template.get("job_configuration", {"command": ""})
    if not {"command", "env", "working_dir"} & set(configuration):
        return None
    return f"anyone who starts a run sets their command and environment: `{_creating(pool)} --overwrite`"


def of_alerts(settings: Settings) -> Iterator[Result]:
    """The alert channel, tried without a message."""
    if settings.general.callweave_alert_url is None:
        yield Result("CALLWEAVE_ALERT_URL is not set: no alert is sent when something goes wrong", None, is_note=True)
    else:
        yield Result("alert channel", _channel_problem(settings))
    if settings.general.callweave_heartbeat_url is None:
        yield Result(
            "CALLWEAVE_HEARTBEAT_URL is not set: nothing notices when the watchdog itself is gone", None, is_note=True
        )


def _channel_problem(settings: Settings) -> str | None:
    try:
        return Channel(settings.alert_url or "").problem()
    except UsageError as error:
        return str(error)
