"""Probability densities of time differences, learnt from examples and leaning on a prior where there are few."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.matching.records import Floats, Ints

EDGES = 2.0 * np.sinh(np.linspace(-8.25, 8.25, 111))
"""Seconds: bins of a third of a second at nought, of minutes beyond an hour."""
WIDTHS = np.diff(EDGES)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
FLAT = 0.002
"""Of every density so much lies evenly over the range: no single difference decides for ever."""
_SMOOTH = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0


@dataclass(frozen=True, slots=True)
class Density:
    """Per second, by bin of `EDGES`."""

    values: Floats

    def log(self, differences: Floats) -> Floats:
        return np.log(self.values)[bins(differences)]

    @classmethod
    def learnt(cls, differences: Floats, weights: Floats, prior: "Density", strength: float = 20.0) -> "Density":
        """From weighted examples; the prior counts as `strength` more."""
        counts = np.bincount(bins(differences), weights, WIDTHS.size)
        smoothed = np.convolve(counts / WIDTHS, _SMOOTH, "same") * WIDTHS
        mass = smoothed + strength * prior.values * WIDTHS
        return cls._of(mass / mass.sum())

    @classmethod
    def laplace(cls, scale: float) -> "Density":
        """Around nought, with `scale` as the mean absolute difference, seconds."""
        half = 0.5 * np.exp(-np.abs(EDGES) / scale)
        below = np.where(EDGES < 0, half, 1.0 - half)
        return cls._of(np.diff(below))

    @classmethod
    def mixed(cls, one: "Density", other: "Density") -> "Density":
        return cls((one.values + other.values) / 2)

    @classmethod
    def _of(cls, mass: Floats) -> "Density":
        even = WIDTHS / WIDTHS.sum()
        return cls(((1.0 - FLAT) * mass + FLAT * even) / WIDTHS)

    def to_json(self) -> list[float]:
        return [float(f"{value:.4g}") for value in self.values]

    @classmethod
    def from_json(cls, values: Any) -> "Density":
        return cls(np.array(values, float))


def bins(differences: Floats) -> Ints:
    return np.clip(np.searchsorted(EDGES, differences, "right") - 1, 0, WIDTHS.size - 1)
