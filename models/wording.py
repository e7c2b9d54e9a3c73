"""How moments and numbers are told to people."""

from datetime import UTC, datetime


def minute(moment: datetime) -> str:
    """An aware time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def counted(number: int, what: str) -> str:
    """A number of things, of one or of several."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
