"""How one account's clock stands against another's: an offset that may drift, step or be whole hours wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.calibration.columns import SECOND, Floats, Ints

QUARTER = 900.0
ZONE_SLACK = 150.0
"""Seconds by which a clock may be wrong on top of its time zone."""


@dataclass(frozen=True, slots=True)
class Track:
    """The offset of the right clock over the left one, seconds, at knots of the right clock; linear in between."""

    knots: Ints
    offsets: Floats

    def at(self, moments: Ints) -> Floats:
        return np.interp(moments, self.knots, self.offsets)

    def corrected(self, moments: Ints) -> Ints:
        """The right account's times by the left account's clock, microseconds."""
        return moments - np.rint(self.at(moments) * SECOND).astype(np.int64)

    @property
    def largest(self) -> float:
        return float(np.abs(self.offsets).max())

    @property
    def zone(self) -> float:
        """Seconds of whole quarter-hours that the offset is wrong by most of the time; 0 for an honest clock."""
        middle = float(np.median(self.offsets))
        nearest = round(middle / QUARTER) * QUARTER
        return nearest if abs(middle - nearest) <= ZONE_SLACK else 0.0

    def to_json(self) -> dict[str, Any]:
        return {"knots": self.knots.tolist(), "offsets": [round(float(offset), 3) for offset in self.offsets]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Track":
        return cls(np.array(value["knots"], np.int64), np.array(value["offsets"], float))


STILL = Track(np.zeros(1, np.int64), np.zeros(1))


def simplified(track: Track, tolerance: float) -> Track:
    """Without the knots that say nothing beyond what chance moves them by."""
    kept = {0, track.knots.size - 1}
    stretches = [(0, track.knots.size - 1)]
    while stretches:
        first, last = stretches.pop()
        if last - first < 2:
            continue
        inner = np.arange(first + 1, last)
        line = np.interp(track.knots[inner], track.knots[[first, last]], track.offsets[[first, last]])
        away = np.abs(track.offsets[inner] - line)
        if away.max() > tolerance:
            middle = int(inner[away.argmax()])
            kept.add(middle)
            stretches += [(first, middle), (middle, last)]
    chosen = np.array(sorted(kept))
    offsets = track.offsets
    if np.ptp(offsets) <= tolerance:
        return Track(track.knots[:1], np.median(offsets, keepdims=True))
    return Track(track.knots[chosen], offsets[chosen])
