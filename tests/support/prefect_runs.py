"""What Prefect keeps of runs, asked of its server over HTTP."""

from typing import Any

from tasks.embedded import Stack
from tests.support.builders import Json
from tests.support.patience import eventually
from tests.support.prefect_api import api_client


class Prefect:
    """What Prefect's server knows of some flow runs."""

    def __init__(self, servers: Stack, runs: list[str]) -> None:
        self.servers, self._runs = servers, runs

    def _found(self, what: str, **wanted: Any) -> list[Json]:
        with api_client(self.servers) as client:
            found: list[Json] = client.post(f"/{what}/filter", json=wanted).raise_for_status().json()
        return found

    @property
    def flow_run(self) -> Json:
        (found,) = self._found("flow_runs", flow_runs={"id": {"any_": self._runs}})
        return found

    def task_runs(self, expected: int) -> list[Json]:
        """They arrive at the server as events, a little later."""

        def ended() -> list[Json]:
            found = self._found("task_runs", task_runs={"flow_run_id": {"any_": self._runs}})
            over = [one for one in found if one["state_type"] in {"COMPLETED", "FAILED"}]
            return over if len(over) >= expected else []

        return list(eventually(ended) or [])

    def events(self, prefix: str) -> list[Json]:
        """Events of these runs whose names begin so; they too arrive a little later."""
        related = [f"prefect.flow-run.{one}" for one in self._runs]
        wanted = {"event": {"prefix": [prefix]}, "any_resource": {"id": related}}

        def found() -> list[Json]:
            with api_client(self.servers) as client:
                answer = client.post("/events/filter", json={"filter": wanted}).raise_for_status().json()
            events: list[Json] = answer["events"]
            return events

        return list(eventually(found) or [])

    def artifacts(self) -> list[Json]:
        return self._found("artifacts", artifacts={"flow_run_id": {"any_": self._runs}})

    def logs(self) -> list[Json]:
        return self._found("logs", logs={"flow_run_id": {"any_": self._runs}})
