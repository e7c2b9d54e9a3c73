"""Where benchmarks run: a sandbox in a process of its own, one embedded Postgres, and a new database per measurement.

Everything measured is a child process, started as a person would start it, in an environment that holds nothing of the
caller's configuration. This process stays small: on Linux a child's peak memory begins with that of its parent.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from tasks.embedded import postgres
from tasks.embedded.cluster import EmbeddedPostgres

CALLS = 170_000
"""Of the sandbox: with so many, the three lists that the peer reads hold about 150,000 records."""
BUDGET = "10000"
"""Requests a second, for each provider: out of the way."""
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR")
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Run:
    """What one `callweave sync` reported, and the most memory its process ever held."""

    document: dict[str, Any]
    peak_mb: float

    @property
    def seconds(self) -> float:
        return float(self.document["seconds"])

    @property
    def rows(self) -> int:
        """Records now stored that were not before: what two programs have in common."""
        return sum(line["inserted"] for line in self.document["runs"])

    @property
    def fetched(self) -> int:
        return sum(line["fetched"] for line in self.document["runs"])


@dataclass
class Ground:
    home: Path
    server: EmbeddedPostgres
    environ: dict[str, str]
    """What points a program at the sandbox."""
    calls: int
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new, empty database."""
        name = f"bench_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def migrated(self) -> Iterator[str]:
        with self.database() as name:
            self.callweave(name, "migrate")
            yield name

    def sync(self, database: str, arguments: str) -> Run:
        output, peak_mb = self.callweave(database, "sync", *arguments.split(), "--json")
        return Run(json.loads(output), peak_mb)

    def callweave(self, database: str, *arguments: str) -> tuple[str, float]:
        """Standard output and peak memory in megabytes."""
        with self._errors.open("w") as errors:
            process = subprocess.Popen(
                [beside_python("callweave"), *arguments],
                env=self.environ | {"DATABASE_URL": self.server.url(database)},
                cwd=self.home,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"bench: `callweave {' '.join(arguments)}` failed: {self._errors.read_text()[-2000:]}")
        return output, _megabytes(usage)

    def peers_url(self, database: str) -> str:
        """For programs that insist on a host and a password: libpq takes the last host of the two."""
        return self.server.url(database).replace("postgres@/", "postgres:none@localhost/")

    @property
    def _errors(self) -> Path:
        return self.home / "errors.log"

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def ground(calls: int) -> Iterator[Ground]:
    with TemporaryDirectory(prefix="cw-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve()
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        with _sandbox(kept, home, calls) as exports, postgres(home / "callweave") as server:
            budgets = {f"{name}_REQUESTS_PER_SECOND": BUDGET for name in ("SAKARI", "BIRD", "SKIPCALL")}
            # The world is 60 days deep; the vendors' own examples, a dozen records years old, are left out.
            own = {"CALLWEAVE_HOME": str(home / "callweave"), "CALLWEAVE_HISTORY": "P62D"}
            yield Ground(home, server, kept | exports | budgets | own, calls)


@contextmanager
def _sandbox(environ: dict[str, str], folder: Path, calls: int) -> Iterator[dict[str, str]]:
    command = [beside_python("callweave"), "sandbox", "--calls", str(calls)]
    process = subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        # All of it at once, when it serves.
        lines = os.read(process.stdout.fileno(), 65_536).decode().splitlines()
        yield dict(line.removeprefix("export ").split("=", 1) for line in lines)
    finally:
        process.terminate()
        process.wait()


def beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss * BYTES_PER_UNIT / 1_000_000
