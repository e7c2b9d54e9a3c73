"""A million records reconciled from nothing, a thousand new ones among them, and how time and memory grow."""

import json
import subprocess
import sys

from bench import report
from bench.ground import Ground
from bench.matching import worlds
from bench.matching.stored import store

RECORDS = 1_000_000
PER_CALL = 2.35
"""Records that three providers make of a real call here."""
NEW = 1_000
FEWER = 5
MOST_SECONDS, MOST_SECONDS_NEW, MOST_MB = 40.0, 2.0, 400.0
HEADINGS = ("", "records", "seconds", "records a second", "peak MB", "command")


def run(ground: Ground) -> list[str]:
    few = _measured(ground, int(RECORDS / FEWER / PER_CALL))
    many = _measured(ground, int(RECORDS / PER_CALL))
    rows = [
        _line("few", few[0]),
        _line("many", many[0]),
        _line("new among many", many[1]),
        _line("again, whole", many[2]),
    ]
    report.show("Reconciling, Postgres included", HEADINGS, rows)
    whole, new = many[0], many[1]
    limits = (
        ("a million records", whole[1], MOST_SECONDS, "s"),
        ("a thousand new ones", new[1], MOST_SECONDS_NEW, "s"),
        ("peak memory", whole[2], MOST_MB, "MB"),
    )
    return [
        f"reconcile, {name}: {value:.1f} {unit}, less than {most:g} wanted"
        for name, value, most, unit in limits
        if value >= most
    ]


Figures = tuple[int, float, float, str]
"""Records, seconds, megabytes, and the command."""


def _measured(ground: Ground, calls: int) -> list[Figures]:
    with ground.migrated() as database:
        url = ground.server.url(database)
        _store(url, calls, "old")
        first = _reconcile(ground, database)
        _store(url, calls, "new")
        return [first, _reconcile(ground, database), _reconcile(ground, database, "--full")]


def _store(url: str, calls: int, which: str) -> None:
    """In a process of its own: the memory of what is measured begins with that of its parent."""
    subprocess.run([sys.executable, "-m", "bench.reconcile", url, str(calls), which], check=True)


def main(url: str, calls: int, which: str) -> None:
    """All records of a world but the newest, or these."""
    (setting,) = [one for one in worlds.WORLDS if one.name == "redials and forwarding"]
    world = worlds.make(setting, calls, 1)
    last = len(world.records) - NEW
    first, end = (0, last) if which == "old" else (last, None)
    store(url, world, first=first, last=end)


def _reconcile(ground: Ground, database: str, *options: str) -> Figures:
    output, peak_mb = ground.callweave(database, "reconcile", *options, "--json")
    document = json.loads(output)
    return document["records"], document["seconds"], peak_mb, " ".join(["callweave reconcile", *options, "--json"])


def _line(name: str, figures: Figures) -> list[str]:
    records, seconds, megabytes, command = figures
    return [name, f"{records:,}", f"{seconds:.1f}", f"{records / seconds:,.0f}", f"{megabytes:.0f}", command]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
