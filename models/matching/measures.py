"""How two accounts count how long a call was: which readings agree, and how finely they count."""

from typing import NamedTuple

import numpy as np

from models.matching.clock import Track
from models.matching.records import SECOND, TALKED, Bools, Floats, Ints, Records, ends, lengths

END = "end"


class Measure(NamedTuple):
    """A reading on either side that is compared: lengths with each other, or ends of the call."""

    left: str
    right: str
    kind: str = "length"


NOTHING = Measure("", "", "none")
ANY = Measure("any", "any")
"""Whatever each side says: for a prior, which cannot know better."""
MEASURES = [
    ANY,
    *(Measure(left, right) for left in ("total", "talk", "duration") for right in ("total", "talk", "duration")),
    *(
        Measure(left, right, END)
        for left in ("ended", "started + duration")
        for right in ("ended", "started + duration")
    ),
]


class Readings:
    """Every reading of the records of a piece, made once."""

    def __init__(self, records: Records) -> None:
        self.started = records["started"]
        self.lengths = {name: np.where(seconds > 0, seconds, np.nan) for name, seconds in lengths(records).items()}
        duration, talk, total = (self.lengths[name] for name in ("duration", "talk", "total"))
        self.lengths["any"] = np.where(np.isnan(duration), np.where(np.isnan(talk), total, talk), duration)
        self.ends = ends(records)
        self.talked = TALKED[records["outcome"]]

    def compare(self, measure: Measure, left: Ints, right: Ints, track: Track) -> tuple[Floats, Floats, Bools]:
        """Of pairs: how far the readings lie apart, how far the lengths do, seconds, and whether both can be told.

        Both must have talked, or neither: else the outcome says it already.
        """
        if measure.kind == "none":
            none = np.zeros(left.size)
            return none, none, np.zeros(left.size, bool)
        length = self._length(measure, right, 1) - self._length(measure, left, 0)
        apart = length
        if measure.kind == END:
            ended = self.ends[measure.left][left], self.ends[measure.right][right]
            corrected = ended[1] - np.rint(track.at(self.started[right]) * SECOND).astype(np.int64)
            apart = np.where(np.isnan(length), np.nan, (corrected - ended[0]) / SECOND)
        told = ~np.isnan(apart) & (self.talked[left] == self.talked[right])
        return np.where(told, apart, 0.0), np.where(told, length, 0.0), told

    def _length(self, measure: Measure, chosen: Ints, side: int) -> Floats:
        reading = measure[side]
        if measure.kind != END:
            return self.lengths[reading][chosen]
        if reading == "ended":
            return self.lengths["total"][chosen]
        return self.lengths["duration"][chosen]


def rounding(seconds: Floats) -> int:
    """The seconds that durations are rounded to: 60, 6 or 1."""
    counted = seconds[seconds > 0]
    for step in (60, 6):
        if counted.size >= 10 and (counted % step == 0).mean() > 0.95:
            return step
    return 1
