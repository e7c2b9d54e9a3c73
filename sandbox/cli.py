"""The sandbox as a program of its own."""

import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
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
    return "faults:\n" + "\n".join(f"  {name:<17} {description}" for name, description in FAULTS.items())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(
        prog="sandbox",
        description="Three fake telephony providers over HTTP.",
        epilog=describe_faults(),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--calls", type=int, default=5000, help="call records, about, over the three providers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--fault", dest="faults", nargs="+", action="extend", default=[], choices=FAULTS, metavar="NAME"
    )
    return serve(**vars(parser.parse_args(arguments)))
