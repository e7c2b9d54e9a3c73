"""Other programs for the same job, in an environment of their own that is made when it is first needed."""

import json
import os
import subprocess
from pathlib import Path

from bench.ground import Ground, beside_python

HOUSE = Path(__file__).parents[1]
FOLDER = HOUSE / ".venv-peers"
PYTHON = FOLDER / "bin" / "python"
PINNED = "dlt[postgres]==1.31.*"
SCRIPT = Path(__file__).with_name("peer_dlt.py")


class PeerUnavailable(Exception):
    """It could not be installed; the text says why."""


def install(*packages: str, folder: Path = FOLDER) -> Path:
    """The folder of the programs of `packages`. Raises `PeerUnavailable`."""
    programs, marker = folder / "bin", folder / " ".join(packages)
    if not marker.exists():
        print(f"Installing {marker.name} into {folder.name} (once) ...", flush=True)
        if not (programs / "python").exists():
            _uv("venv", "--quiet", "--clear", str(folder))
        _uv("pip", "install", "--quiet", "--python", str(programs / "python"), *packages)
        marker.touch()
    return programs


def _uv(*arguments: str) -> None:
    try:
        subprocess.run([beside_python("uv"), *arguments], check=True, capture_output=True, text=True)
    except OSError as error:
        raise PeerUnavailable(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise PeerUnavailable(error.stderr.strip().rpartition("\n")[2]) from error


def dlt(ground: Ground) -> dict[str, float]:
    """Seconds of its steps, and rows, in a new database."""
    with ground.database() as name:
        done = subprocess.run(
            [PYTHON, SCRIPT, ground.peers_url(name)],
            check=False,
            env=ground.environ | {"DLT_DATA_DIR": str(ground.home / "dlt")},
            cwd=ground.home,
            stdout=subprocess.PIPE,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"bench: the peer failed with {done.returncode}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def command() -> str:
    return f"{os.path.relpath(PYTHON, HOUSE)} {os.path.relpath(SCRIPT, HOUSE)} URL"
