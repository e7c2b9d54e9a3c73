"""Why records are one call, in a user's words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flows.rendering.explain import coarse_clocks, nearest_call, sentences, side_by_side

CLOCK = {
    "left": "a:main",
    "right": "b:main",
    "offset_seconds": 4.1,
    "shares_calls": True,
    "half_of_day_missing": False,
}


def member(provider: str, outcome: str, seconds: int | None, *, is_leg: bool = False) -> dict[str, Any]:
    return {"provider": provider, "account": "main", "outcome": outcome, "duration_seconds": seconds, "is_leg": is_leg}


def test_a_call_of_two_systems() -> None:
    """Clock, rows, lengths, rule, the nearest other call and the probability stand in words."""
    members = [member("a", "failed", 0, is_leg=True), member("a", "answered", 62), member("b", "answered", 62)]

    assert sentences(members, [{"rule": "remote"}], [CLOCK], None, 0.9991) == [
        "The clock of b:main is 4.1 s ahead of that of a:main.",
        "a:main wrote 2 rows of it: 1 failed, 1 answered.",
        "Length: a:main 62 s, b:main 62 s.",
        "How it was found: it went through another number of ours.",
        "No other call of this number within a day.",
        "That these records are one call is held to be 99.91% probable.",
    ]


def test_a_call_of_one_system() -> None:
    """Of one account's call only its rows are told; clocks of others say nothing of it."""
    members = [member("a", "failed", 0, is_leg=True), member("a", "answered", 62)]

    assert sentences(members, [], [CLOCK], None, 1.0) == ["a:main wrote 2 rows of it: 1 failed, 1 answered."]


def test_a_clock_that_is_too_coarse() -> None:
    """Where two accounts share nothing that was seen, a clock in quarter hours is named as a cause."""
    unknown = CLOCK | {"shares_calls": False, "start_steps_seconds": [1, 900]}
    coarse = "b:main writes its starts in steps of 15 minutes: too coarse to tell by time which calls are the same."

    assert coarse_clocks("a:main", [unknown]) == coarse_clocks("b:main", [unknown]) == [coarse]
    assert coarse_clocks("c:main", [unknown]) == []
    assert coarse_clocks("a:main", [unknown | {"shares_calls": True}]) == []


@pytest.mark.parametrize(("seconds", "told"), [(45.2, "is 45 s away"), (3 * 3600.0, "within 3 h"), (None, "a day")])
def test_nearest_call(seconds: float | None, told: str) -> None:
    """How near the next other call of the number is."""
    assert told in nearest_call(seconds)


def test_side_by_side() -> None:
    """What one system does not hold is left empty, and numbers are masked."""
    at = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)
    row = {"number": "+33600000001", "one": "a", "started": at, "outcome": "missed", "seconds": None, "other": "b"}
    (shown,) = side_by_side([row | {"other_started": None, "other_outcome": None, "other_seconds": None}])

    assert shown["a"] == "11-20 12:00:05 missed"
    assert shown["b"] == ""
    assert "+33600000001" not in shown["number"]


def test_a_clock_of_twelve_hours() -> None:
    """Where the half of the day is missing it is said that the times may be 12 hours apart; of which, nothing shows."""
    clock = CLOCK | {"half_of_day_missing": True}

    (_, said, *_) = sentences([member("a", "answered", 62), member("b", "answered", 62)], [], [clock], None, 0.99)
    assert said == "One of the two does not write its half of the day: they may be 12 hours apart."
