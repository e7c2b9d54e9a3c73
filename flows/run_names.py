"""Names of flow runs in Prefect's lists: what each is about, by its parameters."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prefect.runtime import flow_run
from pydantic import TypeAdapter, ValidationError

from models.vocabulary import StreamName
from models.wording import counted, minute, stretch
from tasks.providers import PROVIDERS

MOMENT = TypeAdapter(datetime | None)


def of_sync(title: str) -> Callable[[], str]:
    """`Bird calls, what is new`; `Bird contacts`; `Bird calls 3 to 9 November 2026`; `Bird, 2 calls by id`."""

    def name() -> str:
        asked = flow_run.parameters
        if ids := asked.get("call_ids"):
            return f"{title}, {counted(len(ids), 'call')} by id"
        streams = [StreamName(one) for one in asked.get("streams") or StreamName]
        # Contacts have no range: a run reads all of them.
        read = f"{title} {' and '.join(streams)}" + (_range(asked) if StreamName.CALLS in streams else "")
        return f"{read}, all again" if asked.get("full") else read

    return name


def of_backfill() -> str:
    """`Bird calls 3 to 9 November 2026`."""
    asked = flow_run.parameters
    provider = PROVIDERS.get(str(asked.get("provider")))
    return f"{provider.title if provider else 'Some'} calls{_range(asked)}"


def of_reconcile() -> str:
    """`What has changed`; `Calls 3 to 9 November 2026`; `All calls`."""
    asked = flow_run.parameters
    if asked.get("since") or asked.get("until"):
        return f"Calls{_range(asked)}"
    return "All calls" if asked.get("full") or asked.get("verify") else "What has changed"


def _range(asked: Mapping[str, Any]) -> str:
    try:
        since, until = (MOMENT.validate_python(asked.get(name)) for name in ("since", "until"))
    except ValidationError:
        return ""  # the flow itself says what is wrong with it
    if since and until:
        return " " + stretch(since, until)
    if since:
        return f" since {minute(since)}"
    return f" until {minute(until)}" if until else ", what is new"
