"""What Prefect's server says of our deployments: whether their schedules are on, and whether runs start by them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.alerts.rules import Deployed
from models.vocabulary import StreamName
from tasks.client.redaction import outward
from tasks.prefect_server import all_parts, prefect_client
from tasks.providers import PROVIDERS

POOL = "callweave"
"""The work pool of `prefect.yaml`."""
TIME_TO_WORK = {StreamName.CALLS: timedelta(minutes=30), StreamName.CONTACTS: timedelta(hours=6)}
"""How long after its scheduled time a run has to be done."""
WATCHED = frozenset({"reconcile", *(f"sync-{name}" for name in PROVIDERS)})
"""Flows with a schedule that the watchdog watches. Itself it cannot: an automation of Prefect's does."""
SCHEDULED = WATCHED | {"watchdog"}
RECEIPTS = text("""
SELECT r.flow_run_id FROM sync_stream s JOIN sync_run r USING (provider, account, stream)
WHERE r.started_at > statement_timestamp() - interval '2 days' AND r.flow_run_id = ANY (:ids)
UNION SELECT flow_run_id FROM reconcile_run WHERE flow_run_id = ANY (:ids)
""")


def deployments(now: datetime) -> list[Deployed]:
    """Our deployments that have a schedule. Raises `PrefectUnavailable` where the server does not answer."""
    with prefect_client() as client:
        return [_deployed(client, one, flow, now) for flow, one in scheduled(client) if flow in WATCHED]


def scheduled(client: Any) -> list[tuple[str, Any]]:
    """The name of the flow and the deployment, of all with a schedule that are ours; a server may hold others' too."""
    from prefect.client.schemas.filters import FlowFilter  # noqa: PLC0415 - a second of import, only for Prefect
    from prefect.client.schemas.sorting import DeploymentSort  # noqa: PLC0415

    ours = FlowFilter.model_validate({"name": {"any_": sorted(SCHEDULED)}})
    flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=ours)}
    found = all_parts(
        lambda offset: client.read_deployments(flow_filter=ours, sort=DeploymentSort.NAME_ASC, offset=offset)
    )
    return [(flows[one.flow_id], one) for one in found if one.schedules and one.flow_id in flows]


def is_on(deployment: Any) -> bool:
    """Whether runs start by its schedule."""
    return not deployment.paused and any(schedule.active for schedule in deployment.schedules)


def unplanned(
    client: Any, deployed: Iterable[tuple[str, Any]], time_to_plan: timedelta = timedelta(minutes=5)
) -> list[str]:
    """Those that are on and of which Prefect plans no run, though they were there so long; it looks each minute."""
    long_ago = datetime.now(UTC) - time_to_plan
    told = [
        f"{flow}/{one.name}"
        for flow, one in deployed
        if is_on(one) and (_changed_at(one) or long_ago) <= long_ago and _Runs(client, one.id).next_start() is None
    ]
    return sorted(told)


def _deployed(client: Any, deployment: Any, flow: str, now: datetime) -> Deployed:
    runs = _Runs(client, deployment.id)
    streams = [StreamName(name) for name in deployment.parameters.get("streams", StreamName)]
    of_provider = flow.removeprefix("sync-") if flow.startswith("sync-") else None
    work = max(TIME_TO_WORK[stream] for stream in streams)
    return Deployed(
        name=f"{flow}/{deployment.name}",
        streams=frozenset((of_provider, stream) for stream in streams) if of_provider else frozenset(),
        is_on=is_on(deployment),
        waiting_since=runs.next_start() or _changed_at(deployment),
        due=runs.last_start(before=now - work),
        failed_run=runs.last_failure(),
    )


def _changed_at(deployment: Any) -> datetime | None:
    """When it was deployed or switched on: it takes Prefect a minute to plan its first run."""
    return max((one.updated for one in (deployment, *deployment.schedules) if one.updated), default=None)


class _Runs:
    """The runs of one deployment."""

    def __init__(self, client: Any, deployment_id: UUID) -> None:
        self._client, self._deployment_id = client, deployment_id

    def next_start(self) -> datetime | None:
        """Of the first run that waits."""
        run = self._first("EXPECTED_START_TIME_ASC", state={"type": {"any_": ["SCHEDULED"]}})
        return run.expected_start_time if run else None

    def last_start(self, before: datetime) -> datetime | None:
        run = self._first("EXPECTED_START_TIME_DESC", expected_start_time={"before_": before})
        return run.expected_start_time if run else None

    def last_failure(self) -> tuple[str, datetime, str] | None:
        """The latest run that ended, where that failed: id, end, message."""
        ended = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        run = self._first("END_TIME_DESC", state=ended)
        if run is None or run.state_type == "COMPLETED" or run.end_time is None:
            return None
        return str(run.id), run.end_time, outward(run.state.message or "no reason was given")

    def _first(self, sort: str, **wanted: Any) -> Any:
        from prefect.client.schemas.filters import FlowRunFilter  # noqa: PLC0415 - see above
        from prefect.client.schemas.sorting import FlowRunSort  # noqa: PLC0415

        chosen = FlowRunFilter.model_validate({"deployment_id": {"any_": [self._deployment_id]}} | wanted)
        found = self._client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort(sort), limit=1)
        return found[0] if found else None


def without_receipt(connection: Connection, found: Iterable[Deployed]) -> Iterator[Deployed]:
    """The same, without the failed runs that left a receipt: of those the ledger knows more."""
    found = list(found)
    ids = [one.failed_run[0] for one in found if one.failed_run]
    known = set(connection.execute(RECEIPTS, {"ids": ids}).scalars()) if ids else set()
    for one in found:
        yield replace(one, failed_run=None) if one.failed_run and one.failed_run[0] in known else one


def dues(found: Iterable[Deployed]) -> dict[tuple[str, str], datetime]:
    """When each (provider, stream) was due at the latest; by the slackest of its deployments."""
    result: dict[tuple[str, str], datetime] = {}
    for one in found:
        for stream in one.streams:
            if one.due is not None:
                result[stream] = min(one.due, result.get(stream, one.due))
    return result
