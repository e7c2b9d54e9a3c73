"""The table of clocks as people read it."""

from typing import Any

import pytest

from flows.rendering.matching import brief

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
