"""Other ways to the same end: a rule with a fixed tolerance, at its best, and Splink, at its best threshold."""

import csv
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench import peers
from bench.matching.measure import Score
from bench.matching.worlds import World
from models.calibration.columns import NO_TIME, SECOND, Ints, lengths, pair_keys
from models.calibration.neighbours import near
from models.matching.legs import mutual_nearest

TOLERANCES = (1, 2, 3, 5, 10, 20, 30, 45, 60, 70, 90, 120, 180, 300, 600, 1800, 3700)
"""Seconds."""
PINNED = "splink==5.*"
SCRIPT = Path(__file__).with_name("peer_splink.py")

Pairs = tuple[Ints, Ints, Ints]
"""Positions left and right, and how bad the pair is, smaller is better."""


def best_rule(world: World) -> tuple[Score, int]:
    """The same two numbers within N seconds, the nearest to each other, with the N that gives the best F1."""
    scores = {limit: _scored(world, list(_within(world, limit))) for limit in TOLERANCES}
    best = max(scores, key=lambda limit: scores[limit].f1)
    return scores[best], best


def _within(world: World, limit: int) -> Iterator[Pairs]:
    records = world.records
    keys, started = pair_keys(records), records["started"]
    for one, other in combinations(np.unique(records["account"]), 2):
        left, right = (np.flatnonzero(records["account"] == account) for account in (one, other))
        i, j = near((keys[left], keys[right]), (started[left], started[right]), limit * SECOND)
        distance = np.abs(started[left[i]] - started[right[j]])
        yield left[i], right[j], distance


def _scored(world: World, found: list[Pairs]) -> Score:
    said = right = 0
    for pairs in found:
        left, other = mutual_nearest(*pairs)
        said += left.size
        right += int((world.truth[left] == world.truth[other]).sum())
    return Score(right, said, true_pairs(world))


def true_pairs(world: World) -> int:
    """Pairs of records of different accounts that are one call."""
    accounts = world.records["account"]
    total = 0
    for one, other in combinations(np.unique(accounts), 2):
        size = int(world.truth.max()) + 1
        counts = [np.bincount(world.truth[accounts == account], minlength=size) for account in (one, other)]
        total += int((counts[0] * counts[1]).sum())
    return total


def best_splink(world: World) -> Score:
    """Over all thresholds. Raises `peers.PeerUnavailable`."""
    peers.install(PINNED)
    with TemporaryDirectory(prefix="cw-splink-") as folder:
        records, pairs = Path(folder) / "records.csv", Path(folder) / "pairs.csv"
        _write(world, records)
        done = subprocess.run(
            [peers.PYTHON, SCRIPT, records, pairs], check=False, capture_output=True, text=True, cwd=folder
        )
        if done.returncode:
            raise SystemExit(f"bench: Splink failed: {done.stderr[-2000:]}")
        return _best_threshold(world, pairs)


def _write(world: World, file: Path) -> None:
    records, known = world.records, lengths(world.records)
    pair = pair_keys(records)
    length = np.where(np.isnan(known["duration"]), known["total"], known["duration"])
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["unique_id", "source", "started", "length", "outcome", "direction", "own", "remote", "pair"])
        for i, record in enumerate(records):
            assert record["started"] != NO_TIME
            hidden = not record["remote"]
            writer.writerow(
                [
                    i,
                    world.names[record["account"]],
                    record["started"] / SECOND,
                    "" if np.isnan(length[i]) else length[i],
                    record["outcome"],
                    record["direction"],
                    record["own"],
                    "" if hidden else record["remote"],
                    "" if hidden else pair[i],
                ]
            )


def _best_threshold(world: World, file: Path) -> Score:
    with file.open() as opened:
        rows = [
            (int(row["unique_id_l"]), int(row["unique_id_r"]), float(row["match_weight"]))
            for row in csv.DictReader(opened)
        ]
    left, right, weight = (np.array(column) for column in zip(*rows, strict=True))
    accounts = world.records["account"]
    swap = accounts[left] > accounts[right]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    badness = np.rint(-weight * 1e6).astype(np.int64)
    kept = [
        mutual_nearest(left[chosen], right[chosen], badness[chosen])
        for chosen in (
            accounts[left] * 8 + accounts[right] == pair for pair in np.unique(accounts[left] * 8 + accounts[right])
        )
    ]
    place = {pair: weight[i] for i, pair in enumerate(zip(left.tolist(), right.tolist(), strict=True))}
    chosen = [
        (place[pair], world.truth[pair[0]] == world.truth[pair[1]])
        for a, b in kept
        for pair in zip(a.tolist(), b.tolist(), strict=True)
    ]
    ordered = sorted(chosen, reverse=True)
    right_so_far = np.cumsum([is_right for _, is_right in ordered])
    true = true_pairs(world)
    scores = [Score(int(found), said, true) for said, found in enumerate(right_so_far, 1)]
    return max(scores, key=lambda score: score.f1)
