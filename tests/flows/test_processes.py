"""Programs that run beside a command end with it, whatever ends the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.processes import beside
from tests.support.patience import PATIENCE, eventually
from tests.tasks.test_embedded import alive

HOUSE = Path(__file__).parents[2]
WAITS = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
OBEYS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("good order", flush=True)))
print(os.getpid(), flush=True)
time.sleep(60)
"""
STARTER = f"""
import subprocess, sys
from flows.cli.processes import beside
with beside(["-c", {WAITS!r}], stdout=subprocess.PIPE) as process:
    print(process.stdout.readline().strip(), flush=True)
    sys.stdin.read()
"""


def test_nothing_outlives_a_killed_starter() -> None:
    """`kill -9` of the command that started a worker leaves no worker behind."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    worker = int(starter.stdout.readline())
    assert alive(worker)
    starter.kill()
    starter.communicate()

    assert eventually(lambda: not alive(worker))


def test_it_is_ended_in_good_order() -> None:
    """A program is asked to end when the block is left, and waited for."""
    with beside(["-c", OBEYS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
    assert not alive(pid)
    with process.stdout as said:
        assert said.read() == "good order\n"


@pytest.mark.parametrize("status", [0, 3])
def test_its_exit_status_is_known(status: int) -> None:
    """A program that ends by itself is noticed, with its exit status."""
    with beside(["-c", f"raise SystemExit({status})"]) as process:
        assert process.wait(PATIENCE) == status
