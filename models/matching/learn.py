"""Learning of two accounts: clock, then rounds of segmentation and counting (expectation maximisation).

Nothing is learnt where nothing corroborates that the two hold the same calls.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Keys, Rows, Stamps, block_keys, rows_of, step_of_starts
from models.calibration.calibration import Calibration
from models.calibration.clock import Track, simplified
from models.calibration.columns import SECOND, Floats, Ints, Records
from models.calibration.corroboration import Agreement, agreement, mutual
from models.calibration.durations import rounding
from models.calibration.halves import HALF, by_one_clock, lost_half, unwrapped
from models.calibration.offsets import WIDTHS, Found, find
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
LONG, ALONE, MANY_MORE = 60.0, 0.25, 1.3
"""Seconds of a long call; where these are alone so much more often than others, starts are read as ends; what is to be
gained by it.
"""
NEARLY = 0.9
"""Of half a day, and of the pairs: a clock that does not jump so far and brings as many together is the better one."""
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
    stamps: tuple[Stamps, Stamps]
    sampled: float = 1.0
    """The share of all telephone numbers that the records were chosen by."""

    @classmethod
    def of(cls, records: Records, pair: tuple[int, int], lines: Ints, sampled: float = 1.0) -> "Material":
        left, right = (np.flatnonzero(records["account"] == one) for one in pair)
        keys = Keys(block_keys(records, lines), family(records))
        stamps = Stamps(step_of_starts(records, left)), Stamps(step_of_starts(records, right))
        return cls(records, keys, left, right, lines, stamps, sampled)

    def stamped(self, *stamps: Stamps) -> "Material":
        """The same where the starts of the two accounts are read in another way."""
        one, other = stamps
        return self._replace(stamps=(one, other))

    def otherwise(self) -> Iterator["Material"]:
        """The same where the starts of either account are read as the ends of its calls."""
        one, other = self.stamps
        yield self.stamped(one, other._replace(at_end=True))
        yield self.stamped(one._replace(at_end=True), other)

    def halved(self) -> Iterator["Material"]:
        """The same where an account's starts may have lost which half of the day they mean."""
        one, other = self.stamps
        if lost_half(self.records, self.right, self.left):
            yield self.stamped(one, other._replace(half=True))
        if lost_half(self.records, self.left, self.right):
            yield self.stamped(one._replace(half=True), other)

    def rows(self) -> tuple[Rows, Rows]:
        """The rows of both accounts, each by its own clock."""
        return (
            rows_of(self.records, self.left, self.keys, stamps=self.stamps[0]),
            rows_of(self.records, self.right, self.keys, stamps=self.stamps[1]),
        )

    def sides(self, track: Track) -> Sides:
        """By one clock, without rows of storms: they teach nothing, and are many."""
        a, b = by_one_clock(self.records, (self.left, self.right), self.keys, self.stamps, track)
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
    material, seen = _as_stamped(material)
    if seen is None:
        return Calibration(stamps=material.stamps).stored
    a, b = material.rows()
    known = Calibration(
        track=seen.clock.track,
        readings=seen.agreed.readings,
        support=seen.i.size,
        stamps=material.stamps,
        rounding=(rounding(a.duration), rounding(b.duration)),
    )
    return _settled(material, seen.sides, first_guess(seen.sides, seen.i, seen.j, known)).stored


def _as_stamped(material: Material) -> tuple[Material, Seen | None]:
    """With the starts of one account read in another way, where more comes together so, or nearer."""
    best, seen = material, shared(material)
    tries = list(material.halved())
    if seen is None or seen.clock.width > WIDTHS[0] or _long_ones_are_alone(seen):
        tries += material.otherwise()
    for tried in tries:
        found = shared(tried)
        if found is not None and (seen is None or _is_better(found, seen)):
            best, seen = tried, found
    return best, seen


def _is_better(found: Seen, seen: Seen) -> bool:
    nearer = found.clock.width < seen.clock.width and found.i.size >= seen.i.size
    wander = float(np.ptp(seen.clock.track.offsets) - np.ptp(found.clock.track.offsets))
    steadier = wander > NEARLY * HALF and found.i.size > NEARLY * seen.i.size
    return nearer or steadier or found.i.size > MANY_MORE * seen.i.size


def _long_ones_are_alone(seen: Seen) -> bool:
    """Whether calls with a length find partners far less often than those without: as where starts are ends."""
    rows = seen.sides.a
    paired, is_long = np.zeros(len(rows), bool), np.nan_to_num(rows.duration) > LONG
    paired[seen.i] = True
    if not is_long.any() or is_long.all():
        return False
    return bool(paired[is_long].mean() < ALONE * paired[~is_long].mean())


def shared(material: Material) -> Seen | None:
    """None where no offset of the clocks stands out, or what stands by it does not agree in lengths and outcomes."""
    a, b = material.rows()
    clock = find(a, b) if len(a) and len(b) else None
    if clock is None:
        return None
    if any(stamp.half for stamp in material.stamps):
        clock = clock._replace(track=unwrapped(clock.track))
    sides = material.sides(clock.track)
    i, j = mutual(sides.a, sides.b, max(clock.width, NEAREST))
    agreed = agreement(sides.a, sides.b, i, j)
    return None if agreed is None else Seen(clock, sides, i, j, agreed)


def stands(material: Material, known: Calibration) -> bool:
    """Whether newer records bear out what is known: the clock, or that there is no sign of holding the same calls."""
    seen = shared(material.stamped(*known.stamps))
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
