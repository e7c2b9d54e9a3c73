"""Disjoint sets of numbers that grow by joining."""

from collections.abc import Iterable, Mapping, Sequence

Sides = Mapping[int, Mapping[int, int]]
"""Members that a person separated: by member, on which side of which decision it stands."""


class Groups:
    """Sets known by their smallest member. Two that stand on different sides of a decision never join."""

    def __init__(self, sides: Sides | None = None) -> None:
        self._above: dict[int, int] = {}
        self._sides = {member: dict(decisions) for member, decisions in (sides or {}).items()}

    def find(self, member: int) -> int:
        root = member
        while (above := self._above.get(root, root)) != root:
            root = above
        self._above[member] = root
        return root

    def join(self, one: int, other: int) -> bool:
        """Makes their sets one, unless a decision forbids it; returns whether they are one now."""
        low, high = sorted((self.find(one), self.find(other)))
        if low == high or self._told_apart(low, high):
            return low == high
        self._above[high] = low
        if high in self._sides:
            self._sides[low] = self._sides.get(low, {}) | self._sides[high]
        return True

    def join_all(self, members: Sequence[int]) -> None:
        """The same as joining each pair of them in order, in one step per member where no decision forbids any."""
        while members:
            first, *others = members
            members = [other for other in others if not self.join(first, other)]

    def _told_apart(self, one: int, other: int) -> bool:
        mine, theirs = self._sides.get(one, {}), self._sides.get(other, {})
        return any(theirs.get(decision, side) != side for decision, side in mine.items())

    def of(self, members: Iterable[int]) -> dict[int, list[int]]:
        """The members by the smallest of their set, in order."""
        found: dict[int, list[int]] = {}
        for member in sorted(members):
            found.setdefault(self.find(member), []).append(member)
        return found
