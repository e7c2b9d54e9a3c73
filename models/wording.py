"""How times and numbers are written for people."""

from datetime import UTC, datetime, time, timedelta

SHORT = timedelta(hours=1)
"""Of a range: its seconds tell it from its neighbours."""


def minute(moment: datetime) -> str:
    """An aware time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def stretch(since: datetime, until: datetime) -> str:
    """A half-open range of aware times, in UTC: `3 to 9 November 2026` where it is of whole days, else with times."""
    first, last = since.astimezone(UTC), until.astimezone(UTC)
    if first.time() == last.time() == time():
        return _days(first, last - timedelta(days=1))
    clock = "%H:%M:%S" if last - first < SHORT else "%H:%M"
    if first.date() == last.date():
        return f"{_day(first)} {first:{clock}} to {last:{clock}}"
    return f"{_day(first)} {first:{clock}} to {_day(last)} {last:{clock}}"


def _days(first: datetime, last: datetime) -> str:
    if last <= first:
        return _day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {_day(last)}"
    begin = f"{first.day} {first:%B}" if first.year == last.year else _day(first)
    return f"{begin} to {_day(last)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def counted(number: int, what: str) -> str:
    """A number of things, of one or of several."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
