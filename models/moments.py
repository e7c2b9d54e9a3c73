"""Times as providers write them: ISO 8601 in its usual spellings, or seconds or milliseconds since 1970.

Text is read by one reader for all: the parsers of records leave it as it stands, since they disagree on fractions,
offsets and numbers in quotes.
"""

import re
from datetime import UTC, datetime, timedelta

LAST_YEAR = 2100
FIRST_DAY = datetime(1970, 1, 2, tzinfo=UTC)
"""The day before is how programs in any zone write a time that is not set."""
WRITTEN = re.compile(
    r"""\s*(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt]|\s+)(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})
    (?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?
    \s*(?:(?P<zulu>[Zz]|UTC|GMT)|(?P<sign>[+\-\u2212])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)?
    (?:\[[^\]]*\])?\s*""",
    re.VERBOSE,
)
"""RFC 3339, with RFC 9557's zone in brackets, ISO 8601's offset in hours alone, or a blank before the offset."""
SECONDS = range(1_000_000_000, 10_000_000_000)
"""Numbers of ten digits, from 2001 on: a smaller one may be a date or a duration."""
MILLISECONDS = range(1_000_000_000_000, 10_000_000_000_000)
COUNTED = re.compile(r"\s*([0-9]{10}|[0-9]{13})\s*")


def moment(value: str | float | None) -> datetime | None:
    """Aware UTC, cut to microseconds; a missing zone is UTC, as vendors document.

    None for what is no time, and for times that cannot be meant: epoch 0 in any zone, before 1970, after 2100.
    """
    if value is None:
        return None
    is_usual = isinstance(value, str) and value[10:11] == "T" and value[-1:] == "Z"
    found = (_usual(value) if is_usual else None) or _unusual(value)  # type: ignore[arg-type]
    if found is None or not FIRST_DAY.year <= found.year <= LAST_YEAR:
        return None
    return None if found.year == FIRST_DAY.year and found < FIRST_DAY else found


def _usual(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _unusual(value: str | float) -> datetime | None:
    try:
        if not isinstance(value, str):
            return _counted(value)
        if parts := WRITTEN.fullmatch(value):
            return _composed(parts)
        number = COUNTED.fullmatch(value)
        return _counted(int(number[1])) if number else None
    except (ValueError, OverflowError):
        return None


def _composed(parts: re.Match[str]) -> datetime | None:
    """A leap second is the second after; 24:00 is the next day's midnight."""
    day = datetime.fromisoformat(parts["day"]).replace(tzinfo=UTC)
    fraction = int((parts["fraction"] or "")[:6].ljust(6, "0"))
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0)
    is_midnight = (hour, minute, second, fraction) == (24, 0, 0, 0)
    if (hour > 23 and not is_midnight) or minute > 59 or second > 60 or day < FIRST_DAY:
        return None
    local = day + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)
    return local - _offset(parts)


def _offset(parts: re.Match[str]) -> timedelta:
    """Raises ValueError beyond what any zone has."""
    hours, minutes = int(parts["hours"] or 0), int(parts["minutes"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("no offset of a zone")
    size = timedelta(hours=hours, minutes=minutes)
    return size if parts["sign"] == "+" else -size


def _counted(number: float) -> datetime | None:
    """Since 1970, in seconds or milliseconds, whichever gives a moment from 2001 on."""
    if int(number) in MILLISECONDS:
        number /= 1000
    return datetime.fromtimestamp(number, UTC) if int(number) in SECONDS else None
