"""The rows of one account in the order of blocks and time, and how each may go on with the one before it.

A block holds the rows of one other party. Between two neighbours of a block stands a *junction*: its class says how the
later row begins (together with the earlier one, inside it, or after a pause of some length), whether either talked, and
whether both name the same line of ours. -1: they are never one call.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.calibration.columns import NO_TIME, SECOND, TALKED, Bools, Chosen, Floats, Ints, Records, spread_hash

TOGETHER = 1.2
"""Seconds within which two rows begin together."""
INSIDE = 1.5
"""Seconds before the end so far: a row that begins earlier than that begins inside."""
PAUSES = np.array([1.5, 4.0, 9.0, 20.0, 45.0, 120.0, 400.0, 900.0])
"""Seconds: the classes of pauses within a call, none longer than the last."""
TOGETHER_KIND, JOINING, INSIDE_KIND, FIRST_PAUSE = range(4)
"""A row begins with the one before it; inside it, soon or up to its end; elsewhere inside it; after a pause."""
KINDS = FIRST_PAUSE + PAUSES.size
SOON, SAME_END = 20.0, 3.0
"""Seconds after the call's first row, and of the end so far: a leg begins or ends so, another call seldom."""
CLASSES = 8 * KINDS
LONGEST = 4 * 3600.0
"""Seconds: of a row that claims more, the length is not used."""
MINUTE = 60
COARSE = (3600, 1800, 900, 600, 300)
"""Seconds of clocks that are coarser than a minute, the coarsest first."""
MOSTLY, NEARLY_ALL, FEW = 0.5, 0.9, 20
"""Shares of starts on whole minutes, and on a coarser step; fewer starts than these show no coarser one."""
STORM, STORM_REACH = 24, 60.0
"""More rows of a block than this within so many seconds either way are taken singly."""


@dataclass(frozen=True, slots=True)
class Rows:
    """By position in the order of (block, start); times in seconds since 2000, NaN where not known."""

    at: Ints
    """The position of each row's record."""
    block: Ints
    start: Floats
    end: Floats
    talk: Floats
    """0 for calls without talk."""
    duration: Floats
    known_end: Bools
    own: Ints
    remote: Ints
    direction: Ints
    outcome: Ints
    family: Ints
    """Rows of one family are one call, by the provider's own word or a person's."""
    junction: Ints
    certain: Bools
    """Of one family with the row before it."""
    storm: Bools

    def __len__(self) -> int:
        return self.at.size

    @property
    def talked(self) -> Bools:
        return TALKED[self.outcome]

    @property
    def total(self) -> Floats:
        return np.where(self.known_end, self.end - self.start, np.nan)

    def reading(self, name: str) -> Floats:
        """`total`, `talk` or `duration`, seconds."""
        found: Floats = getattr(self, name)
        return found

    def only(self, chosen: Chosen) -> "Rows":
        """Some of them, in the same order; junctions are left as they are."""
        return Rows(*(getattr(self, name)[chosen] for name in self.__slots__))


def step_of_starts(records: Records, chosen: Ints) -> int:
    """The seconds on whose multiples starts stand: 1, or of a coarse clock 60 and more: within them is no order."""
    if not chosen.size or _standing_on(MINUTE, records, chosen) <= MOSTLY:
        return 1
    if chosen.size < FEW:
        return MINUTE
    return next((step for step in COARSE if _standing_on(step, records, chosen) > NEARLY_ALL), MINUTE)


def _standing_on(step: int, records: Records, chosen: Ints) -> float:
    return float(np.mean(records["started"][chosen] % (step * SECOND) == 0))


class Keys(NamedTuple):
    """Of each record, its block and its family."""

    block: Ints
    family: Ints


class Stamps(NamedTuple):
    """How an account writes the starts of its calls."""

    step: int = 1
    """The seconds on whose multiples they stand."""
    at_end: bool = False
    """They are the ends of the calls."""
    half: bool = False
    """They are put into the half of the day in which the other account has the call: one of them does not write it."""

    @property
    def coarse(self) -> bool:
        return self.step >= MINUTE


AS_THEY_ARE = Stamps()


def rows_of(
    records: Records, chosen: Ints, keys: Keys, started: Ints | None = None, stamps: Stamps = AS_THEY_ARE
) -> Rows:
    """The rows at the positions `chosen`, an agent's own ends of calls left out.

    `keys` are of all records; `started` are the starts by another clock, in microseconds. Of an account with coarse
    `stamps` only rows of one family may be one call: when they follow each other, it cannot say.
    """
    chosen = chosen[records["client"][chosen] == 0]
    by_clock = records["started"] if started is None else started
    begun = by_clock - np.maximum(records["duration"], 0).astype(np.int64) * SECOND if stamps.at_end else by_clock
    chosen = chosen[np.lexsort((records["external"][chosen], begun[chosen], keys.block[chosen]))]
    part, shift = records[chosen], by_clock[chosen] - records["started"][chosen]
    start = begun[chosen] / SECOND
    duration = np.where(part["duration"] >= 0, part["duration"].astype(float), np.nan)
    ended = _seconds(part["ended"], shift)
    end = np.fmin(np.fmax(np.where(np.isnan(ended), start + np.nan_to_num(duration), ended), start), start + LONGEST)
    talk = np.where(TALKED[part["outcome"]], np.maximum(ended - _seconds(part["answered"], shift), 0), 0.0)
    rows = Rows(
        at=chosen,
        block=keys.block[chosen],
        start=start,
        end=end,
        talk=talk,
        duration=duration,
        known_end=~np.isnan(ended) | stamps.at_end,
        own=part["own"],
        remote=part["remote"],
        direction=part["direction"].astype(np.int64),
        outcome=part["outcome"].astype(np.int64),
        family=keys.family[chosen],
        junction=np.full(chosen.size, -1),
        certain=np.zeros(chosen.size, bool),
        storm=np.zeros(chosen.size, bool),
    )
    return _with_junctions(replace(rows, storm=_storms(rows)), coarse=stamps.coarse)


def merged(a: Rows, b: Rows) -> Rows:
    """The rows of both in one order, by one clock; junctions are left as they are."""
    both = Rows(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in Rows.__slots__))
    return both.only(np.lexsort((both.start, both.block)))


def _seconds(moments: Ints, shift: Ints) -> Floats:
    known = moments != NO_TIME
    return np.where(known, (np.where(known, moments, 0) + shift) / SECOND, np.nan)


def _storms(rows: Rows) -> Bools:
    keys = places(rows.block, rows.start)
    around = np.searchsorted(keys, keys + STORM_REACH, "right") - np.searchsorted(keys, keys - STORM_REACH, "left")
    found: Bools = around > STORM
    return found


def _with_junctions(rows: Rows, *, coarse: bool) -> Rows:
    if len(rows) < 2:
        return rows
    same_block = rows.block[1:] == rows.block[:-1]
    calm = same_block & ~rows.storm[1:] & ~rows.storm[:-1]
    certain = calm & (rows.family[1:] == rows.family[:-1])
    until = ends_so_far(rows)[:-1]
    pause, lag = rows.start[1:] - until, rows.start[1:] - rows.start[:-1]
    may = calm & (rows.direction[1:] == rows.direction[:-1]) & (pause <= PAUSES[-1]) & (not coarse)
    kind = FIRST_PAUSE + np.searchsorted(PAUSES, pause).clip(max=PAUSES.size - 1)
    joins = (lag <= SOON) | (np.abs(rows.end[1:] - until) <= SAME_END)
    kind = np.where(pause < -INSIDE, np.where(joins, JOINING, INSIDE_KIND), kind)
    kind = np.where(lag <= TOGETHER, TOGETHER_KIND, kind)
    talked, same_line = rows.talked.astype(int), (rows.own[1:] == rows.own[:-1]).astype(int)
    junction = ((kind * 2 + talked[:-1]) * 2 + talked[1:]) * 2 + same_line
    first = np.array([-1])
    return replace(
        rows,
        junction=np.concatenate([first, np.where(may | certain, junction, -1)]),
        certain=np.concatenate([first == 0, certain]),
    )


def ends_so_far(rows: Rows) -> Floats:
    """Of each row, the latest end in its block up to it."""
    rank = np.cumsum(np.concatenate([[0], rows.block[1:] != rows.block[:-1]]))
    origin, span = rows.start.min(initial=0.0), 1e10
    found: Floats = np.maximum.accumulate(rank * span + rows.end - origin) - rank * span + origin
    return found


def places(block: Ints, start: Floats) -> Floats:
    """One rising key of (block, start) for rows in that order; blocks lie too far apart to meet."""
    rank = np.cumsum(np.concatenate([[0], block[1:] != block[:-1]])) if block.size else block
    return rank * 1e10 + start


def own_lines(records: Records) -> Ints:
    """Our own numbers, as the records name them."""
    lines: Ints = np.setdiff1d(records["own"], [0])
    return lines


def block_keys(records: Records, lines: Ints) -> Ints:
    """The other party's number; both numbers where that is a line of ours too; our own line where it is hidden."""
    remote, own = records["remote"], records["own"]
    both = spread_hash(spread_hash(np.minimum(remote, own)) + np.maximum(remote, own))
    inside = np.isin(remote, lines) & (remote != 0)
    return np.where(remote == 0, spread_hash(own + 7), np.where(inside, both, remote))


def near(left: Rows, right: Rows, low: float, high: float) -> tuple[Ints, Ints]:
    """Positions of all pairs of one block of which the right row begins `low` to `high` seconds after the left one."""
    if not len(left) or not len(right):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ranks = np.unique(np.concatenate([left.block, right.block]), return_inverse=True)[1]
    origin = min(left.start.min(), right.start.min())
    x = ranks[: len(left)] * 1e10 + left.start - origin
    y = ranks[len(left) :] * 1e10 + right.start - origin
    order = np.argsort(y, kind="stable")
    first, last = np.searchsorted(y[order], x + low, "left"), np.searchsorted(y[order], x + high, "right")
    count = np.maximum(last - first, 0)
    inner = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(left)), count), order[np.repeat(first, count) + inner]
