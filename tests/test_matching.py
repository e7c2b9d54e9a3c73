"""Recognising the same call: the hard cases, each on records drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.matching.clock import Gaps, Track, learn
from models.matching.decide import decide
from models.matching.records import OUTCOMES, SECOND
from models.vocabulary import Direction, Outcome
from tests.calls import BOB, CYD, DESK, LINE, SHOP, call, decided, drawn, groups, rivals, sharp

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
TEN_CALLS = (0, 62.3, 103.0, 170, 251, 333, 421, 540, 660, 780)
"""Starts like those of the seed: ten calls of one pair within a quarter of an hour, the closest 40.7 seconds apart."""


def test_redials() -> None:
    """Ten calls of one pair in 14 minutes are ten real calls, each recognised in both accounts."""
    lengths = [None, 5, None, 30, None, 41, None, None, 3, 60]
    here = [call(0, at, length) for at, length in zip(TEN_CALLS, lengths, strict=True)]
    there = [call(1, at + 0.6, length) for at, length in zip(TEN_CALLS, lengths, strict=True)]

    assert groups(decided(*here, *there)) == [[i, i + 10] for i in range(10)]


def test_redials_of_which_some_are_missing_there() -> None:
    """What the other account does not hold stays alone, however near its neighbours are."""
    here = [call(0, at) for at in TEN_CALLS]
    there = [call(1, TEN_CALLS[i] + 0.4) for i in (0, 3, 9)]

    assert [group for group in groups(decided(*here, *there)) if len(group) > 1] == [[0, 10], [3, 11], [9, 12]]


def test_call_back() -> None:
    """A call back in the other direction is another call."""
    found = decided(call(0, 0), call(0, 45, 60, direction=IN), call(1, 1), call(1, 45.5, 60, direction=IN))

    assert groups(found) == [[0, 2], [1, 3]]


def test_answered_here_and_missed_there() -> None:
    """Two words for one call: the numbers and the moment outweigh them."""
    assert groups(decided(call(0, 0, 12), call(1, 0.3))) == [[0, 1]]


def test_hidden_on_one_side() -> None:
    """A number hidden on one side is recognised by our own number, when there is one call it can be."""
    found = decided(call(0, 0, 33, remote=None, direction=IN), call(1, 0.4, 33, direction=IN))

    assert groups(found) == [[0, 1]]


def test_hidden_between_two() -> None:
    """Where two calls of the same second may be the hidden one, it is ambiguous, with both named."""
    hidden = call(0, 0, remote=None, direction=IN)
    found = decided(hidden, call(1, 0.3, direction=IN), call(1, 0.3, direction=IN, remote=BOB))

    assert groups(found) == [[0], [1], [2]]
    assert rivals(found)[0] == {1, 2}


def test_hidden_stays_alone_on_another_line() -> None:
    """A hidden caller is not looked for on our other numbers."""
    found = decided(call(0, 0, 20, remote=None, direction=IN), call(1, 0.3, 20, own=DESK, direction=IN))

    assert groups(found) == [[0], [1]]


def test_forwarded() -> None:
    """Forwarding changes our number: the other party and the moment tell."""
    passed_on = call(0, 0, 40, direction=IN, outcome=Outcome.FORWARDED)

    assert groups(decided(passed_on, call(1, 3, 37, own=DESK, direction=IN))) == [[0, 1]]


def test_mirrored() -> None:
    """Our own two systems calling each other: the same two numbers the other way round."""
    found = decided(call(0, 0, 25, remote=SHOP, own=LINE), call(1, 0.5, 25, remote=LINE, own=SHOP, direction=IN))

    assert groups(found) == [[0, 1]]


def test_mirrored_in_one_account() -> None:
    """Both ends of a call between two numbers of one account are one call: one is the other's leg."""
    found = decided(
        call(0, 0, 25, remote=SHOP, own=LINE),
        call(0, 1, 24, remote=LINE, own=SHOP, direction=IN),
        call(1, 0.5, 25, remote=SHOP, own=LINE),
    )

    assert groups(found) == [[0, 1, 2]]
    assert found.legs.root.tolist() == [0, 0, 2]


def test_parallel_dialling() -> None:
    """Calls to many numbers in the same second are never merged."""
    people = range(1000, 1040)
    found = decided(
        *(call(0, i / 50, remote=person) for i, person in enumerate(people)),
        *(call(1, 0.2 + i / 50, remote=person) for i, person in enumerate(people)),
    )

    assert groups(found) == [[i, i + 40] for i in range(40)]


def test_a_leg_under_its_parent() -> None:
    """A transfer's leg to somebody else belongs to the call it was made in; the call may be found through it."""
    found = decided(
        call(0, 0, 90, name="root", direction=IN),
        call(0, 30, 60, parent="root", remote=BOB, own=DESK),
        call(1, 30.5, 60, remote=BOB, own=DESK),
    )

    assert groups(found) == [[0, 1, 2]]


def test_orphans_of_one_parent() -> None:
    """Two legs of a conference whose parent is not held are one call, and match one call there."""
    found = decided(
        call(0, 0, 60, parent="gone"), call(0, 2, 58, parent="gone", remote=CYD), call(1, 0.3, 60), call(1, 900, 60)
    )

    assert groups(found) == [[0, 1, 2], [3]]
    assert found.legs.root.tolist()[:2] == [0, 0]


def test_legs_of_another_day() -> None:
    """A record that names a parent of hours ago is a call of its own."""
    assert groups(decided(call(0, 0, 5, name="root"), call(0, 20_000, 5, parent="root"))) == [[0], [1]]


def test_the_telephone_leg_speaks() -> None:
    """An agent's own end was picked up; what became of the call, its telephone leg says."""
    found = decided(call(0, 0, 9, client=True, name="root"), call(0, 1, parent="root"))

    assert found.legs.speaks.tolist() == [False, True]


def test_times_to_the_minute() -> None:
    """Where one account cuts its times to the minute, redials are told apart by how long they were."""
    known = sharp(20.0)
    here = [call(0, 10, 35), call(0, 75, 180)]
    there = [call(1, 0, 35), call(1, 60, 180)]

    assert groups(decided(*here, *there, known=known)) == [[0, 2], [1, 3]]


def test_twins_are_ambiguous() -> None:
    """Two calls that nothing tells apart are not guessed at: each names its rivals."""
    known = sharp(20.0)
    found = decided(call(0, 5), call(0, 25), call(1, 0), known=known)

    assert groups(found) == [[0], [1], [2]]
    assert rivals(found) == {0: {2}, 1: {2}, 2: {0, 1}}


def test_no_unanswered_attempts_there() -> None:
    """An account that logs no unanswered attempts matches the answered call, not the attempts before it."""
    here = [call(0, 0), call(0, 31), call(0, 65, 120)]

    assert groups(decided(*here, call(1, 65.4, 120))) == [[0], [1], [2, 3]]


def test_two_agree_and_the_third_contradicts() -> None:
    """A real call holds one call of each account; what contradicts it stays out, and is not forced in."""
    found = decided(call(0, 0, 50), call(1, 0.3, 50), call(2, 0.5, 50), call(2, 9, 50))

    assert groups(found) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("gap", [0.2, 4.0])
def test_three_accounts(gap: float) -> None:
    """Three records of one call are one real call, every pair of them told."""
    found = decided(call(0, 0, 50), call(1, gap / 2, 50), call(2, gap, 50), known=sharp(3.0))

    assert groups(found) == [[0, 1, 2]]
    assert len(found.matches.left) == 3


def test_verdict_same() -> None:
    """What a person joined is joined, also transitively, against all evidence."""
    calls = (call(0, 0), call(1, 500, remote=BOB), call(2, 1000, remote=CYD))

    assert groups(decided(*calls, verdicts=[(0, 1, True), (1, 2, True)])) == [[0, 1, 2]]


def test_verdict_different() -> None:
    """What a person parted stays apart, and the next best is taken."""
    calls = (call(0, 0, 50), call(1, 0.3, 50), call(1, 8, 50))

    assert groups(decided(*calls, verdicts=[(0, 1, False)])) != [[0, 1], [2]]
    assert [0, 1] not in groups(decided(*calls, verdicts=[(0, 1, False)]))


def test_verdict_different_by_way_of_a_third() -> None:
    """If A is C and A is not B, then C is not B."""
    calls = (call(0, 0, 50), call(1, 0.3, 50), call(2, 0.4, 50))
    found = groups(decided(*calls, verdicts=[(0, 1, False), (0, 2, True)]))

    assert found == [[0, 2], [1]]


def test_newest_verdict_wins() -> None:
    """Of two verdicts that contradict each other the newer one holds."""
    calls = (call(0, 0, 50), call(1, 0.3, 50))

    assert groups(decided(*calls, verdicts=[(0, 1, False), (0, 1, True)])) == [[0], [1]]
    assert groups(decided(*calls, verdicts=[(0, 1, True), (0, 1, False)])) == [[0, 1]]


def test_verdict_within_an_account() -> None:
    """Two records of one account that a person joined: the later one becomes a leg."""
    found = decided(call(0, 0, 50), call(0, 5, 45, remote=BOB), verdicts=[(0, 1, True)])

    assert groups(found) == [[0, 1]]
    assert found.legs.root.tolist() == [0, 0]


def test_order_does_not_matter() -> None:
    """Whatever order records come in, the same are one call."""
    records = drawn(*(call(i % 3, at * 0.7 + i % 3 * 0.2, 20 + i // 3) for i, at in enumerate(range(60))))
    calibrations = {(0, 1): sharp(), (0, 2): sharp(2.0), (1, 2): sharp()}
    first = dict(zip(records["id"].tolist(), decide(records, calibrations).call.tolist(), strict=True))
    for seed in range(5):
        mixed = np.random.default_rng(seed).permutation(records)
        again = dict(zip(mixed["id"].tolist(), decide(mixed, calibrations).call.tolist(), strict=True))
        assert again == first


def test_unknown_words_say_nothing() -> None:
    """An outcome that is open or unknown speaks neither for nor against."""
    known = sharp()
    assert known.outcome[OUTCOMES.index(Outcome.UNKNOWN)].tolist() == [0.0] * len(OUTCOMES)


def gaps(right: int, wrong: int, offset: object, spread: float = 1.0, seed: int = 1) -> Gaps:
    """Gaps of right candidates around an offset that may follow time, and wrong ones anywhere within minutes."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, 30, right + wrong))
    moments = (days * 86_400 * SECOND).astype(np.int64)
    clock = offset(days) if callable(offset) else np.full(days.size, float(offset))  # type: ignore[arg-type]
    is_right = rng.permutation(right + wrong) < right
    seconds = np.where(is_right, clock + rng.normal(0, spread, days.size), clock + rng.uniform(-3000, 3000, days.size))
    return Gaps(moments, seconds, np.ones(days.size))


@pytest.mark.parametrize(("right", "wrong"), [(40, 10), (60, 40), (600, 400), (6000, 4000)])
@pytest.mark.parametrize("offset", [0.0, 41.0, -7223.0])
def test_clock_offset(right: int, wrong: int, offset: float) -> None:
    """An offset is found among 40 % of wrong candidates."""
    learnt = learn(gaps(right, wrong, offset))

    assert learnt is not None
    assert np.abs(learnt.track.offsets - offset).max() < 1.0


def test_thirty_sure_pairs() -> None:
    """Thirty pairs that agree are enough, fewer are not."""
    assert learn(gaps(31, 0, 5.0)) is not None
    assert learn(gaps(20, 0, 5.0)) is None


def test_nothing_in_common() -> None:
    """Where no two gaps agree, nothing is learnt."""
    assert learn(gaps(0, 500, 0.0)) is None


def test_drift() -> None:
    """A clock that drifts by seconds a day is followed."""
    learnt = learn(gaps(1500, 500, lambda days: 3.0 * days))

    assert learnt is not None
    days = np.linspace(1, 29, 50)
    assert np.abs(learnt.track.at((days * 86_400 * SECOND).astype(np.int64)) - 3.0 * days).max() < 1.5


def test_change_of_time() -> None:
    """A clock that jumps by an hour is followed, on the day it does."""
    learnt = learn(gaps(2000, 500, lambda days: np.where(days < 12, 10.0, 3610.0)))

    assert learnt is not None
    moments = (np.array([11.5, 12.5]) * 86_400 * SECOND).astype(np.int64)
    assert np.abs(learnt.track.at(moments) - [10, 3610]).max() < 1.0


@pytest.mark.parametrize(("offset", "zone"), [(0, 0), (41, 0), (3612, 3600), (-19_830, -19_800), (1500, 0)])
def test_time_zone_fault(offset: float, zone: float) -> None:
    """Whole quarter-hours are a fault of the time zone; an odd offset is not."""
    assert Track(np.zeros(1, np.int64), np.array([float(offset)])).zone == zone


def test_stored_calibration_is_the_same() -> None:
    """A calibration decides the same before it is stored and after."""
    known = replace(sharp(), spread=1.23456789).stored
    assert known.stored.to_json() == known.to_json()
