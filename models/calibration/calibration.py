"""What is known of two accounts together: clock, densities, tables, habits, shares. Learnt, and stored."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from models.calibration.blocks import MINUTE, Rows, Stamps
from models.calibration.clock import STILL, Track
from models.calibration.columns import DIRECTIONS, OUTCOMES, Floats, Ints
from models.calibration.density import Gaps
from models.calibration.habits import prior

BAND = 120.0
"""Seconds by which two starts of one call may differ after the clock."""
FARTHEST = 40_000.0
"""Seconds by which lengths or ends may differ."""
LAGS = np.array([0, 2, 5, 10, 20, 40, 80, 160.0])
"""Seconds: bins of how soon another call of a block follows."""
ZONES = np.array([5.0, 10, 20, 40, 80, 1e9])
"""Seconds: zones of start gaps beside the middle one, which is as wide as starts scatter; each of them must be
corroborated by itself."""
WORDS = 3 * len(OUTCOMES)
"""An outcome with whether its length is 0, above 0 or not known."""
STAGES = 4
"""Ways in which rows that are left over may be one call."""
MOST_LINES = 500
DESIGN = 2
"""Of what is stored."""


class Shares(NamedTuple):
    """How many of an account's calls the other one holds, by line and direction; `usual` by direction alone."""

    keys: Ints
    values: Floats
    usual: Floats

    def of(self, rows: Rows) -> Floats:
        keys = line_keys(rows)
        if not self.keys.size:
            return self.usual[rows.direction]
        place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[place] == keys, self.values[place], self.usual[rows.direction])


def zones(gap: Floats, spread: float) -> Ints:
    """The zone of each start gap; the middle one has the number `ZONES.size`."""
    middle = float(np.clip(2.5 * spread, 2.0, ZONES[0]))
    outwards = np.where(np.abs(gap) <= middle, 0, 1 + np.searchsorted(ZONES, np.abs(gap)))
    found: Ints = outwards * np.sign(gap).astype(np.int64) + ZONES.size
    return found


def line_keys(rows: Rows) -> Ints:
    return (rows.own >> 2) * 4 + rows.direction


def half(share: float = 0.5) -> Shares:
    return Shares(np.empty(0, np.int64), np.empty(0), np.full(len(DIRECTIONS), share))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of the right account B against the left one A. `support` 0: no sign that they hold the same calls."""

    track: Track = STILL
    support: int = 0
    spread: float = 5.0
    """Seconds within which two in three of the start gaps lie."""
    readings: tuple[str, str] = ("total", "total")
    """The reading of lengths that agrees best, of either account."""
    stamps: tuple[Stamps, Stamps] = (Stamps(), Stamps())
    """How either account writes the starts of its calls."""
    has_ends: bool = False
    """Both write ends: one clock error of the call, or one of each moment, are then two readings of one evidence."""
    starts: Gaps = field(default_factory=lambda: Gaps.learnt(BAND + 1, np.empty(0), np.empty(0)))
    lengths: Gaps = field(default_factory=lambda: Gaps.learnt(FARTHEST, np.empty(0), np.empty(0)))
    ends: Gaps = field(default_factory=lambda: Gaps.learnt(FARTHEST, np.empty(0), np.empty(0)))
    drawn: Floats = field(default_factory=lambda: np.zeros((2, 44)))
    outcomes: Floats = field(default_factory=lambda: np.zeros((WORDS, WORDS)))
    """Nats: both words of one call, against each drawn by itself."""
    direction: Floats = field(default_factory=lambda: np.zeros(2))
    line: Floats = field(default_factory=lambda: np.zeros(2))
    """Nats: another one, the same."""
    rates: Floats = field(default_factory=lambda: np.full((2, LAGS.size - 1), 1e-4))
    """Other calls of a block a second, by whether the earlier one talked, and lag."""
    habits: tuple[Floats, Floats] = field(default_factory=lambda: (prior(), prior()))
    shares: tuple[Shares, Shares] = field(default_factory=lambda: (half(), half()))
    barred: tuple[int, ...] = ()
    """Zones of start gaps in which nothing corroborates that rows are one call: a follow-up by rule, say."""
    leftover: Floats = field(default_factory=lambda: np.full(STAGES, 1e-4))
    """Other rows a second that are left over, by stage."""
    rounding: tuple[int, int] = (1, 1)
    """The seconds that each account rounds durations to."""

    @property
    def coarse(self) -> tuple[bool, bool]:
        """Whether either account writes starts in whole minutes, or coarser."""
        return self.stamps[0].coarse, self.stamps[1].coarse

    @property
    def is_prior(self) -> bool:
        return self.support == 0

    def to_json(self) -> dict[str, Any]:
        return {
            "design": DESIGN,
            "track": self.track.to_json(),
            "support": self.support,
            "spread": round(self.spread, 3),
            "readings": list(self.readings),
            "stamps": [list(one) for one in self.stamps],
            "rounding": list(self.rounding),
            "has_ends": self.has_ends,
            "starts": self.starts.to_json(),
            "lengths": self.lengths.to_json(),
            "ends": self.ends.to_json(),
            "barred": list(self.barred),
            "habits": [_short(one) for one in self.habits],
            "shares": [[one.keys.tolist(), _short(one.values), _short(one.usual)] for one in self.shares],
        } | {name: _short(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Calibration":
        """One of another design says nothing that could be used: a prior."""
        if value.get("design") != DESIGN:
            return cls()
        arrays = {name: np.array(value[name], float) for name in _ARRAYS}
        return cls(
            track=Track.from_json(value["track"]),
            support=value["support"],
            spread=value["spread"],
            readings=(value["readings"][0], value["readings"][1]),
            stamps=_two([Stamps(*one) for one in value.get("stamps", [])] or _stamps_of_old(value["coarse"])),
            rounding=(value["rounding"][0], value["rounding"][1]),
            has_ends=value["has_ends"],
            starts=Gaps.from_json(BAND + 1, value["starts"]),
            lengths=Gaps.from_json(FARTHEST, value["lengths"]),
            ends=Gaps.from_json(FARTHEST, value["ends"]),
            barred=tuple(value["barred"]),
            habits=_two([np.array(one, float) for one in value["habits"]]),
            shares=_two([_shares(one) for one in value["shares"]]),
            **arrays,
        )

    @property
    def stored(self) -> "Calibration":
        """As it comes back from where it is kept: decisions must not depend on which of the two made them."""
        return Calibration.from_json(self.to_json())


def moved(old: Calibration, new: Calibration) -> str | None:
    """In what the new calibration differs by more than its step; None where the old one may stand."""
    if old.is_prior or new.is_prior:
        return "they hold the same calls" if old.is_prior and not new.is_prior else None
    return _clock_moved(old, new) or _habits_moved(old, new)


def _clock_moved(old: Calibration, new: Calibration) -> str | None:
    moments = np.concatenate([old.track.knots, new.track.knots])
    if (shift := float(np.abs(old.track.at(moments) - new.track.at(moments)).max())) > max(0.5, old.spread / 2):
        return f"the clock moved by {shift:.1f} s"
    if not 1 / 1.5 < new.spread / old.spread < 1.5:
        return f"the spread went from {old.spread:.1f} to {new.spread:.1f} s"
    return None


def _habits_moved(old: Calibration, new: Calibration) -> str | None:
    if (new.readings, new.has_ends, new.stamps) != (old.readings, old.has_ends, old.stamps):
        return "times or durations are counted in another way"
    if new.barred != old.barred:
        return "other start gaps are no sign of one call"
    if max(_apart(*both) for both in zip(old.habits, new.habits, strict=True)) > HABIT_STEP:
        return "an account writes several rows of a call in another way"
    return "learnt from many more pairs" if new.support > 1.3 * old.support else None


def _apart(old: Floats, new: Floats) -> float:
    """Nats by which the odds of a habit moved, at most."""
    odds = [np.log(one / (1 - one)) for one in (np.clip(old, 0.01, 0.99), np.clip(new, 0.01, 0.99))]
    return float(np.abs(odds[0] - odds[1]).max())


HABIT_STEP = 0.7
"""Nats by which the odds of a habit must move."""
_ARRAYS = ("drawn", "outcomes", "direction", "line", "rates", "leftover")


def _shares(value: Any) -> Shares:
    return Shares(np.array(value[0], np.int64), np.array(value[1], float), np.array(value[2], float))


def _stamps_of_old(coarse: list[bool]) -> list[Stamps]:
    """As calibrations of before kept it: whether starts stand on whole minutes."""
    return [Stamps(MINUTE if one else 1) for one in coarse]


def _two(values: list[Any]) -> Any:
    return values[0], values[1]


def _short(values: Floats) -> Any:
    """Four digits: finer than what is learnt."""
    if values.ndim > 1:
        return [_short(row) for row in values]
    return [float(f"{value:.4g}") for value in values]
