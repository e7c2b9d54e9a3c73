"""Call records as columns: what matching looks at, and nothing else.

Times are microseconds since 2000-01-01 UTC (Postgres' own count), `NO_TIME` where the provider is silent. Telephone
numbers are 64-bit keys that spellings of one line share; 0 where there is none.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import Direction, Outcome

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Records: TypeAlias = NDArray[np.void]
Chosen: TypeAlias = Ints | Bools
"""Positions, or a mask."""

SECOND = 1_000_000
NO_TIME = int(np.iinfo(np.int64).min)
OUTCOMES = list(Outcome)
DIRECTIONS = list(Direction)

COLUMNS: list[tuple[str, str]] = [
    ("id", "i8"),
    ("account", "i4"),
    ("external", "i8"),
    ("parent", "i8"),
    ("remote", "i8"),
    ("own", "i8"),
    ("started", "i8"),
    ("answered", "i8"),
    ("ended", "i8"),
    ("duration", "i4"),
    ("direction", "i4"),
    ("outcome", "i4"),
    ("client", "i4"),
]
"""Name and width; `account` counts the accounts in their order, `duration` is whole seconds or -1, `direction` and
`outcome` count the members of their vocabularies, `client` is 1 for an agent's own end of a call."""
DTYPE = np.dtype(COLUMNS)

TALKED = np.isin(OUTCOMES, [Outcome.ANSWERED, Outcome.VOICEMAIL, Outcome.FORWARDED])
OPEN = np.isin(OUTCOMES, [Outcome.IN_PROGRESS, Outcome.SCHEDULED, Outcome.UNKNOWN])


def records_of(rows: list[tuple[Any, ...]]) -> Records:
    """Records from tuples in the order of `COLUMNS`."""
    return np.array(rows, dtype=DTYPE)


def spread_hash(values: Ints) -> Ints:
    """Bits of each value mixed (Murmur's finaliser), so that sums and sorts of keys meet by chance only."""
    mixed = values.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (mixed ^ (mixed >> np.uint64(33))).astype(np.int64)


def pair_keys(records: Records) -> Ints:
    """One key per unordered pair of numbers; 0 where a number is missing."""
    remote, own = records["remote"], records["own"]
    low, high = np.minimum(remote, own), np.maximum(remote, own)
    return np.where((remote != 0) & (own != 0), spread_hash(spread_hash(low) + high) | 1, 0)


def lengths(records: Records) -> dict[str, Floats]:
    """Every reading of how long a call was, seconds, NaN where it is unknown."""
    return {
        "total": _between(records["started"], records["ended"]),
        "talk": _between(records["answered"], records["ended"]),
        "duration": np.where(records["duration"] >= 0, records["duration"], np.nan).astype(float),
    }


def ends(records: Records) -> dict[str, Ints]:
    """Every reading of when a call ended, `NO_TIME` where it is unknown."""
    derived = records["started"] + records["duration"].astype(np.int64) * SECOND
    return {"ended": records["ended"], "started + duration": np.where(records["duration"] >= 0, derived, NO_TIME)}


def _between(start: Ints, end: Ints) -> Floats:
    known = (start != NO_TIME) & (end != NO_TIME)
    seconds = np.where(known, end - start, 0) / SECOND
    return np.where(known & (seconds >= 0), seconds, np.nan)
