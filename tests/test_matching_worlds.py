"""Floors of the benchmark's worlds, on smaller ones: precision of what is decided, and F1."""

import pytest

from bench.matching import compare, worlds
from bench.matching.peers import best_rule

CALLS = 5_000


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize("setting", worlds.WORLDS, ids=lambda setting: setting.name)
def test_world(setting: worlds.Setting, seed: int) -> None:
    """The figures promised are reached, and the fixed tolerance at its best is not as good."""
    world = worlds.make(setting, CALLS, seed)
    result = compare.recognise(world)

    assert compare.missed(world, result) == []
    assert result.total.f1 >= best_rule(world)[0].f1


def test_same_world_again() -> None:
    """A seed makes the same world."""
    one, other = (worlds.make(worlds.WORLDS[2], 300, 1) for _ in range(2))

    assert one.records.tobytes() == other.records.tobytes()
