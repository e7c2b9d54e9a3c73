"""A million records reconciled from nothing, a thousand new ones among them, and how time and memory grow."""

import json

from bench import report
from bench.ground import Ground
from bench.matching import worlds
from bench.matching.stored import store
from bench.matching.worlds import World

RECORDS = 1_000_000
PER_CALL = 2.35
"""Records that three providers make of a real call here."""
NEW = 1_000
FEWER = 5
MOST_SECONDS, MOST_SECONDS_NEW, MOST_MB = 40.0, 2.0, 400.0
HEADINGS = ("", "records", "seconds", "records a second", "peak MB", "command")


def run(ground: Ground) -> list[str]:
    (setting,) = [one for one in worlds.WORLDS if one.name == "redials and forwarding"]
    small = worlds.make(setting, int(RECORDS / FEWER / PER_CALL), 1)
    few = _measured(ground, small)
    del small
    many = _measured(ground, worlds.make(setting, int(RECORDS / PER_CALL), 1))
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


def _measured(ground: Ground, world: World) -> list[Figures]:
    last = len(world.records) - NEW
    with ground.migrated() as database:
        url = ground.server.url(database)
        store(url, world, last=last)
        first = _reconcile(ground, database)
        store(url, world, first=last)
        return [first, _reconcile(ground, database), _reconcile(ground, database, "--full")]


def _reconcile(ground: Ground, database: str, *options: str) -> Figures:
    output, peak_mb = ground.callweave(database, "reconcile", *options, "--json")
    document = json.loads(output)
    return document["records"], document["seconds"], peak_mb, " ".join(["callweave reconcile", *options, "--json"])


def _line(name: str, figures: Figures) -> list[str]:
    records, seconds, megabytes, command = figures
    return [name, f"{records:,}", f"{seconds:.1f}", f"{records / seconds:,.0f}", f"{megabytes:.0f}", command]
