"""Precision, recall and F1 of record pairs, per pair of providers."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.calibration.columns import Ints, Records
from models.calibration.neighbours import near


@dataclass(frozen=True)
class Score:
    right: int
    said: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.said + self.true) if self.said + self.true else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.right + other.right, self.said + other.said, self.true + other.true)


def score(records: Records, truth: Ints, found: Ints) -> dict[tuple[int, int], Score]:
    """`truth` and `found` name the real call of each record; pairs are of different accounts."""
    accounts = np.unique(records["account"])
    return {(int(a), int(b)): _pair(records, truth, found, int(a), int(b)) for a, b in combinations(accounts, 2)}


def _pair(records: Records, truth: Ints, found: Ints, one: int, other: int) -> Score:
    left, right = (np.flatnonzero(records["account"] == account) for account in (one, other))
    true, said = (set(_pairs(group[left] + 1, group[right] + 1)) for group in (truth, found))
    return Score(len(true & said), len(said), len(true))


def _pairs(left: Ints, right: Ints) -> list[tuple[int, int]]:
    i, j = near((left, right), (np.zeros_like(left), np.zeros_like(right)), 0)
    return list(zip(i.tolist(), j.tolist(), strict=True))


def total(scores: dict[tuple[int, int], Score]) -> Score:
    return sum(scores.values(), Score(0, 0, 0))
