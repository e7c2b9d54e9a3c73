"""How one account's clock stands against another's: an offset that may drift, jump or be whole hours wrong.

Learnt from the start gaps of candidates, of which up to half may be wrong: the right ones agree with each other and
with their neighbours in time, the wrong ones with nobody. The best path of offsets through time is found exactly, by
dynamic programming, first in minutes over ±14 hours, then in seconds around that.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.matching.records import SECOND, Chosen, Floats, Ints

ZONE = 14.5 * 3600
"""Seconds: no two time zones lie further apart than a mistake and a half."""
QUARTER = 900.0
ZONE_SLACK = 150.0
"""Seconds by which a clock may be wrong on top of its time zone."""
FEWEST = 30
"""Sure pairs without which nothing is learnt."""
PER_SEGMENT = 60
MOST_SEGMENTS = 400
FINE = 150.0
ROUNDS = 4
_JUMP = 6.0
"""What a jump costs, in pairs: as many must agree on the new offset before it is believed."""
_DRIFT = 0.25
"""What moving on by one step costs, in pairs."""


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


def spliced(old: Track, new: Track, moment: int) -> Track:
    """The old track up to `moment`, the new one from there on."""
    before, after = old.knots < moment, new.knots > moment
    knots = np.concatenate([old.knots[before], [moment - 1, moment], new.knots[after]])
    ends = np.concatenate([old.at(np.array([moment - 1])), new.at(np.array([moment]))])
    return Track(knots, np.concatenate([old.offsets[before], ends, new.offsets[after]]))


class Gaps(NamedTuple):
    """Start gaps of candidates in order of time: when by the right clock, how long in seconds, how much each counts."""

    moments: Ints
    seconds: Floats
    weights: Floats

    def only(self, chosen: Chosen) -> "Gaps":
        return Gaps(self.moments[chosen], self.seconds[chosen], self.weights[chosen])


class Learnt(NamedTuple):
    track: Track
    spread: float
    """Seconds from the track within which two in three of the right pairs lie."""
    support: float
    """How many pairs agree with the track, beyond what chance would bring."""


def learn(gaps: Gaps) -> Learnt | None:
    """The track that most candidates agree with; None where too few do."""
    if gaps.seconds.size < FEWEST:
        return None
    gaps = gaps.only(np.argsort(gaps.moments, kind="stable"))
    segments = _segments(gaps)
    coarse = _with_jumps(gaps, _path(gaps, segments, STILL, _Search(ZONE, 60.0, 1.0)))
    near = gaps.only(np.abs(gaps.seconds - coarse.at(gaps.moments)) <= FINE)
    if near.weights.sum() < FEWEST:
        return None
    width = _core(near.seconds - coarse.at(near.moments), _segments(near))
    track = _with_jumps(near, _path(near, _segments(near), coarse, _Search(FINE, 1.0, max(width, 1.0))))
    for _ in range(ROUNDS):
        track = _refined(near, track, width)
        width = _core(near.seconds - track.at(near.moments), _segments(near, width))
    return _judged(near, _simplified(track, _error(near, width)))


def _segments(gaps: Gaps, width: float = 1.0) -> Ints:
    """The segment of each gap: stretches of time with about as many candidates each, more where they scatter more."""
    each = PER_SEGMENT * np.clip(width, 1.0, 8.0)
    count = int(np.clip(gaps.seconds.size // each, 1, MOST_SEGMENTS))
    return np.arange(gaps.seconds.size) * count // max(gaps.seconds.size, 1)


class _Search(NamedTuple):
    """How far around a track, in what steps, and how many steps wide gaps of one offset scatter; seconds."""

    reach: float
    step: float
    width: float


def _path(gaps: Gaps, segments: Ints, around: Track, search: _Search) -> Track:
    """The best offsets around a track, by segment: histograms of each, and the way through them that holds most."""
    step, steps = search.step, int(search.reach / search.step)
    state = np.rint((gaps.seconds - around.at(gaps.moments)) / step).astype(np.int64) + steps
    inside = (state >= 0) & (state <= 2 * steps)
    shape = (int(segments[-1]) + 1, 2 * steps + 1)
    held = np.bincount(segments[inside] * shape[1] + state[inside], gaps.weights[inside], shape[0] * shape[1])
    moments = np.array([gaps.moments[segments == i].mean() for i in range(shape[0])], np.int64)
    best = _best_path(_blurred(held.astype(float).reshape(shape), search.width))
    return Track(moments, around.at(moments) + (best - steps) * step)


def _blurred(held: Floats, width: float) -> Floats:
    """Each histogram under a bell of the given width in bins, whose top is one."""
    half = int(np.ceil(3 * width))
    bell = np.exp(-0.5 * (np.arange(-half, half + 1) / max(width, 0.5)) ** 2)
    return np.array([np.convolve(row, bell, "same")[: row.size] for row in held])


def _best_path(held: Floats) -> Ints:
    """The state of each segment on the path whose histograms hold most, less what its moves cost."""
    ramp = _DRIFT * np.arange(held.shape[1])
    total, came = held[0], []
    for row in held[1:]:
        up, down = _running_best(total + ramp), _running_best((total + ramp[::-1])[::-1])
        down = held.shape[1] - 1 - down[::-1]
        reached = np.stack([total[up] + ramp[up] - ramp, total[down] - ramp[down] + ramp])
        origin = np.where(reached[0] >= reached[1], up, down)
        value = reached.max(axis=0)
        jumps = value < total.max() - _JUMP
        came.append(np.where(jumps, total.argmax(), origin))
        total = row + np.where(jumps, total.max() - _JUMP, value)
    path = [int(total.argmax())]
    for origin in reversed(came):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1], np.int64)


def _running_best(values: Floats) -> Ints:
    """The position of the greatest value so far."""
    best = np.maximum.accumulate(values)
    return np.maximum.accumulate(np.where(values >= best, np.arange(values.size), 0))


def _core(residuals: Floats, segments: Ints) -> float:
    """Half the shortest stretch that holds half of a segment's residuals near the track; the median of segments."""
    return float(np.median([_shortest_half(np.sort(residuals[segments == i])) for i in range(int(segments[-1]) + 1)]))


def _shortest_half(values: Floats) -> float:
    values = values[np.abs(values - np.median(values)) <= FINE]
    half = max(values.size // 2, 1)
    return max(float((values[half:] - values[: values.size - half]).min()) / 2, 0.1) if values.size > 1 else FINE


def _refined(gaps: Gaps, track: Track, width: float) -> Track:
    """Each knot moved to the middle of what lies near the track around it."""
    residuals = gaps.seconds - track.at(gaps.moments)
    near = np.abs(residuals) <= max(4.0 * width, 5.0)
    if near.sum() < FEWEST // 2:
        return track
    kept, residuals = gaps.only(near), residuals[near]
    segments = _segments(kept, width)
    middles = [float(np.median(residuals[segments == i])) for i in range(int(segments[-1]) + 1)]
    moments = np.array([kept.moments[segments == i].mean() for i in range(len(middles))], np.int64)
    return _with_jumps(kept, Track(moments, track.at(moments) + middles))


def _with_jumps(gaps: Gaps, track: Track) -> Track:
    """Two knots, side by side, where the offset jumps: at the moment that parts the gaps best."""
    knots, offsets = [track.knots[:1]], [track.offsets[:1]]
    for i in range(1, track.knots.size):
        if abs(track.offsets[i] - track.offsets[i - 1]) > QUARTER / 2:
            moment = _parting(gaps, track, i)
            knots.append(np.array([moment, moment + 1]))
            offsets.append(track.offsets[i - 1 : i + 1])
        knots.append(track.knots[i : i + 1])
        offsets.append(track.offsets[i : i + 1])
    return Track(np.concatenate(knots), np.concatenate(offsets))


def _parting(gaps: Gaps, track: Track, i: int) -> int:
    between = (gaps.moments >= track.knots[i - 1]) & (gaps.moments <= track.knots[i])
    before, after = (np.abs(gaps.seconds[between] - track.offsets[k]) for k in (i - 1, i))
    if not before.size:
        return int(track.knots[i - 1])
    return int(gaps.moments[between][np.cumsum(np.sign(after - before)).argmax()])


def _error(gaps: Gaps, width: float) -> float:
    """How far a segment's median lies from the truth by chance, at most: three standard errors."""
    return 0.1 + 3 * 2 * width / float(np.sqrt(np.bincount(_segments(gaps, width)).mean()))


def _simplified(track: Track, tolerance: float) -> Track:
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


def _judged(gaps: Gaps, track: Track) -> Learnt | None:
    residuals = np.abs(gaps.seconds - track.at(gaps.moments))
    near = np.sort(residuals[residuals <= FINE])
    spread = _spread(near)
    agreeing = gaps.weights[residuals <= max(3 * spread, 2.0)].sum()
    chance = gaps.weights[(residuals > FINE / 2) & (residuals <= FINE)].sum() * max(3 * spread, 2.0) / (FINE / 2)
    support = float(agreeing - min(chance, agreeing))
    return Learnt(track, spread, support) if support >= FEWEST * 0.8 else None


def _spread(near: Floats) -> float:
    """Two in three of the distances, once an even background is taken off."""
    background = (near > FINE / 2).sum() * 2.0
    right = max(near.size - background, near.size * 0.2)
    return float(max(near[int(min(right * 0.68, near.size - 1))], 0.2))
