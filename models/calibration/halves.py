"""Clocks of twelve hours that do not write which half of the day they mean.

Such an account's starts all lie in one half of the day, whatever the other account's do. For matching each of them
stands where the other account has a call of the same party: as written, or half a day from there.
"""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Keys, Rows, Stamps, rows_of
from models.calibration.calibration import BAND
from models.calibration.clock import Track
from models.calibration.columns import SECOND, Bools, Floats, Ints, Records

HALF = 12 * 3600.0
"""Seconds."""
_DAY = 2 * HALF
_LEAST_GAP = 11 * 3600.0
"""Seconds of a day without a start: half a day, less the hour by which clocks are changed."""
_ENOUGH, _ELSEWHERE = 50, 0.1
"""Starts that show it, and the share of the other account's that fall into the gap."""


def lost_half(records: Records, own: Ints, other: Ints) -> bool:
    """Whether the starts of one account lie in one half of the day only, and those of the other one do not."""
    if own.size < _ENOUGH or other.size < _ENOUGH:
        return False
    hours = np.sort(records["started"][own] / SECOND % _DAY)
    gaps = np.diff(hours, append=hours[0] + _DAY)
    widest = int(np.argmax(gaps))
    into = (records["started"][other] / SECOND - hours[widest]) % _DAY
    return bool(gaps[widest] >= _LEAST_GAP and np.mean((into > 0) & (into < gaps[widest])) > _ELSEWHERE)


def unwrapped(track: Track) -> Track:
    """The offset without the half days that morning and afternoon lie apart: less than half of one."""
    last = float(track.offsets[-1])
    base = last - HALF * np.rint(last / HALF)
    return Track(track.knots, track.offsets - HALF * np.rint((track.offsets - base) / HALF))


class _Starts(NamedTuple):
    """Of the rows of one account."""

    block: Ints
    at: Floats
    """Seconds, by the clock of both."""


def by_one_clock(
    records: Records, positions: tuple[Ints, Ints], keys: Keys, stamps: tuple[Stamps, Stamps], track: Track
) -> tuple[Rows, Rows]:
    """The rows of two accounts, both by the left one's clock, `positions` being those of their records."""
    clocks = records["started"], track.corrected(records["started"])
    starts = [_Starts(keys.block[at], clock[at] / SECOND) for at, clock in zip(positions, clocks, strict=True)]
    left, right = (
        rows_of(records, at, keys, _whole(clock, at, own, other) if stamp.half else clock, stamp)
        for at, clock, stamp, own, other in zip(positions, clocks, stamps, starts, starts[::-1], strict=True)
    )
    return left, right


def _whole(clock: Ints, at: Ints, own: _Starts, other: _Starts) -> Ints:
    """The clock with half a day added, or taken, where the other account has a call there and none as it is written."""
    as_written, later, earlier = (_meets(own, other, shift) for shift in (0.0, HALF, -HALF))
    shift = np.where(as_written, 0.0, np.where(later, HALF, np.where(earlier, -HALF, 0.0)))
    whole = clock.copy()
    whole[at] += np.rint(shift * SECOND).astype(np.int64)
    return whole


def _meets(own: _Starts, other: _Starts, shift: float) -> Bools:
    """Whether the other account has a call of the same block about `shift` seconds later."""
    ranks = np.unique(np.concatenate([own.block, other.block]), return_inverse=True)[1]
    origin = min(own.at.min(initial=0.0), other.at.min(initial=0.0)) - _DAY
    x = ranks[: own.at.size] * 1e10 + own.at - origin + shift
    y = np.sort(ranks[own.at.size :] * 1e10 + other.at - origin)
    found: Bools = np.searchsorted(y, x + BAND, "right") > np.searchsorted(y, x - BAND, "left")
    return found
