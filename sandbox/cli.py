"""The sandbox, served until it is stopped."""

import signal
import sys
from collections.abc import Iterable
from threading import Event

from sandbox.faults import FAULTS
from sandbox.server import Sandbox


def serve(*, port: int = 0, calls: int = 5000, seed: int = 1, faults: Iterable[str] = ()) -> int:
    """Serves until Ctrl-C or SIGTERM; tells first what points Callweave at it."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(port=port, calls=calls, seed=seed, faults=faults) as sandbox:
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
    faults = f", with {', '.join(sorted(sandbox.faults))}" if sandbox.faults else ""
    return f"Serving {', '.join(parts)} at {sandbox.url}{faults}"


def describe_faults() -> str:
    return "\n".join(f"  {name:<17} {description}" for name, description in FAULTS.items())
