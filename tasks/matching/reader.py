"""Reading the records of a piece of work, and all that any of them could be one call with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from models.calibration.blocks import LONGEST, PAUSES
from models.calibration.calibration import BAND
from models.calibration.columns import SECOND, Bools, Ints, Records
from models.calibration.halves import HALF
from models.matching.closed import Closed, Known, blocks_of
from models.matching.decide import CAREFUL
from models.matching.judgements import Judgement
from models.matching.legs import LEG_REACH
from models.wording import minute
from tasks.matching.pgcopy import copy_in, copy_out
from tasks.matching.sql import BY_ID, CHILDREN, IN_RANGE, NEIGHBOURS, SPANNING, WANTED

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
ALWAYS = (EPOCH - timedelta(days=36_500), EPOCH + timedelta(days=2_800_000))
"""From before the first call until after the last."""
NONE = np.empty(0, np.int64)
MOST_ROUNDS = 20
"""Steps outwards from a piece: blocks end sooner, unless one number is called without a pause for hours."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What decisions rest on besides the records: fixed for the length of a run."""

    accounts: list[tuple[str, str]]
    """Provider and account, by their number."""
    calibrations: Known
    calibration_ids: dict[tuple[int, int], int]
    judgements: tuple[tuple[int, int, bool], ...] = ()
    """Ids of two records and whether they are one call, the newest first."""
    lines: Ints = field(default_factory=lambda: NONE)
    """Our own numbers."""
    join: float = CAREFUL
    """The probability from which records are joined."""

    @property
    def names(self) -> dict[str, list[str]]:
        """The accounts as parameters of statements; numbers count from one there."""
        return {"providers": [name for name, _ in self.accounts], "accounts": [name for _, name in self.accounts]}

    @property
    def offset(self) -> timedelta:
        """How far apart two clocks stand, at most; more where one tells ends for starts, or no half of the day."""
        learnt = [known for known in self.calibrations.values() if not known.is_prior]
        offsets = [
            known.track.largest
            + LONGEST * any(one.at_end for one in known.stamps)
            + 2 * HALF * any(one.half for one in known.stamps)
            for known in learnt
        ]
        return timedelta(seconds=max(offsets, default=0.0))

    @property
    def reach(self) -> timedelta:
        """How long a call may pause, by two clocks."""
        return timedelta(seconds=float(PAUSES[-1])) + self.offset

    @property
    def near(self) -> timedelta:
        """How far apart by their own clocks two records of one call may begin, whatever their numbers."""
        return timedelta(seconds=BAND + 3.0) + self.offset

    @property
    def distances(self) -> dict[str, timedelta]:
        """As parameters of statements."""
        longest = timedelta(seconds=LONGEST) + self.reach
        return {"reach": self.reach, "near": self.near, "longest": longest}

    def judgements_on(self, ids: Ints) -> list[Judgement]:
        """The judgements between these records, by position."""
        if not self.judgements:
            return []
        order = np.argsort(ids)
        found = []
        for left, right, same in self.judgements:
            places = np.searchsorted(ids, (left, right), sorter=order)
            ends = order[np.minimum(places, ids.size - 1)]
            if ids[ends[0]] == left and ids[ends[1]] == right:
                found.append(Judgement(int(ends[0]), int(ends[1]), same))
        return found


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time whose calls are to be decided, or some records of it."""

    since: datetime
    until: datetime
    ids: Ints | None = None
    """Only these; None for all."""

    @property
    def name(self) -> str:
        what = "all" if self.ids is None else f"{self.ids.size:,}"
        since, until = (end not in ALWAYS and minute(end) for end in (self.since, self.until))
        return " ".join([what, "calls", *(["from", since] if since else []), *(["to", until] if until else [])])


def read(connection: psycopg.Connection[Any], piece: Piece, knowledge: Knowledge) -> tuple[Records, int]:
    """The piece's own records first, then those outside that share a block with one of them; how many are its own."""
    if piece.ids is not None:
        own = _by_id(connection, piece.ids, knowledge)
        every = np.ones(len(own), bool)
        return np.concatenate([own, _outside(connection, own, (every, every), knowledge)]), len(own)
    own = numbered(copy_out(connection, IN_RANGE, knowledge.names | {"since": piece.since, "until": piece.until}))
    outside = _outside(connection, own, _edge(own, piece, knowledge), knowledge, _around(connection, piece, knowledge))
    return np.concatenate([own, outside]), len(own)


def _around(connection: psycopg.Connection[Any], piece: Piece, knowledge: Knowledge) -> Ints:
    """Outside the range: legs whose parents may lie within, and calls that last into it."""
    span = {"since": piece.since, "until": piece.until}
    children = connection.execute(CHILDREN, span | {"reach": timedelta(microseconds=LEG_REACH)}).fetchall()
    spanning = connection.execute(SPANNING, span | knowledge.distances).fetchall() if piece.since > ALWAYS[0] else []
    return np.array([id_ for (id_,) in children + spanning], np.int64)


def numbered(records: Records) -> Records:
    """Accounts counted from nought, as everywhere but in SQL."""
    records["account"] -= 1
    return records


def moment_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _edge(own: Records, piece: Piece, knowledge: Knowledge) -> tuple[Bools, Bools]:
    """Records that may belong with one outside the range; and those of them whose neighbours are to be asked for."""
    reach = knowledge.reach // timedelta(microseconds=1)
    longest = max(LEG_REACH, knowledge.distances["longest"] // timedelta(microseconds=1))
    started, ends = own["started"], (moment_of(piece.since), moment_of(piece.until))
    lasts = np.maximum(np.maximum(own["ended"], started + own["duration"].astype(np.int64) * SECOND), started)
    near = (started < ends[0] + reach) | (lasts >= ends[1] - reach)
    within_legs = (started < ends[0] + longest) | (started >= ends[1] - longest)
    judged = [id_ for judgement in knowledge.judgements for id_ in judgement[:2]]
    apart = ((own["was"] != 0) & _separated(own)) | np.isin(own["id"], judged)
    asked: Bools = near | apart | (within_legs & (own["parent"] != 0))
    edge: Bools = asked | within_legs
    return edge, asked


def _separated(own: Records) -> Bools:
    """Records whose real call so far begins outside: its smallest id is not here."""
    return ~np.isin(own["was"], own["id"])


def _outside(
    connection: psycopg.Connection[Any],
    own: Records,
    edges: tuple[Bools, Bools],
    knowledge: Knowledge,
    at_first: Ints = NONE,
) -> Records:
    """Step by step outwards from the edge, until no block that holds a record of it goes on."""
    edge, frontier = own[edges[0]], own["id"][edges[1]]
    known, outside, asked = np.unique(own["id"]), own[:0], frontier
    for _ in range(MOST_ROUNDS):
        found = np.setdiff1d(np.concatenate([_neighbours(connection, frontier, knowledge), at_first]), known)
        if not found.size:
            break
        outside = np.concatenate([outside, _by_id(connection, found, knowledge)])
        known = np.union1d(known, found)
        reached = _reached(edge, outside, knowledge)
        frontier = np.setdiff1d(outside["id"][reached], asked)
        asked = np.union1d(asked, frontier)
        if not frontier.size:
            break
    return outside[_reached(edge, outside, knowledge)] if outside.size else outside


def _reached(edge: Records, outside: Records, knowledge: Knowledge) -> Bools:
    """Which of the outside records share a block with one of the piece."""
    together = np.concatenate([edge, outside])
    judgements = knowledge.judgements_on(together["id"])
    closed = Closed(together, knowledge.calibrations, knowledge.lines, judgements)
    block = blocks_of(closed, together["was"])
    return np.isin(block[len(edge) :], block[: len(edge)])


def _neighbours(connection: psycopg.Connection[Any], ids: Ints, knowledge: Knowledge) -> Ints:
    want(connection, ids)
    rows = connection.execute(NEIGHBOURS, knowledge.distances).fetchall()
    asked = set(ids.tolist())
    judged = [
        {left: right, right: left}[one] for left, right, _ in knowledge.judgements for one in asked & {left, right}
    ]
    return np.array([id_ for (id_,) in rows] + judged, np.int64)


def _by_id(connection: psycopg.Connection[Any], ids: Ints, knowledge: Knowledge) -> Records:
    want(connection, ids)
    return numbered(copy_out(connection, BY_ID, knowledge.names))


def want(connection: psycopg.Connection[Any], ids: Ints) -> None:
    """Makes the table of ids that some statements are about hold these."""
    connection.execute(WANTED)
    connection.execute("TRUNCATE wanted")
    copy_in(connection, "wanted", {"id": ids.astype(np.int64)})
    connection.execute("ANALYZE wanted")
