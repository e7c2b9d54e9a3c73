"""How ranges of time read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.wording import stretch

MOMENTS = st.timedeltas(timedelta(), timedelta(days=3650)).map(lambda age: datetime(2020, 1, 1, tzinfo=UTC) + age)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-11-03", "2026-11-10", "3 to 9 November 2026"),
        ("2026-11-03", "2026-11-04", "3 November 2026"),
        ("2026-10-28", "2026-11-04", "28 October to 3 November 2026"),
        ("2025-12-28", "2026-01-04", "28 December 2025 to 3 January 2026"),
        ("2026-11-03T14:00", "2026-11-03T15:05", "3 November 2026 14:00 to 15:05"),
        ("2026-11-03T14:00:08", "2026-11-03T14:00:16", "3 November 2026 14:00:08 to 14:00:16"),
        ("2026-11-03T22:00", "2026-11-04", "3 November 2026 22:00 to 4 November 2026 00:00"),
    ],
)
def test_stretch(since: str, until: str, words: str) -> None:
    assert stretch(at(since), at(until)) == words


def test_stretch_is_told_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert stretch(at("2026-11-03").astimezone(east), at("2026-11-04").astimezone(east)) == "3 November 2026"


@given(MOMENTS, *[st.timedeltas(timedelta(minutes=1), timedelta(days=400))] * 2)
def test_stretches_are_told_apart(since: datetime, length: timedelta, later: timedelta) -> None:
    """Two windows that follow each other never read alike."""
    until = since + length
    assert stretch(since, until) != stretch(until, until + later)
