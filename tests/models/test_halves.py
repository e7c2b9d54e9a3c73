"""Clocks of twelve hours that do not write which half of the day they mean."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from bench.matching import compare, phenomena
from bench.matching.measure import score, total
from models.calibration.blocks import own_lines
from models.calibration.clock import Track
from models.calibration.columns import SECOND, Records
from models.calibration.halves import HALF, lost_half, unwrapped
from models.matching.learn import Material, learn

DIALER = 1
DAY = 2 * HALF
TROUBLES = {trouble.name: trouble for trouble in phenomena.TROUBLES}


def halves(records: Records) -> list[tuple[bool, ...]]:
    """Of each pair of accounts, which of the two is held to have lost its half of the day."""
    accounts, lines = np.unique(records["account"]).tolist(), own_lines(records)
    pairs = combinations(accounts, 2)
    return [tuple(stamp.half for stamp in learn(Material.of(records, pair, lines)).stamps) for pair in pairs]


@pytest.mark.parametrize("calls", [300, 6_000])
def test_all_are_found(calls: int) -> None:
    """Calls of the morning and of the afternoon are found; of two accounts the right one is tried first."""
    world = phenomena.make(TROUBLES["twelve hours"], calls, 5)
    result = compare.recognise(world).total

    assert min(result.precision, result.recall) >= 0.999
    assert halves(world.records) == [(False, True), (False, False), (False, True)]


def test_an_account_of_the_morning() -> None:
    """One that is used in half of the day only has lost nothing, and no call is sought elsewhere."""
    world = phenomena.make(TROUBLES["ordinary"], 3_000, 5)
    morning = world.records["started"] // SECOND % DAY < HALF
    kept = (world.records["account"] != DIALER) | morning
    records, truth = world.records[kept], world.truth[kept]

    assert lost_half(records, *(np.flatnonzero(records["account"] == one) for one in (DIALER, 0)))
    assert halves(records) == [(False, False)] * 3
    assert total(score(records, truth, compare.decided(records).call)).precision >= 0.999


@pytest.mark.parametrize("name", [name for name in TROUBLES if name != "twelve hours"])
def test_in_no_other_world(name: str) -> None:
    """No other trouble is taken for it."""
    assert not any(map(any, halves(phenomena.make(TROUBLES[name], 400, 3).records)))


def test_unwrapped() -> None:
    """An offset that jumps by half a day, and drifts, is the drift alone."""
    track = Track(np.arange(4), np.array([41.0, 42.0 - HALF, 43.0, 44.0 - HALF]))

    assert unwrapped(track).offsets.tolist() == [41.0, 42.0, 43.0, 44.0]


def test_either_account() -> None:
    """The account that is named first may have lost it as well."""
    exchange, dialer, other = TROUBLES["ordinary"].accounts
    accounts = (replace(exchange, half=True), dialer, other)
    result = compare.recognise(phenomena.make(replace(TROUBLES["ordinary"], accounts=accounts), 2_000, 5)).total

    assert result.precision >= 0.999
    assert result.recall >= 0.995
