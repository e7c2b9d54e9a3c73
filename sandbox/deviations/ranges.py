"""Ranges of time that are cut, refused or passed over."""

from datetime import UTC, datetime

from sandbox.deviations.place import RANGES, Ask, Place, Wrap, asking
from sandbox.providers.web import Answer, Question, RefusedError
from sandbox.world.clock import DAY, epoch

_MILLISECOND = 1


def range_by_day(place: Place, question: Question, ask: Ask) -> Answer:
    """Both ends are cut to their dates: what happened on the last day does not come."""
    low, high = _bounds(place, question)
    return ask(_between(place, question, low and low // DAY * DAY, high and high // DAY * DAY - _MILLISECOND))


def range_exclusive(place: Place, question: Question, ask: Ask) -> Answer:
    low, high = _bounds(place, question)
    return ask(_between(place, question, low and low + _MILLISECOND, high and high - _MILLISECOND))


def range_ignored(place: Place, question: Question, ask: Ask) -> Answer:
    return ask(_between(place, question, None, None))


def range_too_long(place: Place, question: Question, ask: Ask) -> Answer:
    low, high = _bounds(place, question)
    longest = place.numbers.longest_range.total_seconds() * 1000
    if low is not None and high is not None and high - low > longest:
        return place.refuse(RefusedError(400, "Invalid time range"))
    return ask(question)


def _of_ranges(wrap: Wrap) -> Wrap:
    """Acts on the lists that can be bounded, and on no other."""

    def bounded(place: Place, question: Question, ask: Ask) -> Answer:
        has_range = place.stream == "calls" and place.provider in RANGES
        return wrap(place, question, ask) if has_range else ask(question)

    return bounded


def _bounds(place: Place, question: Question) -> tuple[float | None, float | None]:
    """Since and until in epoch milliseconds, as far as they were given."""
    low, high = (question.text(name) for name in RANGES[place.provider])
    return epoch(low) if low else None, epoch(high) if high else None


def _between(place: Place, question: Question, low: float | None, high: float | None) -> Question:
    since, until = RANGES[place.provider]
    return asking(question, **{since: _text(low), until: _text(high)})


def _text(milliseconds: float | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


RANGE_WRAPS: dict[str, Wrap] = {
    "range-by-day": _of_ranges(range_by_day),
    "range-exclusive": _of_ranges(range_exclusive),
    "range-ignored": _of_ranges(range_ignored),
    "range-too-long": _of_ranges(range_too_long),
}
