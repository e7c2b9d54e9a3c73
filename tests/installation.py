"""Callweave as it stands on a server: Prefect's server, deployments, a worker, a database, and providers over HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tasks.embedded import EmbeddedPostgres, Stack, client_environ
from tasks.schedules import POOL
from tests.builders import Json
from tests.test_cli import Branch, eventually

HOUSE = Path(__file__).parents[1]
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Installation(Branch):
    """A branch whose flows are run by a worker."""

    def __init__(self, cluster: EmbeddedPostgres, servers: Stack, **sandbox: Any) -> None:
        self.home = cluster.data.parent
        super().__init__(cluster, self.home, **sandbox)
        self.api = servers.prefect_api_url
        self._client = httpx.Client(base_url=self.api, timeout=20)
        self.shell.environ |= client_environ(servers, self.home) | {"PREFECT_WORKER_QUERY_SECONDS": "1"}

    def __exit__(self, *_: object) -> None:
        # The server stays: to whatever is tested on it next, these would be schedules that nobody runs.
        for deployment in self.deployments().values():
            self._client.delete(f"/deployments/{deployment['id']}").raise_for_status()
        self._client.close()
        super().__exit__()

    def prefect(self, *words: str) -> str:
        """What a `prefect` command says, asked in the house without a question."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=HOUSE,
            env=self.shell.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, file: Path = HOUSE / "prefect.yaml") -> None:
        self._client.post("/work_pools/", json={"name": POOL, "type": "process"})
        self.prefect("deploy", "--all", "--prefect-file", str(file))

    @contextmanager
    def worker(self, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker; none of its runs outlives the block. What it said is shown with a test that fails."""
        log_file = Path(self.folder.name) / "worker.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"],
                cwd=self.folder.name,
                env=self.shell.environ | more,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            runs = children(process.pid)
            process.terminate()
            process.wait(20)
            kill(*runs)
            sys.stdout.write(log_file.read_text("utf-8"))

    def found(self, what: str, **wanted: Any) -> list[Json]:
        rows: list[Json] = self._client.post(f"/{what}/filter", json=wanted).raise_for_status().json()
        return rows

    def deployments(self) -> dict[str, Json]:
        """By flow and name, as `prefect.yaml` and the contract spell it."""
        flows = {one["id"]: one["name"] for one in self.found("flows")}
        return {f"{flows[one['flow_id']]}/{one['name']}": one for one in self.found("deployments")}

    def start(self, deployment: str, **parameters: Any) -> str:
        """The id of a run that a worker will take up."""
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        path = f"/deployments/{self.deployments()[deployment]['id']}/create_flow_run"
        return str(self._client.post(path, json=body).raise_for_status().json()["id"])

    def run_of(self, id_: str) -> Json:
        found: Json = self._client.get(f"/flow_runs/{id_}").raise_for_status().json()
        return found

    def ended(self, id_: str, seconds: float = 60) -> Json:
        """The run, once it has ended."""
        eventually(lambda: self.run_of(id_)["state_type"] in OVER, seconds)
        run = self.run_of(id_)
        assert run["state_type"] in OVER, run["state"]
        return run

    def reading(self, id_: str) -> bool:
        """Whether the run has read something and not all."""
        rows = self.rows("SELECT FROM sync_run WHERE flow_run_id = %s AND state = 'running'", id_)
        return bool(rows and self.rows("SELECT FROM sync_window WHERE state = 'done' AND origin = 'range'"))


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
