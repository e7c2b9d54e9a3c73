"""Times as the providers write them, from epoch milliseconds."""

from datetime import UTC, datetime
from functools import lru_cache

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SECONDS = [f"{second:02}" for second in range(60)]
_MINUTES = [f"{hour}:{minute}" for hour in _SECONDS[:24] for minute in _SECONDS]


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY // SECOND, UTC).strftime("%Y-%m-%d")


def seconds(at: int) -> str:
    """Whole seconds, as Sakari writes them."""
    day, rest = divmod(at, DAY)
    minute, rest = divmod(rest, MINUTE)
    return f"{_date(day)}T{_MINUTES[minute]}:{_SECONDS[rest // SECOND]}Z"


def millis(at: int) -> str:
    """Always three digits, as Skipcall writes them."""
    return f"{seconds(at)[:-1]}.{at % SECOND:03}Z"


def trimmed(at: int) -> str:
    """As many digits as needed, as Bird writes them."""
    fraction = f".{at % SECOND:03}".rstrip("0").rstrip(".")
    return f"{seconds(at)[:-1]}{fraction}Z"


def epoch(text: str) -> float:
    """Epoch milliseconds of an ISO 8601 text; a time without zone is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND


def stamp(text: str) -> int:
    return round(epoch(text))
