"""Events of Callweave's own in Prefect, for automations of yours: docs/operating.md says what each tells.

The resource is named after the place, `callweave.bird.main-workspace.calls`, whose parts stand as labels beside it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from prefect.events import emit_event

from models.alerts.incident import Change, Key
from tasks.diagnostics.stream_health import StreamHealth
from tasks.extract.stream_run import StreamRun

STREAM_PROVEN = "callweave.stream.proven"
DELETES_HELD_BACK = "callweave.deletes.held-back"
INCIDENT_OPENED = "callweave.incident.opened"
INCIDENT_CLOSED = "callweave.incident.closed"
CALIBRATION_MOVED = "callweave.calibration.moved"


def tell_of_runs(runs: Iterable[StreamRun], standing: Iterable[StreamHealth]) -> None:
    """Of each run: up to when its stream is complete now, if it is, and what was not marked as deleted."""
    complete = {(one.account, one.stream): one.complete_up_to for one in standing}
    for run in runs:
        place = {**run.account.key, "stream": run.stream.name}
        up_to = complete.get((run.account.name, run.stream.name))
        if up_to is not None and run.receipt.windows:
            _emit(STREAM_PROVEN, place, complete_up_to=up_to, windows=run.receipt.windows)
        if held := run.left_out.held_back:
            _emit(DELETES_HELD_BACK, place, **held.columns)


def tell_of_incidents(change: Change) -> None:
    for one in change.opened:
        _emit(INCIDENT_OPENED, _place(one.key), cause=one.key.cause, detail=one.detail, since=one.since)
    for key in change.closed:
        _emit(INCIDENT_CLOSED, _place(key), cause=key.cause)


def tell_of_calibrations(reasons: Mapping[str, str]) -> None:
    """`reasons`: by the names of the two accounts whose clocks and habits were found to be otherwise."""
    for pair, reason in reasons.items():
        _emit(CALIBRATION_MOVED, {"calibration": pair}, reason=reason)


def _place(key: Key) -> dict[str, str]:
    return {"provider": key.provider, "account": key.account, "stream": key.stream}


def _emit(event: str, place: Mapping[str, str], **payload: Any) -> None:
    parts = {name: part for name, part in place.items() if part}
    resource = {
        "prefect.resource.id": ".".join(["callweave", *parts.values()]),
        "prefect.resource.name": " ".join(parts.values()) or "Callweave",
    }
    labels = {f"callweave.{name}": part for name, part in parts.items()}
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in payload.items()}
    emit_event(event, resource | labels, payload=told)
