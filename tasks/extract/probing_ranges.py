"""What a list makes of a range of time: whether it filters, how its ends are read, what its total counts."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from models.assumptions import BY_DAY, IGNORED, WHOLE_LIST, Assumption, Observation, Standing
from models.coverage import EDGE, Span, instant
from models.errors import Rejected, RequestRefused
from models.provider import Stream
from models.rows import CallRow
from tasks.extract.prober import Prober, Rows

SAMPLE = 20
"""Records of the unbounded list that are looked at, and calls of it that are looked for again by their start."""
TRIED = 3
ABOUT_ALL = 0.9
"""Of the whole list's total, which may move between two requests."""
LONG_AGO = Span(datetime(1990, 1, 1, tzinfo=UTC), datetime(1990, 1, 2, tzinfo=UTC))
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
LENGTHS = [*(timedelta(days=days) - timedelta(minutes=1) for days in (90, 30, 14, 7, 3, 1)), HOUR]
"""Ranges that are tried where a longer one is refused, the longest first."""


class Known(NamedTuple):
    """A call of the list, by which its range is tried."""

    id: str
    began: datetime
    lasted: timedelta
    """Until the latest of its other times."""


@dataclass(frozen=True, slots=True)
class RangeProbe:
    prober: Prober
    stream: Stream

    def observations(self) -> Iterator[Observation]:
        sample = self.prober.rows(self.stream, limit=SAMPLE)
        calls = self._known(sample)
        if not calls:
            words = "the list holds no call to try a range on"
            yield Observation(Assumption.RANGE, Standing.NOT_TESTABLE, "", words)
            return
        try:
            found = self._range(calls)
        except RequestRefused as error:
            # The windows will be refused as well, and say so.
            yield Observation(Assumption.RANGE, Standing.NOT_TESTABLE, "", f"a range was refused: {error}")
            return
        yield found
        if found.standing is Standing.AS_ASSUMED:
            yield from self._total(calls[0], sample)

    def _known(self, sample: Rows) -> list[Known]:
        """Calls of the sample, those first whose other times lie farthest from their start."""
        parser, found = self.prober.context.parser, list[Known]()
        for text in sample.texts:
            with suppress(Rejected):
                row = parser.to_row(parser.parse(text))
                if isinstance(row, CallRow):
                    times = (row.ended_at, row.source_updated_at)
                    lasted = max((time - row.started_at for time in times if time), default=timedelta())
                    found.append(Known(row.external_id, row.started_at, lasted))
        return sorted(found, key=lambda one: one.lasted, reverse=True)[:TRIED]

    def _holds(self, call: Known, span: Span) -> bool:
        return call.id in self.prober.rows(self.stream, limit=self.stream.paging.limit, span=span).ids

    def _range(self, calls: list[Known]) -> Observation:
        if self.prober.rows(self.stream, limit=SAMPLE, span=LONG_AGO).ids:
            return _otherwise(IGNORED, "a range of time is ignored: the whole list is read")
        missed = [call for call in calls if self._misses(call)]
        if not missed:
            return Observation(Assumption.RANGE, Standing.AS_ASSUMED, "", "a range holds the calls that began in it")
        if any(self._holds(call, span) for call in missed for span in _elsewhere(call)):
            return _otherwise(IGNORED, "a range is of another time of a call than its start: the whole list is read")
        if any(self._holds(call, Span(call.began + HOUR, call.began + DAY)) for call in missed):
            return _otherwise(BY_DAY, "a range is cut to whole days, the last one left out: a day more is asked for")
        words = (
            "a range leaves out calls that began in it, and it was not found out why: nothing of this list is proven "
            "complete. Report it"
        )
        return Observation(Assumption.RANGE, Standing.UNCLEAR, "unclear", words)

    def _misses(self, call: Known) -> bool:
        """Twice in a row, while the list still holds the call: one that moves may miss it once."""
        return (
            not self._holds(call, instant(call.began))
            and self._is_there(call)
            and not self._holds(call, instant(call.began))
        )

    def _is_there(self, call: Known) -> bool:
        """Whether the list still holds the call: it may have moved meanwhile."""
        return call.id in self.prober.rows(self.stream, limit=SAMPLE).ids

    def _total(self, call: Known, sample: Rows) -> Iterator[Observation]:
        """Nothing, where the list says no total, or is too short to tell the two apart."""
        rows, paging = self.prober.rows(self.stream, limit=SAMPLE, span=instant(call.began)), self.stream.paging
        total, of_all = paging.total(rows.page), paging.total(sample.page)
        if total is None or of_all is None or of_all < SAMPLE:
            return
        is_short = len(rows.texts) < SAMPLE and not paging.says_more(rows.page)
        if is_short and total > len(rows.texts) and total >= ABOUT_ALL * of_all:
            words = "the total counts the whole list, not the range: it is not used"
            yield Observation(Assumption.TOTAL, Standing.OTHERWISE, WHOLE_LIST, words)
        else:
            yield Observation(Assumption.TOTAL, Standing.AS_ASSUMED, "", "the total counts the range")


def _elsewhere(call: Known) -> Iterator[Span]:
    """Ranges that cannot hold the call by its start, whether they are read as they stand or cut to whole days."""
    rest = Span(call.began + 2 * EDGE, datetime.combine(call.began.date() + DAY, time(), UTC) - 2 * EDGE)
    if rest.length > timedelta():
        yield rest
    if call.lasted > SECOND:
        yield instant(call.began + call.lasted)


def _otherwise(value: str, words: str) -> Observation:
    return Observation(Assumption.RANGE, Standing.OTHERWISE, value, words)


def longest_range(prober: Prober, stream: Stream, refused: Span) -> Observation | None:
    """The longest range that is taken where `refused` was not; None where no shorter one is taken either."""
    for length in LENGTHS:
        if length >= refused.length:
            continue
        with suppress(RequestRefused):
            prober.rows(stream, limit=1, span=Span(refused.until - length, refused.until))
            words = f"a range of {refused.length} is refused; ranges of {length} are taken"
            return Observation(Assumption.LONGEST_RANGE, Standing.OTHERWISE, str(length.total_seconds()), words)
    return None
