"""What is known of two accounts together: their clocks, how they count, how often both see a call. Learnt or prior."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.matching.candidates import REACH, Rule
from models.matching.clock import STILL, Track
from models.matching.density import Density
from models.matching.measures import ANY, Measure
from models.matching.records import DIRECTIONS, OPEN, OUTCOMES, TALKED, Floats
from models.vocabulary import Direction

LAGS = np.array([0.0, 1, 2, 4, 8, 15, 30, 60, 120, 180, 240, REACH])
"""Seconds: bins of how soon another call of the same numbers follows or went before."""
PRIOR_SPREAD = 5.0
PRIOR_COVERAGE = 0.5
PRIOR_CHANCE = 1e-4
"""Other calls of the same numbers a second, near a call."""
PRIOR_FORWARDED = 0.03
"""Of the calls seen on both sides so many went through another number of ours."""
MOST = 4.0
"""Nats that a single word, outcome or direction, may say for or against."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of the right account against the left."""

    track: Track
    spread: float
    support: int
    """Pairs it was learnt from; 0 for the prior."""
    starts: dict[Rule, Density]
    """Start gaps of the same call, by rule."""
    chance: dict[Rule, Floats]
    """Different calls of the same key a second, by `LAGS`."""
    coverage: tuple[float, float]
    """Share of the left account's calls that the right one holds, and the other way round."""
    forwarded: float
    measure: Measure
    same: tuple[Density, Density]
    """Differences of the measure for the same call: nobody talked, somebody did."""
    different: tuple[Density, Density]
    outcome: Floats
    direction: Floats
    """Log-likelihood ratios of two words, left by right."""
    rounding: tuple[int, int] = (1, 1)
    """The seconds that each side rounds durations to."""

    @property
    def is_prior(self) -> bool:
        return self.support == 0

    @property
    def own_reach(self) -> float:
        """Three spreads."""
        return float(np.clip(3.0 * self.spread, 1.0, 90.0))

    def to_json(self) -> dict[str, Any]:
        return {
            "track": self.track.to_json(),
            "spread": self.spread,
            "support": self.support,
            "starts": {rule: density.to_json() for rule, density in self.starts.items()},
            "chance": {rule: _rounded(rates) for rule, rates in self.chance.items()},
            "coverage": [round(share, 4) for share in self.coverage],
            "forwarded": round(self.forwarded, 4),
            "measure": list(self.measure),
            "same": [density.to_json() for density in self.same],
            "different": [density.to_json() for density in self.different],
            "outcome": [_rounded(row) for row in self.outcome],
            "direction": [_rounded(row) for row in self.direction],
            "rounding": list(self.rounding),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Calibration":
        def densities(name: str) -> Any:
            return tuple(Density.from_json(one) for one in value[name])

        return cls(
            track=Track.from_json(value["track"]),
            spread=value["spread"],
            support=value["support"],
            starts={Rule(rule): Density.from_json(one) for rule, one in value["starts"].items()},
            chance={Rule(rule): np.array(rates, float) for rule, rates in value["chance"].items()},
            coverage=(value["coverage"][0], value["coverage"][1]),
            forwarded=value["forwarded"],
            measure=Measure(*value["measure"]),
            same=densities("same"),
            different=densities("different"),
            outcome=np.array(value["outcome"], float),
            direction=np.array(value["direction"], float),
            rounding=(value["rounding"][0], value["rounding"][1]),
        )

    def with_track(self, track: Track) -> "Calibration":
        return replace(self, track=track).stored

    @property
    def stored(self) -> "Calibration":
        """As it comes back from where it is kept: decisions must not depend on which of the two made them."""
        return Calibration.from_json(self.to_json())


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def prior(spread: float = PRIOR_SPREAD) -> Calibration:
    """What is assumed where too little was seen: clocks that agree, and ordinary habits."""
    start = Density.laplace(spread)
    # Both count alike, or one counts the ringing too.
    length = Density.mixed(Density.laplace(2.0), Density.laplace(20.0))
    late = Density.laplace(3 * spread)
    chance = np.full(LAGS.size - 1, PRIOR_CHANCE)
    return Calibration(
        track=STILL,
        spread=spread,
        support=0,
        starts={Rule.NUMBERS: start, Rule.REMOTE: late, Rule.OWN: start},
        chance={Rule.NUMBERS: chance, Rule.REMOTE: chance, Rule.OWN: 20 * chance},
        coverage=(PRIOR_COVERAGE, PRIOR_COVERAGE),
        forwarded=PRIOR_FORWARDED,
        measure=ANY,
        same=(length, length),
        different=(Density.laplace(30.0), Density.laplace(120.0)),
        outcome=prior_outcome(),
        direction=prior_direction(),
    )


def prior_outcome() -> Floats:
    """Words of one kind speak for one call, words of two kinds against it; an open one says nothing."""
    kind = TALKED.astype(int)
    agree = np.where(kind[:, None] == kind[None, :], 0.5, -1.5)
    agree[np.eye(len(OUTCOMES), dtype=bool)] = 1.0
    said = ~OPEN[:, None] & ~OPEN[None, :]
    return np.where(said, agree, 0.0)


def prior_direction() -> Floats:
    """The same direction is usual, the mirrored one is not rare between two systems of our own."""
    agree = np.where(np.eye(len(DIRECTIONS), dtype=bool), 0.4, -1.5)
    unknown = np.array([word is Direction.UNKNOWN for word in DIRECTIONS])
    return np.where(unknown[:, None] | unknown[None, :], 0.0, agree)


def moved(old: Calibration, new: Calibration) -> str | None:
    """In what the new calibration differs by more than its step; None where the old one may stand."""
    if old.is_prior != new.is_prior:
        return "learnt from enough pairs" if old.is_prior else "too few pairs are left"
    step = max(0.5, old.spread / 2)
    moments = np.concatenate([old.track.knots, new.track.knots])
    if (shift := float(np.abs(old.track.at(moments) - new.track.at(moments)).max())) > step:
        return f"the clock moved by {shift:.1f} s"
    if not 1 / 1.5 < new.spread / old.spread < 1.5:
        return f"the spread went from {old.spread:.1f} to {new.spread:.1f} s"
    if new.measure != old.measure or new.rounding != old.rounding:
        return "durations are counted in another way"
    return "learnt from more than twice the pairs" if new.support > 2 * old.support else None
