"""The table of clocks as people read it."""

from typing import Any

import pytest

from flows.rendering.matching import brief
from models.calibration.calibration import Calibration
from models.calibration.clock import STILL, Track
from tasks.matching.report import described

ROW: dict[str, Any] = {
    "left": "bird:main",
    "right": "sakari:main",
    "is_prior": False,
    "offset_seconds": -3.2,
    "change_seconds": None,
    "spread_seconds": 0.9,
    "drifts": False,
    "durations": "total against duration",
    "rounding": "1/1",
    "start_steps_seconds": [1, 1],
    "starts_are_ends": [False, False],
    "half_of_day_missing": False,
    "pairs": 1402,
}
SHOWN = {
    "clock": "sakari beside bird",
    "reads": "3.2 s behind",
    "give or take": "0.9 s",
    "moves": "no",
    "lengths compared": "bird: start to end with sakari: its duration",
    "learnt from": "1,402 shared calls",
}


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, {}),
        ({"offset_seconds": 4.0}, {"reads": "4.0 s ahead"}),
        ({"offset_seconds": 0.0}, {"reads": "alike"}),
        ({"start_steps_seconds": [1, 60]}, {"reads": "3.2 s behind, sakari to the minute"}),
        ({"starts_are_ends": [True, False]}, {"reads": "3.2 s behind, bird tells the end of a call as its start"}),
        (
            {"half_of_day_missing": True},
            {"reads": "3.2 s behind, one of the two without the half of the day"},
        ),
        ({"drifts": True, "change_seconds": 1.5}, {"moves": "yes, +1.5 s since it was last learnt"}),
        (
            {"durations": "talk against total", "rounding": "60/1"},
            {"lengths compared": "bird: answer to end in steps of 60 s with sakari: start to end"},
        ),
        (
            {"is_prior": True, "start_steps_seconds": [900, 1]},
            {"reads": "not known, bird in steps of 15 minutes", "learnt from": "no shared calls yet"}
            | dict.fromkeys(["give or take", "moves", "lengths compared"]),
        ),
    ],
)
def test_clocks_in_words(changed: dict[str, Any], shown: dict[str, Any]) -> None:
    """No abbreviation, no True or False, no ratio without its meaning."""
    assert brief([ROW | changed]) == [SHOWN | shown]


def test_a_calibration_of_an_older_version() -> None:
    """What an older version had learnt in another form is not known until it is learnt again, and is no change then."""
    pair = {"left_provider": "bird", "left_account": "main", "right_provider": "sakari", "right_account": "main"}
    kept = {"version": 3, "adopted_at": None, "reason": "learnt", "is_prior": False, "support": 40}
    old, new = {"design": 0, "offset": -10.3}, Calibration(support=50, track=Track(STILL.knots, STILL.offsets - 10.8))
    (first,) = brief([described(pair | kept | {"parameters": old, "before": None})])
    assert first["reads"] == "not known"
    (then,) = brief([described(pair | kept | {"parameters": new.to_json(), "before": old})])
    assert (then["reads"], then["moves"]) == ("10.8 s behind", "no")
