"""Windows of time and which of them to read: pure, in aware UTC.

A window is half-open, [since, until). Providers are asked for `EDGE` more at each end, since none says whether its
bounds are inclusive; records are identified by id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

EDGE = timedelta(seconds=1)
LAG = timedelta(seconds=60)
"""The newest edge is left alone: providers' own indexes run behind."""
SHORTEST_PIECE = timedelta(hours=1)
NARROWEST = timedelta(seconds=8)
"""Of windows: the overlapping edges would be most of a narrower one."""

NEWEST = timedelta(hours=1)
LOOK_AGAIN_NEWEST = timedelta(seconds=0)
LOOK_AGAIN_LOOKBACK = timedelta(hours=1)
LOOK_AGAIN_HISTORY = timedelta(days=30)
HISTORY_WATCHED = timedelta(days=90)
RESOLUTION = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How work is cut: not a promise, only the unit of fan-out, of retry and of memory."""

    pieces: int = 32
    """Windows that a range of time is cut in."""
    pages: int = 20
    """Pages of a window, or of a part of a scan, before it is read as several."""
    longest: timedelta | None = None
    """The longest range that the provider takes, where it was found to refuse a longer one."""
    narrowest: timedelta = NARROWEST
    """A window this long is not cut: what is asked for would not be less."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def instant(moment: datetime) -> Span:
    """The shortest range that holds what began at a moment."""
    return Span(moment, moment + timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class Coverage:
    """A span that was read to its end, and when the reading was finished."""

    span: Span
    finished_at: datetime
    by: str | None = None
    """The run that read it."""
    is_proven: bool = True
    moved: bool = False
    """Whether the list gained, lost or shifted records under it."""

    def is_old(self, lookback: timedelta) -> bool:
        """Whether its records were past the age at which they still change."""
        return self.finished_at - self.span.until >= lookback


def settled(readings: list[Coverage], lookback: timedelta) -> list[Coverage]:
    """The readings to build on: proven, and not of a run that saw the list move at their age or beyond.

    What moved under one window may have moved in another after that was read.
    """
    moving = {one.by for one in readings if one.moved}
    moving_far_back = {one.by for one in readings if one.moved and one.is_old(lookback)}
    return [
        one for one in readings if one.is_proven and one.by not in (moving_far_back if one.is_old(lookback) else moving)
    ]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as few spans, in order, without overlap."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.since <= result[-1].until:
            result[-1] = Span(result[-1].since, max(result[-1].until, span.until))
        elif span.since < span.until:
            result.append(span)
    return result


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What of `spans` lies outside `taken`."""
    left = merged(spans)
    for hole in merged(taken):
        left = [piece for span in left for piece in _around(span, hole)]
    return left


def _around(span: Span, hole: Span) -> Iterator[Span]:
    if hole.until <= span.since or span.until <= hole.since:
        yield span
        return
    if span.since < hole.since:
        yield Span(span.since, hole.since)
    if hole.until < span.until:
        yield Span(hole.until, span.until)


def is_due(reading: Coverage, now: datetime, lookback: timedelta) -> bool:
    """Whether a span that was read deserves another look: often while it is young, ever less as it ages.

    A span read while its records could still change is read once more after they no longer can.
    """
    until, since_read = reading.span.until, now - reading.finished_at
    if now - until < NEWEST:
        return since_read >= LOOK_AGAIN_NEWEST
    if not reading.is_old(lookback):
        return since_read >= LOOK_AGAIN_LOOKBACK
    return now - until < HISTORY_WATCHED and since_read >= LOOK_AGAIN_HISTORY


def needed(
    asked: Span, readings: Iterable[Coverage], now: datetime, lookback: timedelta, *, full: bool = False
) -> list[Span]:
    """What of `asked` must be read now: what was never read, and what is due for another look."""
    if full:
        return [asked]
    known = [part for reading in readings for part in _by_age(reading, now, lookback)]
    fresh = [reading.span for reading in known if not is_due(reading, now, lookback)]
    never = without([asked], [reading.span for reading in known])
    again = without((_widened(reading.span, now) for reading in known if is_due(reading, now, lookback)), fresh)
    return _clipped(merged([*never, *again]), asked)


def _by_age(reading: Coverage, now: datetime, lookback: timedelta) -> Iterator[Coverage]:
    """The parts of a reading that are due at different times: a long one is not young because its end is."""
    edges = [now - NEWEST, now - lookback, reading.finished_at - lookback]
    return (Coverage(part, reading.finished_at) for part in _cut_at(reading.span, edges))


def _widened(span: Span, now: datetime) -> Span:
    """To whole hours or days, so that many small readings become one."""
    if now - span.until < NEWEST:
        return span
    grid = HOUR if now - span.until < 3 * DAY else DAY
    return Span(_floor(span.since, grid), _floor(span.until + grid - RESOLUTION, grid))


def _floor(moment: datetime, grid: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // grid * grid


def _clipped(spans: Iterable[Span], bounds: Span) -> list[Span]:
    clipped = (Span(max(span.since, bounds.since), min(span.until, bounds.until)) for span in spans)
    return [span for span in clipped if span.since < span.until]


def cut(spans: Iterable[Span], now: datetime, lookback: timedelta, sizes: Sizes) -> list[Span]:
    """Spans in about `sizes.pieces` windows, none across the ages at which the next look differs."""
    edges = [now - lookback, now - NEWEST]
    whole = [part for span in spans for part in _cut_at(span, edges)]
    total = sum((span.length for span in whole), timedelta())
    size = min(max(total / sizes.pieces, SHORTEST_PIECE), sizes.longest or total)
    return [piece for span in whole for piece in equal_parts(span, _pieces(span, size, sizes.longest))]


def _pieces(span: Span, size: timedelta, longest: timedelta | None) -> int:
    return max(round(span.length / size), -(-span.length // longest) if longest else 1, 1)


def _cut_at(span: Span, edges: list[datetime]) -> Iterator[Span]:
    inside = [edge for edge in edges if span.since < edge < span.until]
    marks = [span.since, *sorted(set(inside)), span.until]
    return (Span(a, b) for a, b in pairwise(marks))


def equal_parts(span: Span, count: int) -> list[Span]:
    """`count` spans of one length, cut at whole milliseconds."""
    marks = [_whole(span.since + span.length * i / count) for i in range(1, count)]
    edges = [span.since, *marks, span.until]
    return [Span(a, b) for a, b in pairwise(edges) if a < b]


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
