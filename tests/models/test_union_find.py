"""Sets of numbers that grow by joining, with and without decisions that keep members apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from models.identity.union_find import Groups, Sides

MEMBERS = st.lists(st.integers(1, 12), max_size=8, unique=True)
SIDES = st.dictionaries(st.integers(1, 12), st.dictionaries(st.integers(1, 3), st.integers(0, 2), max_size=2))


@given(st.lists(MEMBERS, max_size=5), SIDES)
def test_joining_all(several: list[list[int]], sides: Sides) -> None:
    """Joining all members of a list is joining every two of them in order, whoever is to be kept apart."""
    at_once, by_pairs = Groups(sides), Groups(sides)
    for members in several:
        at_once.join_all(members)
        for one, other in combinations(members, 2):
            by_pairs.join(one, other)

    assert at_once.of(range(1, 13)) == by_pairs.of(range(1, 13))


class Counting(Groups):
    """Counts how often two members are joined."""

    joined = 0

    def join(self, one: int, other: int) -> bool:
        self.joined += 1
        return super().join(one, other)


def test_many_members() -> None:
    """Ten thousand numbers of one contact are joined in ten thousand steps, in whatever order they come."""
    for members in (range(10_000), range(9_999, -1, -1)):
        groups = Counting()
        groups.join_all(members)

        assert groups.joined < 10_000
        assert groups.of(members) == {0: list(range(10_000))}
