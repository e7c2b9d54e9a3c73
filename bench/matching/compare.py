"""Every world by Callweave and by its peers, as one table; floors that a test holds too."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench import peers, report
from bench.ground import Ground
from bench.matching import measure, worlds
from bench.matching.measure import Score
from bench.matching.peers import PINNED, best_rule, best_splink
from bench.matching.worlds import World
from models.matching.decide import decide
from models.matching.learning import learn
from models.matching.legs import legs

CALLS = 20_000
SEED = 11
FLOORS = {
    "clean": (0.9995, 0.998),
    "skewed clocks": (0.9995, 0.998),
    "redials and forwarding": (0.9995, 0.998),
    "drifting clock": (0.999, 0.997),
    "an hour off": (0.999, 0.997),
    "times to the minute": (0.999, 0.98),
    "hidden numbers": (0.999, 0.98),
    "all together": (0.998, 0.97),
}
"""Precision of what was decided, and F1."""
HEADINGS = (
    "world",
    "records",
    "precision",
    "recall",
    "F1",
    "ambiguous",
    "by pair (F1)",
    "best N rule F1",
    "Splink 5 F1",
)


class Result(NamedTuple):
    pairs: dict[tuple[int, int], Score]
    ambiguous: float
    """Share of records that are left undecided, their rivals named."""

    @property
    def total(self) -> Score:
        return measure.total(self.pairs)


def recognise(world: World) -> Result:
    """The real calls of a world, learnt from nothing but its records."""
    records = world.records
    root = legs(records).root
    accounts = range(len(world.setting.habits))
    found = decide(records, {pair: learn(records, root, pair) for pair in combinations(accounts, 2)})
    scores = measure.score(records, world.truth, found.call)
    return Result(scores, np.unique(found.rivals[0]).size / len(records))


def missed(world: World, result: Result) -> list[str]:
    precision, f1 = FLOORS[world.setting.name]
    total = result.total
    return [
        f"matching, {world.setting.name}: {name} {value:.5f}, at least {floor} wanted"
        for name, value, floor in (("precision", total.precision, precision), ("F1", total.f1, f1))
        if value < floor
    ]


def run(_ground: Ground) -> list[str]:
    rows, lines = [], []
    splink = _splink()
    for setting in worlds.WORLDS:
        world = worlds.make(setting, CALLS, SEED)
        result = recognise(world)
        rule, limit = best_rule(world)
        peer = splink(world)
        lines += missed(world, result)
        lines += [
            f"matching, {setting.name}: a peer is better" for f1 in (rule.f1, peer or 0.0) if f1 > result.total.f1
        ]
        rows.append(
            _row(world, result, f"{rule.f1:.4f} (N={limit})", f"{peer:.4f}" if peer is not None else "not known")
        )
    report.show("Recognising the same call, precision of what was decided", HEADINGS, rows)
    return lines


def _splink() -> Callable[[World], float | None]:
    """Splink's best F1; None where it cannot be installed, with the reason said once."""
    try:
        peers.install(PINNED)
    except peers.PeerUnavailable as reason:
        print(f"Splink could not be installed: {reason}\n")
        return lambda _: None
    return lambda world: best_splink(world).f1


def _row(world: World, result: Result, rule: str, splink: str) -> list[str]:
    total = result.total
    pairs = " ".join(f"{score.f1:.4f}" for score in result.pairs.values())
    figures = [f"{value:.5f}" for value in (total.precision, total.recall, total.f1)]
    return [world.setting.name, f"{len(world.records):,}", *figures, f"{result.ambiguous:.2%}", pairs, rule, splink]
