"""From zero to production: every command of docs/production.md, in its order, and the image's own steps one by one."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tasks.embedded import EmbeddedPostgres, Stack
from tests.support.alerts import Alerts
from tests.support.builders import Json
from tests.support.fixtures import new_database
from tests.support.installation import HOUSE, Installation
from tests.support.patience import eventually
from tests.tasks.test_database import BOUNCER, bouncer, name_of

PAGE = (HOUSE / "docs" / "production.md").read_text("utf-8")
STEPS = {
    step[0]: block[1]
    for step in PAGE.split("\n## ")[1:]
    if (block := re.search(r"^```bash\n(.*?)^```", step, re.MULTILINE | re.DOTALL))
}
"""Commands by the number of their step."""


@pytest.fixture
def server(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Installation]:
    """An operator's machine: a Postgres behind a pooler and a Prefect server with a password, both from outside."""
    pooler = bouncer(cluster) if BOUNCER else nullcontext(cluster.data)
    with Installation(cluster, servers) as made, Alerts() as alerts, pooler as folder:
        made.shell.environ |= {
            "CALLWEAVE_ALERT_URL": alerts.url,
            "CALLWEAVE_HEARTBEAT_URL": alerts.heartbeat_url,
        }
        made.url = new_database(cluster)
        made.shell.environ["DATABASE_URL"] = made.url
        if BOUNCER:
            pooled = f"postgresql://postgres@/{name_of(made.url)}?host={folder}&port=6543"
            made.shell.environ["POOLED_URL"] = pooled
        yield made


def walk(server: Installation, commands: str) -> str:
    """A block of the page, typed in the project's folder with its environment active."""
    environ = server.shell.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=HOUSE,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server.shell.assert_discreet(done.stdout + done.stderr)
    return done.stdout


def test_the_fifteen_minutes(server: Installation) -> None:
    """A new operator who types what the page says has schedules, a worker, calls, and a status that is well."""
    assert sorted(STEPS) == ["3", "4", "6"]

    walk(server, STEPS["3"])
    server.shell.environ["DATABASE_URL"] = server.shell.environ.get("POOLED_URL", server.url)
    walk(server, STEPS["4"])
    assert len(server.deployments()) >= 10

    started = re.search(r"By hand it is `prefect (worker start --pool \w+)`", PAGE)
    assert started is not None
    assert f"prefect {started[1]}" in PAGE.partition("ExecStart=")[2].partition("\n")[0]
    with server.worker(started[1].rpartition(" ")[2]):
        first = server.start("sync-sakari/calls")
        assert server.ended(first)["state_name"] == "Completed"
        assert server.run_of(first)["name"] == "Sakari calls, what is new"
        told = walk(server, STEPS["6"])
    assert "WRONG" not in told
    assert "complete up to" in told
    assert eventually(lambda: server.rows("SELECT FROM unified_call LIMIT 1"), 5)


def image(file: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, as (name, what follows)."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_by_its_steps(tmp_path: Path) -> None:
    """Without an engine: what the Dockerfile copies and runs, in a clean folder, makes a program that answers."""
    root = tmp_path / "image"
    root.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    settings: Json = {}

    def inside(text: str) -> str:
        return re.sub(r"(?<![\w/.])/(build|environment|callweave)\b", rf"{root}/\1", text)

    for name, rest in image(HOUSE / "Dockerfile"):
        if name == "COPY" and not rest.startswith("--from"):
            source, target = rest.split()
            place(source, Path(inside(target)))
        elif name == "RUN":
            words = ["sh", "-ec", inside(rest)]
            step = subprocess.run(words, check=False, env=environ, cwd=root, capture_output=True, text=True)
            assert step.returncode == 0, step.stderr
        elif name == "ENV":
            settings |= dict(pair.split("=", 1) for pair in shlex.split(inside(rest)))
    settings |= {"HOME": str(tmp_path), "CALLWEAVE_HOME": str(tmp_path / "home"), "PREFECT_HOME": str(tmp_path / "p")}
    done = subprocess.run(
        ["callweave", "--version"], check=False, env=settings, cwd=root / "callweave", capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert re.match(r"callweave \d", done.stdout)
    assert not list(root.glob("callweave/tests")) + list(root.glob("callweave/.*"))
    assert not list((root / "callweave").rglob("*.pyc"))


def place(source: str, target: Path) -> None:
    """As `COPY` does with what .dockerignore lets through, of what git knows."""
    let_through = (HOUSE / ".dockerignore").read_text("utf-8")
    names = [line.removeprefix("!") for line in let_through.splitlines() if line.startswith("!")]
    if source != ".":
        assert source in names
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOUSE / source, target)
        return
    for name in names:
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(HOUSE / name, target / name)


def test_both_locks_agree() -> None:
    """What runs in the image has the versions that everything was tested with; `make lock` writes both."""
    whole, part = ((HOUSE / name).read_text("utf-8") for name in ("requirements.lock", "requirements-run.lock"))
    pins = re.compile(r"^[\w.-]+==[^ ;\\]+", re.MULTILINE)
    run, tested = set(pins.findall(part)), set(pins.findall(whole))

    assert run < tested
    assert not {one for one in run if one.startswith(("pytest", "ruff", "mypy", "playwright"))}
    assert not re.findall(r"^--|://", whole + part, re.MULTILINE)
