"""Learning of two accounts: clock, then rounds of segmentation and counting (expectation maximisation).

Nothing is learnt where nothing corroborates that the two hold the same calls.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Keys, Rows, block_keys, rows_of, step_of_starts
from models.calibration.calibration import Calibration
from models.calibration.clock import Track, simplified
from models.calibration.columns import SECOND, Floats, Ints, Records
from models.calibration.corroboration import Agreement, agreement, mutual
from models.calibration.durations import rounding
from models.calibration.offsets import Found, find
from models.matching.counting import counted, first_guess
from models.matching.gap_zones import SURE, Round
from models.matching.leftovers import rates
from models.matching.legs import family
from models.matching.links import Sides, links, weigh
from models.matching.segmentation import beside, solve

ROUNDS = 15
SETTLED = 0.01
"""No habit moves by more between two rounds."""
EARLY = 3
"""Rounds in which the clock is refined; at least one more is made."""
ENOUGH_FOR_CLOCK = 30
WINDOW = 41
"""Sure pairs whose median is the clock, at most."""
NEAREST = 6.0
"""Seconds about the clock within which rows nearest to each other are asked whether they agree, at least."""


class Material(NamedTuple):
    """What is learnt from: records, and the positions of the two accounts."""

    records: Records
    keys: Keys
    left: Ints
    right: Ints
    lines: Ints
    """Our own numbers."""
    sampled: float = 1.0
    """The share of all telephone numbers that the records were chosen by."""

    @classmethod
    def of(cls, records: Records, pair: tuple[int, int], lines: Ints, sampled: float = 1.0) -> "Material":
        left, right = (np.flatnonzero(records["account"] == one) for one in pair)
        keys = Keys(block_keys(records, lines), family(records))
        return cls(records, keys, left, right, lines, sampled)

    @property
    def steps(self) -> tuple[int, int]:
        return step_of_starts(self.records, self.left), step_of_starts(self.records, self.right)

    def rows(self, track: Track | None = None) -> tuple[Rows, Rows]:
        """The rows of both accounts, by the left one's clock where one is given."""
        started = self.records["started"] if track is None else track.corrected(self.records["started"])
        return (
            rows_of(self.records, self.left, self.keys, coarse=self.steps[0] >= 60),
            rows_of(self.records, self.right, self.keys, started, coarse=self.steps[1] >= 60),
        )

    def sides(self, track: Track) -> Sides:
        """Without rows of storms: they teach nothing, and are many."""
        a, b = self.rows(track)
        return Sides.of(a.only(~a.storm), b.only(~b.storm))


class Seen(NamedTuple):
    """That two accounts hold the same calls: by which clock, and which rows agree in which lengths."""

    clock: Found
    sides: Sides
    i: Ints
    j: Ints
    agreed: Agreement


def learn(material: Material) -> Calibration:
    """What is known of the two accounts; that nothing is, where they show no sign of holding the same calls."""
    seen = shared(material)
    if seen is None:
        return Calibration(steps=material.steps).stored
    a, b = material.rows()
    known = Calibration(
        track=seen.clock.track,
        readings=seen.agreed.readings,
        support=seen.i.size,
        steps=material.steps,
        rounding=(rounding(a.duration), rounding(b.duration)),
    )
    return _settled(material, seen.sides, first_guess(seen.sides, seen.i, seen.j, known)).stored


def shared(material: Material) -> Seen | None:
    """None where no offset of the clocks stands out, or what stands by it does not agree in lengths and outcomes."""
    a, b = material.rows()
    clock = find(a, b) if len(a) and len(b) else None
    if clock is None:
        return None
    sides = material.sides(clock.track)
    i, j = mutual(sides.a, sides.b, max(clock.width, NEAREST))
    agreed = agreement(sides.a, sides.b, i, j)
    return None if agreed is None else Seen(clock, sides, i, j, agreed)


def stands(material: Material, known: Calibration) -> bool:
    """Whether newer records bear out what is known: the clock, or that there is no sign of holding the same calls."""
    seen = shared(material)
    if seen is None:
        return True
    knots = seen.clock.track.knots
    apart = np.abs(seen.clock.track.at(knots) - known.track.at(knots))
    return not known.is_prior and float(apart.max()) <= seen.clock.width + 2 * known.spread


def _settled(material: Material, sides: Sides, known: Calibration) -> Calibration:
    seen = _round(sides, known)
    for turn in range(ROUNDS):
        track = refined(seen) if turn < EARLY else None
        if track is not None:
            seen = _round(material.sides(track), replace(seen.known, track=track))
        known = counted(seen)
        moved = max(float(np.abs(new - old).max()) for new, old in zip(known.habits, seen.known.habits, strict=True))
        seen = _again(seen, known)
        if turn > EARLY and moved < SETTLED:
            break
    return replace(seen.known, leftover=_leftover(material, seen))


def _round(sides: Sides, known: Calibration) -> Round:
    found = links(sides)
    return Round(sides, found, solve(sides, found, weigh(sides, found, known), known), known)


def _again(seen: Round, known: Calibration) -> Round:
    said = solve(seen.sides, seen.links, weigh(seen.sides, seen.links, known), known)
    return seen._replace(said=said, known=known)


def _leftover(material: Material, seen: Round) -> Floats:
    """How many rows of each stage are left over a second; of all numbers, not only those that are learnt from."""
    links_, sides = seen.links, seen.sides
    alone = (
        beside(links_.i, links_.p, seen.said.link, len(sides.a)) < 0.5,
        beside(links_.j, links_.q, seen.said.link, len(sides.b)) < 0.5,
    )
    return rates(sides, material.lines, alone) / material.sampled


def refined(seen: Round) -> Track | None:
    """The clock by the sure pairs: their running median; None where they are few."""
    sure = np.flatnonzero(seen.said.link > SURE)
    if sure.size < ENOUGH_FOR_CLOCK:
        return None
    track, by_left = seen.known.track, seen.sides.b.start[seen.links.j[sure]] * SECOND
    # The track counts by the right account's own time: one step of its inverse is near enough.
    own = np.rint(by_left + track.at(np.rint(by_left).astype(np.int64)) * SECOND).astype(np.int64)
    order = np.argsort(own, kind="stable")
    offset, own = (seen.links.gap[sure] + track.at(own))[order], own[order]
    middle = _running_median(offset, 2 * (min(sure.size // 5, WINDOW) // 2) + 1)
    spread = float(np.median(np.abs(offset - middle))) + 0.05
    knots, first = np.unique(own, return_index=True)
    return simplified(Track(knots, middle[first]), max(0.5 * spread, 0.15))


def _running_median(values: Floats, window: int) -> Floats:
    padded = np.pad(values, window // 2, mode="edge")
    found: Floats = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    return found
