"""The sandbox, served until it is stopped."""

import signal
import sys
from collections.abc import Iterable
from threading import Event

from sandbox.deviations.deviations import DEVIATIONS
from sandbox.faults.faults import FAULTS
from sandbox.server import Sandbox


def serve(
    *, port: int = 0, calls: int = 5000, seed: int = 1, faults: Iterable[str] = (), deviations: Iterable[str] = ()
) -> int:
    """Serves until Ctrl-C or SIGTERM; prints first what points Callweave at it."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(port=port, calls=calls, seed=seed, faults=faults, deviations=deviations) as sandbox:
        for name, value in sandbox.environ.items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        sys.stderr.write(f"{_summary(sandbox)}; Ctrl-C stops it.\n")
        stop.wait()
    return 0


def _summary(sandbox: Sandbox) -> str:
    parts = [
        f"{name} {len(tables['calls'])} calls and {len(tables['contacts'])} contacts"
        for name, tables in sandbox.world.tables.items()
    ]
    wrong = sorted(sandbox.faults | sandbox.deviations)
    return f"Serving {', '.join(parts)} at {sandbox.url}{', with ' if wrong else ''}{', '.join(wrong)}"


def describe_deviations() -> str:
    lines = [(name, one.what, ", ".join(one.providers)) for name, one in DEVIATIONS.items()]
    return "\n".join(f"  {name:<23} {what} ({providers})" for name, what, providers in lines)


def describe_faults() -> str:
    return "\n".join(f"  {name:<17} {description}" for name, description in FAULTS.items())
