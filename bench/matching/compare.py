"""Every world by Callweave and by its peers, as one table; floors that a test holds too."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench import peers, report
from bench.ground import Ground
from bench.matching import logs, measure, phenomena, worlds
from bench.matching.measure import Score
from bench.matching.peers import PINNED, best_rule, best_splink
from bench.matching.worlds import World
from models.calibration.blocks import own_lines
from models.calibration.columns import Records
from models.matching.closed import Closed
from models.matching.decide import Decision, decide
from models.matching.learn import Material, learn

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
CALLS_OF_A_TROUBLE = 3_000
USUAL = (0.9995, 0.998)
TROUBLES = {
    "a third shared, follow-ups after 30 s": (0.998, 0.998),
    "a third shared, follow-ups after 1 to 8 s": (0.97, 0.98),
    "ring groups": (0.9995, 0.99),
    "failed routes": (0.999, 0.996),
    "failed routes and redials": (0.999, 0.996),
    "queues": (0.999, 0.998),
    "two legs": (0.9995, 0.994),
    "a crowded main line": (0.999, 0.998),
    "local presence": (0.999, 0.998),
    "late starts": (0.999, 0.998),
    "whole minutes": (0.999, 0.996),
    "quarter hours": (0.998, 0.3),
}
"""Precision and F1 where they are not the usual ones; where nothing is shared, nothing may be said."""
LOGS = {"groups": (549, 540, 0), "legs": (480, 465, 1)}
"""Calls that stand, at most; real ones seen in both systems, at least; groups that mix calls, at most."""
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


def decided(records: Records) -> Decision:
    """The real calls of records, learnt from nothing but them."""
    accounts = np.unique(records["account"]).tolist()
    lines = own_lines(records)
    known = {pair: learn(Material.of(records, pair, lines)) for pair in combinations(accounts, 2)}
    return decide(Closed(records, known, lines))


def recognise(world: World) -> Result:
    found = decided(world.records)
    scores = measure.score(world.records, world.truth, found.call)
    return Result(scores, np.unique(found.rivals[0]).size / len(world.records))


def missed(world: World, result: Result) -> list[str]:
    precision, f1 = FLOORS[world.setting.name]
    total = result.total
    return [
        f"matching, {world.setting.name}: {name} {value:.5f}, at least {floor} wanted"
        for name, value, floor in (("precision", total.precision, precision), ("F1", total.f1, f1))
        if value < floor
    ]


def missed_trouble(world: World, result: Result) -> list[str]:
    precision, f1 = TROUBLES.get(world.setting.name, USUAL)
    total = result.total
    if not total.true:
        return [f"matching, {world.setting.name}: {total.said} pairs where no call is shared"] if total.said else []
    return [
        f"matching, {world.setting.name}: {name} {value:.5f}, at least {floor} wanted"
        for name, value, floor in (("precision", total.precision, precision), ("F1", total.f1, f1))
        if value < floor
    ]


def missed_log(log: logs.Log, found: logs.Counted) -> list[str]:
    stand, seen, mixed = LOGS[log.name]
    return [
        f"matching, log {log.name}: {what}, wanted {wanted}"
        for what, wanted, holds in (
            (f"{found.stand} calls", f"at most {stand}", found.stand <= stand),
            (f"{found.seen} seen in both", f"at least {seen}", found.seen >= seen),
            (f"{found.mixed} mixed", f"at most {mixed}", found.mixed <= mixed),
        )
        if not holds
    ]


def run(_ground: Ground) -> list[str]:
    splink = _splink()
    return _run_worlds(splink) + _run_troubles(splink) + _run_logs()


def _run_troubles(splink: Callable[[World], float | None]) -> list[str]:
    rows, lines = [], []
    for trouble in phenomena.TROUBLES:
        world = phenomena.make(trouble, CALLS_OF_A_TROUBLE, SEED)
        result = recognise(world)
        lines += missed_trouble(world, result)
        if result.total.true:
            rule, limit = best_rule(world)
            peer = splink(world)
            others = f"{rule.f1:.4f} (N={limit})", f"{peer:.4f}" if peer is not None else "not known"
        else:
            others = "", ""
        rows.append(_row(world, result, *others))
    report.show("One trouble each", HEADINGS, rows)
    return lines


def _run_logs() -> list[str]:
    rows, lines = [], []
    for name in logs.LOGS:
        log = logs.load(name)
        found = logs.counted(log, decided(log.records).call)
        lines += missed_log(log, found)
        rows.append([name, f"{len(log.records):,}", *(str(value) for value in found)])
    report.show("Two exchanges' real logs", ("log", "records", "calls", "stand as", "seen in both", "mixed"), rows)
    return lines


def _run_worlds(splink: Callable[[World], float | None]) -> list[str]:
    rows, lines = [], []
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
