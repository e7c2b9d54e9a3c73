"""A provider's life in virtual time, against the real engine: what is promised is true after every step."""

from pathlib import Path
from random import SystemRandom

import pytest

from sandbox.simulation.clock import Databases
from sandbox.simulation.simulate import play, shortened
from sandbox.simulation.story import Story, story
from tasks.embedded import EmbeddedPostgres

SEEDS = [
    tuple(line.split()) for line in (Path(__file__).with_name("simulation_seeds.txt")).read_text("utf-8").splitlines()
]
LONG = 3.0
"""Days; what a longer life has found has a short test of its own too."""
FAILED = [
    pytest.param(int(line[0]), float(line[1]), marks=[pytest.mark.faults] if float(line[1]) > LONG else [])
    for line in SEEDS
    if line[0] != "#"
]
DAYS = 1.0


@pytest.fixture(scope="module")
def databases(cluster: EmbeddedPostgres) -> Databases:
    return Databases(cluster)


def assert_kept(databases: Databases, told: Story) -> None:
    """Plays a story; one in which a promise is broken is printed with its seed, as short as it could be made."""
    outcome = play(databases, told)
    if outcome.failure:
        shortest = shortened(databases, outcome)
        pytest.fail(f"{outcome}\nshortest: {shortest.story}\n{shortest.failure}")


@pytest.mark.parametrize(("seed", "days"), FAILED)
def test_seeds_that_failed(databases: Databases, seed: int, days: float) -> None:
    """Lives in which a promise was broken once keep all of them now."""
    assert_kept(databases, story(seed, days))


@pytest.mark.parametrize("number", range(1))
def test_fresh_seeds(databases: Databases, number: int) -> None:
    """Lives that were never played keep every promise."""
    assert_kept(databases, story(SystemRandom().randrange(10**6), DAYS))


@pytest.mark.faults
@pytest.mark.parametrize("number", range(100))
def test_long_lives(databases: Databases, number: int) -> None:
    """Ten days each, of fresh seeds."""
    assert_kept(databases, story(SystemRandom().randrange(10**6), 10.0))


def test_the_same_again(databases: Databases) -> None:
    """A story is played the same each time: its seed is all that has to be kept."""
    lives = [story(7, 0.5) for _ in range(2)]
    outcomes = [play(databases, life)._replace(story=life) for life in lives]

    assert lives[0] == lives[1]
    assert outcomes[0] == outcomes[1]
