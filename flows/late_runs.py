"""Runs of a schedule that waited for a worker: the newest reads what all were to read, the others do nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed

from models.errors import PrefectUnavailable
from tasks.prefect_server import all_parts, prefect_client

LATE = timedelta(minutes=5)
"""After its time, a run is taken to have waited: as long as the most frequent schedules are apart."""
WHY = "It waited for a worker, and so did a newer run of its schedule, which reads all that this one was to read."


def superseded() -> State[Any] | None:
    """The state in which this run ends at once, where a newer one of its schedule waited as well.

    Those that no worker has taken yet are cancelled on the way.
    """
    planned, deployment_id = flow_run.scheduled_start_time, deployment.id
    if not deployment_id or planned is None or datetime.now(UTC) - planned < LATE:
        return None
    try:
        with prefect_client() as client:
            return _superseded(client, UUID(deployment_id), UUID(flow_run.id))
    except PrefectUnavailable as error:
        get_run_logger().warning("Whether a newer run waits is not known: %s", error)
        return None


def _superseded(client: SyncPrefectClient, deployment_id: UUID, own_id: UUID) -> State[Any] | None:
    own = client.read_flow_run(own_id)
    if not own.auto_scheduled:
        return None
    others = [one for one in _waited(client, deployment_id) if one.auto_scheduled and one.id != own_id]
    newest = max([own, *others], key=lambda one: (one.expected_start_time or datetime.min.replace(tzinfo=UTC), one.id))
    for one in others:
        if one is not newest and one.state is not None and one.state.is_scheduled():
            client.set_flow_run_state(one.id, Cancelled(message=WHY))
    return None if newest is own else Completed(name="Skipped", message=WHY, data=[])


def _waited(client: SyncPrefectClient, deployment_id: UUID) -> list[FlowRun]:
    """Runs of the deployment whose time has come, and that are not over."""
    wanted = FlowRunFilter.model_validate(
        {
            "deployment_id": {"any_": [deployment_id]},
            "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}},
            "expected_start_time": {"before_": datetime.now(UTC)},
        }
    )

    def part(offset: int) -> list[FlowRun]:
        return client.read_flow_runs(flow_run_filter=wanted, offset=offset)

    return list(all_parts(part))
