"""What Prefect keeps of runs, asked of its server over HTTP."""

from typing import Any

import httpx

from tests.builders import Json
from tests.test_cli import eventually


class Prefect:
    """What Prefect's server knows of some flow runs."""

    def __init__(self, url: str, runs: list[str]) -> None:
        self.url, self._runs = url, runs

    def _found(self, what: str, **wanted: Any) -> list[Json]:
        found: list[Json] = httpx.post(f"{self.url}/{what}/filter", json=wanted).raise_for_status().json()
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

        return list(eventually(ended, 15) or [])

    def artifacts(self) -> list[Json]:
        return self._found("artifacts", artifacts={"flow_run_id": {"any_": self._runs}})

    def logs(self) -> list[Json]:
        return self._found("logs", logs={"flow_run_id": {"any_": self._runs}})
