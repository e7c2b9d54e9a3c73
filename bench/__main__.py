"""Speed and memory as tables of ratios, peers included; exit status 1 where a target is missed."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable

from bench import first_sync, memory, people, querying, reconcile, scheduled
from bench.ground import CALLS, Ground, ground
from bench.matching import compare

BENCHMARKS: dict[str, Callable[[Ground], list[str]]] = {
    "first-sync": first_sync.run,
    "scheduled": scheduled.run,
    "memory": memory.run,
    "people": people.run,
    "querying": querying.run,
    "matching": compare.run,
    "reconcile": reconcile.run,
}


def main() -> int:
    parser = ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--calls", type=int, default=CALLS, help="size of the sandbox; targets are for %(default)s")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}")
    _tell_load()
    with ground(options.calls) as prepared:
        missed = [line for name in options.names or BENCHMARKS for line in BENCHMARKS[name](prepared)]
    for line in missed:
        sys.stderr.write(f"bench: missed: {line}\n")
    return 1 if missed else 0


def _tell_load() -> None:
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = "; other programs are running, so trust ratios and spreads only" if load > cores / 4 else ""
    print(f"{cores} cores, load {load:.1f} before the start{busy}.\n", flush=True)


sys.exit(main())
