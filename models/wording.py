"""How moments are told to people."""

from datetime import UTC, datetime


def minute(moment: datetime) -> str:
    """An aware time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"
