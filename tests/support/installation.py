"""Callweave as it stands on a server: Prefect's server, deployments, a worker, a database, and providers over HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.alerts.schedules import POOL
from tasks.embedded import EmbeddedPostgres, Stack, client_environ
from tests.e2e.test_cli import Branch
from tests.support.builders import Json
from tests.support.patience import PATIENCE, eventually
from tests.support.prefect_api import api_client

HOUSE = Path(__file__).parents[2]
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Installation(Branch):
    """A branch whose flows are run by a worker."""

    def __init__(self, cluster: EmbeddedPostgres, servers: Stack, **sandbox: Any) -> None:
        self.home = cluster.data.parent
        super().__init__(cluster, self.home, **sandbox)
        self.api = servers.prefect_api_url
        self.key = servers.prefect_key
        self.client = api_client(servers)
        self.shell.environ |= client_environ(servers, self.home) | {"PREFECT_WORKER_QUERY_SECONDS": "1"}

    def __exit__(self, *_: object) -> None:
        # The server stays: to whatever is tested on it next, these would be schedules that nobody runs.
        for deployment in self.deployments().values():
            self.client.delete(f"/deployments/{deployment['id']}").raise_for_status()
        self.client.close()
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
        self.make_pool(POOL)
        self.prefect("deploy", "--all", "--prefect-file", str(file))

    def make_pool(self, name: str) -> None:
        template = ["--base-job-template", str(HOUSE / "work-pool.json")]
        self.prefect("work-pool", "create", name, "--type", "process", *template, "--overwrite")

    @contextmanager
    def worker(self, pool: str = POOL, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker; none of its runs outlives the block. What it said is shown with a test that fails."""
        log_file = Path(self.folder.name) / "worker.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"],
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
            process.wait(PATIENCE)
            kill(*runs)
            sys.stdout.write(log_file.read_text("utf-8"))

    def found(self, what: str, **wanted: Any) -> list[Json]:
        rows: list[Json] = self.client.post(f"/{what}/filter", json=wanted).raise_for_status().json()
        return rows

    def deployments(self) -> dict[str, Json]:
        """By flow and name, as `prefect.yaml` and the contract spell it."""
        flows = {one["id"]: one["name"] for one in self.found("flows")}
        return {f"{flows[one['flow_id']]}/{one['name']}": one for one in self.found("deployments")}

    def start(self, deployment: str, **parameters: Any) -> str:
        """The id of a run that a worker will take up."""
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        path = f"/deployments/{self.deployments()[deployment]['id']}/create_flow_run"
        return str(self.client.post(path, json=body).raise_for_status().json()["id"])

    def run_of(self, id_: str) -> Json:
        found: Json = self.client.get(f"/flow_runs/{id_}").raise_for_status().json()
        return found

    def ended(self, id_: str, seconds: float = PATIENCE) -> Json:
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
