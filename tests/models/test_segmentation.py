"""Segmentation and what it rests on: the lattice against every way counted out, clocks, corroboration, storms."""

from collections.abc import Callable, Iterator
from itertools import combinations
from random import Random

import numpy as np
import pytest

from models.calibration import offsets
from models.calibration.blocks import Keys, block_keys, own_lines, rows_of, step_of_starts
from models.calibration.calibration import Calibration
from models.calibration.columns import SECOND, Records
from models.calibration.corroboration import agreement, mutual
from models.matching.closed import Closed
from models.matching.decide import decide
from models.matching.lattice import (
    ALONE_A,
    ALONE_B,
    FROM_ANY,
    LINKED,
    NOT_AFTER_A,
    NOT_AFTER_B,
    Cells,
    Steps,
    probabilities,
)
from models.matching.learn import Material, learn
from models.matching.legs import family
from models.vocabulary import Outcome
from tests.support.calls import call, decided, drawn, groups

DAY = 86_400.0
EXCLUDED = {FROM_ANY: None, NOT_AFTER_A: ALONE_A, NOT_AFTER_B: ALONE_B}


def lattice(rows_a: int, rows_b: int, rng: Random) -> tuple[Cells, Steps]:
    """All single steps and some longer ones, with weights and orders at random."""
    places = [(i, j) for i in range(rows_a + 1) for j in range(rows_b + 1)]
    number = {place: k for k, place in enumerate(places)}
    steps = []
    for i, j in places:
        for p, q in ((1, 0), (0, 1), (1, 1), (2, 1), (2, 0), (1, 2)):
            if (i + p, j + q) in number:
                kind = LINKED if p and q else ALONE_A if p else ALONE_B
                blocked = {LINKED: FROM_ANY, ALONE_A: NOT_AFTER_B, ALONE_B: NOT_AFTER_A}[kind]
                steps.append(
                    (number[i, j], number[i + p, j + q], rng.choice((FROM_ANY, blocked)), kind, rng.gauss(0, 2))
                )
    depth = np.array([i + j for i, j in places])
    zero = np.zeros(1, np.int64)
    cells = Cells(depth, np.zeros(len(places), np.int64), zero, zero + number[rows_a, rows_b])
    source, target, origin, words = (np.array([step[k] for step in steps]) for k in range(4))
    return cells, Steps(source, target, origin, words, np.array([step[4] for step in steps]))


def ways(cells: Cells, steps: Steps, at: int, reached: int) -> Iterator[list[int]]:
    """Every way on to the last cell, as positions of steps."""
    if at == cells.last[0]:
        yield []
    for k in np.flatnonzero(steps.source == at).tolist():
        if EXCLUDED[int(steps.origin[k])] != reached:
            for rest in ways(cells, steps, int(steps.target[k]), int(steps.kind[k])):
                yield [k, *rest]


@pytest.mark.parametrize("seed", range(12))
def test_lattice(seed: int) -> None:
    """The probability of a step is the share of all ways, by weight, that take it."""
    rng = Random(seed)
    cells, steps = lattice(rng.randrange(1, 4), rng.randrange(1, 4), rng)
    counted, total = np.zeros(steps.source.size), 0.0
    for way in ways(cells, steps, 0, LINKED):
        weight = float(np.exp(steps.weight[way].sum()))
        counted[way] += weight
        total += weight

    assert np.allclose(probabilities(cells, steps), counted / total)


def right_clock(_at: float) -> float:
    return 41.0


def shared(
    count: int,
    seed: int,
    held: float = 0.8,
    clock: Callable[[float], float] = right_clock,
    follows: float | None = None,
) -> Records:
    """Calls of two accounts.

    `held` is the share that both hold, `clock` the right one's offset by time, `follows` the seconds after
    which the right one calls whenever the left one failed.
    """
    rng, rows = Random(seed), []
    for _ in range(count):
        at, person = rng.uniform(0, 30 * DAY), 2000 + rng.randrange(count // 5 + 3)
        length = rng.lognormvariate(4, 1) if rng.random() < 0.6 else None
        accounts = (0, 1) if rng.random() < held else (rng.randrange(2),)
        for account in accounts:
            late = rng.gauss(0, 0.5) + (clock(at) if account else 0.0)
            rows.append(call(account, at + late, length, remote=person))
        if follows and length is None and accounts == (0,):
            rows.append(call(1, at + follows, 5 + rng.expovariate(0.02), remote=person))
    return drawn(*rows)


def learnt(records: Records) -> Calibration:
    return learn(Material.of(records, (0, 1), own_lines(records)))


@pytest.mark.parametrize("offset", [0.0, 41.0, -7_223.0, 3_612.0])
def test_offset(offset: float) -> None:
    """An offset of the clocks is found among four calls in ten that only one account holds."""
    known = learnt(shared(300, 1, held=0.6, clock=lambda _: offset))

    assert np.abs(known.track.offsets - offset).max() < 1.0


@pytest.mark.parametrize("size", [4.0, 86.0, 3_600.0])
def test_step(size: float) -> None:
    """A clock that steps is followed, on the day it does, not as a mean of both."""
    known = learnt(shared(1_500, 2, clock=lambda at: 10.0 + (size if at > 12 * DAY else 0.0)))
    moments = drawn(call(0, 11.8 * DAY), call(0, 12.2 * DAY))["started"]

    assert np.abs(known.track.at(moments) - [10.0, 10.0 + size]).max() < 1.0


def test_drift() -> None:
    """A clock that drifts by seconds a day is followed."""
    known = learnt(shared(1_500, 3, clock=lambda at: 3.0 * at / DAY))
    days = np.linspace(1, 29, 30)
    moments = drawn(*(call(0, day * DAY) for day in days))["started"]

    assert np.abs(known.track.at(moments) - 3.0 * days).max() < 1.5


@pytest.mark.parametrize("count", [30, 300, 3_000])
@pytest.mark.parametrize("follows", [None, 4.0, 30.0])
def test_nothing_shared(count: int, follows: float | None) -> None:
    """Two systems that hold no call in common are not believed to, also where one follows up what failed."""
    assert learnt(shared(count, 4, held=0.0, follows=follows)).is_prior


@pytest.mark.parametrize("offset", [0.0, 120.0, -3_600.0])
def test_a_dozen_shared_calls(offset: float) -> None:
    """A dozen shared calls are enough to know the clock, wherever it stands."""
    known = learnt(shared(15, 5, held=1.0, clock=lambda _: offset))

    assert not known.is_prior
    assert np.abs(known.track.offsets - offset).max() < 1.5


def test_lengths_must_agree() -> None:
    """Pairs that stand by one clock and last however long by themselves corroborate nothing."""
    rng = Random(6)
    rows = [call(account, 900.0 * k, rng.lognormvariate(4, 1), remote=k) for k in range(200) for account in (0, 1)]
    records = drawn(*rows)
    keys = Keys(block_keys(records, own_lines(records)), family(records))
    a, b = (rows_of(records, np.flatnonzero(records["account"] == one), keys) for one in (0, 1))

    assert offsets.find(a, b) is not None
    assert agreement(a, b, *mutual(a, b, 6.0)) is None


def test_stored_calibration_is_the_same() -> None:
    """A calibration decides the same before it is stored and after."""
    known = learnt(shared(200, 7))

    assert known.stored.to_json() == known.to_json()


@pytest.mark.parametrize(
    ("step", "count", "found"), [(1, 40, 1), (60, 40, 60), (900, 40, 900), (3600, 40, 3600), (900, 8, 60)]
)
def test_steps_of_starts(step: int, count: int, found: int) -> None:
    """How coarse a clock is shows in its starts; few of them show no more than that it is coarse."""
    records = drawn(*(call(0, 0) for _ in range(count)))
    records["started"] = np.arange(1, count + 1) * 7 * step * SECOND

    assert step_of_starts(records, np.arange(count)) == found


def test_ring_group() -> None:
    """Where one account rings several phones for a call, its rows of a call are one: their habit tells, not a pause."""
    rng = Random(10)
    rows = []
    for person in range(150):
        at, length = person * 7_000.0, rng.uniform(20, 300)
        losers = [call(0, at + rng.random() / 2, 12, remote=person, outcome=Outcome.CANCELLED) for _ in range(3)]
        rows += [call(0, at, length, remote=person), *losers, call(1, at + rng.gauss(0, 0.3), length, remote=person)]
    records = drawn(*rows)
    found = decide(Closed(records, {(0, 1): learnt(records)}))

    assert groups(found) == [[*range(5 * k, 5 * k + 5)] for k in range(150)]


def test_two_rows_of_one_call_seen_as_one() -> None:
    """A route fails, the next is answered: the other account's one record spans both."""
    failed = call(0, 0, 1, outcome=Outcome.FAILED)

    assert groups(decided(failed, call(0, 2, 58), call(1, 0.2, 60))) == [[0, 1, 2]]


def test_a_redial_is_no_second_row() -> None:
    """Two calls of a minute's distance that both accounts hold stay two."""
    calls = [call(0, 0), call(0, 25, 90), call(1, 0.2), call(1, 25.3, 90)]

    assert groups(decided(*calls)) == [[0, 2], [1, 3]]


def test_crossing() -> None:
    """Two calls that began the other way round at the other account are told apart by how long they were."""
    calls = [call(0, 0.0, 30), call(0, 0.6, 200), call(1, 0.9, 30), call(1, 0.2, 200)]

    assert groups(decided(*calls)) == [[0, 2], [1, 3]]


def test_a_storm_is_bounded_and_silent() -> None:
    """A quarter of an hour of the same two numbers once a second is decided in seconds, and nothing is said of it."""
    rng = Random(8)
    rows = [call(account, at + rng.gauss(0, 0.3), rng.uniform(1, 3)) for at in range(900) for account in (0, 1)]
    found = decided(*rows)

    assert found.matches.left.size == 0


def test_order_of_accounts() -> None:
    """Three accounts of which every pair agrees are one call; each pair is told."""
    records = shared(200, 9)
    third = records[records["account"] == 1].copy()
    third["account"], third["id"], third["external"] = 2, third["id"] + 10_000, third["external"] + 10_000
    every = np.concatenate([records, third])
    known = {pair: learn(Material.of(every, pair, own_lines(every))) for pair in combinations(range(3), 2)}
    found = decide(Closed(every, known))
    sizes = np.bincount(np.unique(found.call, return_inverse=True)[1])

    assert (sizes == 3).sum() > 100
    assert found.matches.left.size >= 3 * (sizes == 3).sum()
