"""Clocks of twelve hours that do not write which half of the day they mean.

Such an account's starts all lie in one half of the day, whatever the other account's do. For matching each of them
stands where the other account has a call of the same party: as written, or half a day from there.
"""

import numpy as np

from models.calibration.blocks import Keys, Rows, Stamps, near, rows_of
from models.calibration.calibration import BAND
from models.calibration.clock import Track
from models.calibration.columns import SECOND, Bools, Ints, Records

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


def by_one_clock(
    records: Records, positions: tuple[Ints, Ints], keys: Keys, stamps: tuple[Stamps, Stamps], track: Track
) -> tuple[Rows, Rows]:
    """The rows of two accounts, both by the left one's clock, `positions` being those of their records."""
    clocks = records["started"], track.corrected(records["started"])
    left, right = (
        rows_of(records, at, keys, clock, stamp) for at, clock, stamp in zip(positions, clocks, stamps, strict=True)
    )
    return (
        rows_of(records, positions[0], keys, _whole(clocks[0], left, right), stamps[0]) if stamps[0].half else left,
        rows_of(records, positions[1], keys, _whole(clocks[1], right, left), stamps[1]) if stamps[1].half else right,
    )


def _whole(clock: Ints, own: Rows, other: Rows) -> Ints:
    """The clock with half a day added, or taken, where the other account has a call there and none as it is written."""
    as_written, later, earlier = (_meets(own, other, shift) for shift in (0.0, HALF, -HALF))
    shift = np.where(as_written, 0.0, np.where(later, HALF, np.where(earlier, -HALF, 0.0)))
    whole = clock.copy()
    whole[own.at] += np.rint(shift * SECOND).astype(np.int64)
    return whole


def _meets(own: Rows, other: Rows, shift: float) -> Bools:
    """Whether the other account has a call of the same block about `shift` seconds later."""
    found = np.zeros(len(own), bool)
    found[near(own, other, shift - BAND, shift + BAND)[0]] = True
    return found
