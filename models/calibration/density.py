"""Learnt densities: of a gap in seconds, fine near nought and coarse far off, and of lengths drawn by themselves."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.calibration.columns import Bools, Floats, Ints

UNIT = 0.1
"""Seconds: the finest bins."""
_SMOOTH = [0.2, 0.6, 0.2]


def edges_of(reach: float) -> Floats:
    top = np.arcsinh(reach / UNIT)
    return np.sinh(np.linspace(-top, top, 2 * int(top / 0.2) + 1)) * UNIT


@dataclass(frozen=True, slots=True)
class Gaps:
    """Log density per second, by bin of `edges_of(reach)`."""

    reach: float
    log: Floats

    def __call__(self, gap: Floats) -> Floats:
        edges = edges_of(self.reach)
        found: Floats = self.log[np.clip(np.searchsorted(edges, np.nan_to_num(gap)) - 1, 0, self.log.size - 1)]
        return found

    def quantile(self, share: float) -> float:
        edges = edges_of(self.reach)
        held = np.cumsum(np.exp(self.log) * np.diff(edges))
        return float(edges[min(int(np.searchsorted(held / held[-1], share)), self.log.size - 1)])

    @classmethod
    def learnt(cls, reach: float, gap: Floats, weight: Floats, strength: float = 8.0) -> "Gaps":
        """From weighted examples, and a prior around them with heavy tails that counts as `strength` examples."""
        known = np.isfinite(gap) & (weight > 1e-4)
        gap, weight, edges = gap[known], weight[known], edges_of(reach)
        width, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
        centre, spread = _middle(gap, weight) if weight.sum() > 1 else (0.0, 1.0)
        narrow = np.exp(-np.abs(middle - centre) / spread / 1.5) * width
        wide = width / (1 + ((middle - centre) / (5 * spread)) ** 2)
        assumed = 0.85 * narrow / narrow.sum() + 0.14 * wide / wide.sum() + 0.01 * width / width.sum()
        place = np.clip(np.searchsorted(edges, gap) - 1, 0, width.size - 1)
        count = np.convolve(np.bincount(place, weight, width.size), _SMOOTH, "same")
        return cls(reach, np.log((count + strength * assumed) / (count.sum() + strength) / width))

    def to_json(self) -> list[float]:
        return [float(f"{value:.5g}") for value in self.log]

    @classmethod
    def from_json(cls, reach: float, values: Any) -> "Gaps":
        return cls(reach, np.array(values, float))


def _middle(gap: Floats, weight: Floats) -> tuple[float, float]:
    """Median, and the width of the middle half as a standard deviation."""
    order = np.argsort(gap)
    share = np.cumsum(weight[order])
    place = np.minimum(np.searchsorted(share, np.array([0.25, 0.5, 0.75]) * share[-1]), gap.size - 1)
    low, centre, high = gap[order][place]
    return float(centre), max(float(high - low) / 1.35, UNIT)


LENGTHS = np.concatenate([[0.0], np.geomspace(1.0, 40_000.0, 44)])
"""Seconds: bins of lengths."""


def drawn(length: Floats, talked: Bools) -> Floats:
    """Log density per second of lengths above 0 drawn by themselves: by [without talk, with talk] and bin."""
    counts = [
        np.convolve(np.bincount(_bin(length[(talked == kind) & (length > 0)]), minlength=44), [0.25, 0.5, 0.25], "same")
        for kind in (False, True)
    ]
    return np.array([np.log((count + 0.5) / (count + 0.5).sum() / np.diff(LENGTHS)) for count in counts])


def drawn_at(table: Floats, length: Floats, talked: Bools) -> Floats:
    found: Floats = table[talked.astype(int), _bin(length)]
    return found


def _bin(length: Floats) -> Ints:
    return np.clip(np.searchsorted(LENGTHS, np.nan_to_num(length), "right") - 1, 0, 43)
