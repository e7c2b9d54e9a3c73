"""Zones of start gaps, each of which must be corroborated by itself: else a call that a rule of one system always makes
half a minute after one of the other would be learnt as a second way to be one call.
"""

from typing import NamedTuple

import numpy as np

from models.calibration.calibration import ZONES, Calibration, zones
from models.calibration.columns import Bools, Floats, Ints
from models.calibration.corroboration import agreement
from models.matching.links import Links, Sides
from models.matching.segmentation import Posteriors

ENOUGH = 20
"""Pairs in a zone from which on it has to be corroborated."""
FEW = 5
SURE = 0.9


class Round(NamedTuple):
    """What is seen in a round of learning."""

    sides: Sides
    links: Links
    said: Posteriors
    known: Calibration

    @property
    def zone(self) -> Ints:
        return zones(self.links.gap, self.known.spread)


def barred(seen: Round) -> tuple[int, ...]:
    """Zones in which nothing corroborates that rows are one call.

    All that stand there and have no better partner are asked, not only those believed: these agree because they were
    chosen.
    """
    zone = seen.zone
    many = np.bincount(zone[seen.said.link > 0.5], minlength=2 * ZONES.size + 1) >= ENOUGH
    asked = [number for number in np.flatnonzero(many).tolist() if number != ZONES.size]
    return tuple(number for number in asked if not _is_corroborated(seen, zone == number))


def trusted(zone: Ints, weight: Floats) -> Bools:
    """Links in the middle zone, and in those that hold enough pairs to have been asked for corroboration."""
    held = np.bincount(zone, weight, 2 * ZONES.size + 1)
    found: Bools = (held[zone] >= ENOUGH) | (zone == ZONES.size)
    return found


def _is_corroborated(seen: Round, here: Bools) -> bool:
    links, sides = seen.links, seen.sides
    elsewhere = np.where(here, 0.0, seen.said.link)
    free_a, free_b = (
        np.bincount(first, elsewhere, len(rows)) < 0.5 for first, rows in ((links.i, sides.a), (links.j, sides.b))
    )
    single = (links.p == 1) & (links.q == 1)
    at = np.flatnonzero(here & single & free_a[links.i] & free_b[links.j])
    at = at[np.unique(links.i[at], return_index=True)[1]]
    at = at[np.unique(links.j[at], return_index=True)[1]]
    return at.size < ENOUGH or agreement(sides.a, sides.b, links.i[at], links.j[at]) is not None


def spread(gap: Floats, weight: Floats, equal: Bools) -> float:
    """Half the width in which two in three of the start gaps lie, of calls whose lengths agree where there are some."""
    chosen = equal & (weight > SURE) if (equal & (weight > SURE)).sum() >= FEW else weight > 0.5
    if not chosen.any():
        return 5.0
    low, high = np.quantile(gap[chosen], [0.16, 0.84])
    return max(float(high - low) / 2, 0.1)
