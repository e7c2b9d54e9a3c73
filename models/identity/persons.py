"""Who is one person: telephone numbers in connected components, as pure functions of what the contacts say.

A contact joins its numbers, and so do the ways to write one line; a number that links no contacts joins none. A
person's id is the smallest phone id of its component: it needs no table of its own, and comes out the same when all is
computed again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from models.identity.link_rules import Holder, Rule, judge
from models.identity.phone import line_of
from models.identity.union_find import Groups, Sides


class Unlinked(StrEnum):
    """Why a number links no contacts."""

    SHARED = "shared"
    OWN = "own"
    ERASED = "erased"


class MoveKind(StrEnum):
    MERGE = "merge"
    SPLIT = "split"


MOST_NAMED = 10
"""Contacts that the log names as a cause."""


class State(NamedTuple):
    """What is decided of a number."""

    linked_to: int | None = None
    """The phone whose id is the person's, where that is another one."""
    unlinked: Unlinked | None = None
    linked_by: Rule | None = None
    """What says that its holders are one though their names differ or miss."""
    person_e164s: list[str] | None = None
    """All numbers of its person, the best first: on the one that gave its id to several."""


class Phone(NamedTuple):
    """A number, and what was decided of it before."""

    id: int
    e164: str
    state: State = State()

    @property
    def person_id(self) -> int | None:
        return person_of(self.id, self.state)


def person_of(phone_id: int, state: State) -> int | None:
    return None if state.unlinked else state.linked_to or phone_id


class Surroundings(NamedTuple):
    """Everything that touched numbers are linked to, before or now."""

    phones: Mapping[int, Phone]
    holders: Mapping[int, Holder]
    """By contact id: every contact that holds one of the numbers."""
    decided: Mapping[int, State]
    """What is decided of each number by itself: whether it links, and what says so."""
    sides: Sides


def lines(phones: Iterable[Phone]) -> dict[str, list[int]]:
    """Phone ids by line."""
    found: dict[str, list[int]] = {}
    for phone in phones:
        found.setdefault(line_of(phone.e164), []).append(phone.id)
    return found


def resolve(near: Surroundings) -> dict[int, State]:
    """The state of each number, from what is decided of each by itself."""
    linking = {id_ for id_, state in near.decided.items() if not state.unlinked}
    # In an order that does not depend on that of arrival: where persons were separated, the first joiner wins.
    holders = sorted(near.holders.values(), key=lambda holder: holder.key)
    together = [*lines(near.phones.values()).values(), *(holder.phones for holder in holders)]
    groups = Groups(near.sides)
    for ids in together:
        groups.join_all([id_ for id_ in ids if id_ in linking])
    states, rank = dict(near.decided), by_trust(near.holders.values())
    for person_id, members in groups.of(linking).items():
        if len(members) > 1:
            states |= {id_: near.decided[id_]._replace(linked_to=person_id) for id_ in members[1:]}
            best_first = sorted(members, key=lambda id_: (rank.get(id_, len(rank)), id_))
            numbers = [near.phones[id_].e164 for id_ in best_first]
            states[person_id] = near.decided[person_id]._replace(person_e164s=numbers)
    return states


def by_trust(holders: Iterable[Holder]) -> dict[int, int]:
    """The rank of each number: that of the most trusted contact that holds it."""
    ordered = (id_ for holder in sorted(holders, key=lambda holder: holder.trust) for id_ in holder.phones)
    return {id_: rank for rank, id_ in enumerate(dict.fromkeys(ordered))}


def lead_of(holder: Holder, states: Mapping[int, State]) -> int | None:
    """The number through which a contact stands for a person: its first that links, else its first."""
    linking = (id_ for id_ in holder.phones if id_ not in states or not states[id_].unlinked)
    return next(linking, next(iter(holder.phones), None))


class Move(NamedTuple):
    """Persons that became one, or one that became several."""

    kind: MoveKind
    person_id: int
    sides: list[list[int]]
    """Phone ids by person, before a merge or after a split."""
    cause: dict[str, Any]


Left = Mapping[int, Sequence[str]]
"""By phone id, the contacts that no longer hold it."""


def moves(near: Surroundings, after: Mapping[int, State], left: Left) -> list[Move]:
    """What becomes of the persons, and why."""
    old = {id_: phone.person_id for id_, phone in near.phones.items()}
    new = {id_: person_of(id_, state) for id_, state in after.items()}
    merges = [(MoveKind.MERGE, person, sides) for person, sides in _apart(new, old)]
    splits = [(MoveKind.SPLIT, person, sides) for person, sides in _apart(old, new)]
    if not merges and not splits:
        return []
    why = _Causes(near, after, left)
    return [Move(kind, person, sides, why.of(kind, person, sides)) for kind, person, sides in merges + splits]


def _apart(whole: Mapping[int, int | None], parts: Mapping[int, int | None]) -> Iterator[tuple[int, list[list[int]]]]:
    """Persons of `whole` whose numbers are several persons in `parts`, with these numbers by person."""
    found: dict[int, dict[int, list[int]]] = {}
    for id_ in sorted(whole):
        if (person := whole[id_]) is not None and (part := parts.get(id_)) is not None:
            found.setdefault(person, {}).setdefault(part, []).append(id_)
    return ((person, list(sides.values())) for person, sides in found.items() if len(sides) > 1)


class _Causes:
    """Why persons merged or split, in words that the log keeps."""

    def __init__(self, near: Surroundings, after: Mapping[int, State], left: Left) -> None:
        self._near, self._after, self._left = near, after, left
        self._held: dict[int, list[Holder]] = {}
        self._lost: dict[int | None, list[int]] = {}
        for id_, state in after.items():
            if state.unlinked:
                self._lost.setdefault(near.phones[id_].person_id, []).append(id_)
        for holder in near.holders.values():
            for id_ in holder.phones:
                self._held.setdefault(id_, []).append(holder)

    def of(self, kind: MoveKind, person_id: int, sides: list[list[int]]) -> dict[str, Any]:
        return self._merge(sides) if kind is MoveKind.MERGE else self._split(person_id, sides)

    def _merge(self, sides: list[list[int]]) -> dict[str, Any]:
        holders = {holder.id: holder for side in sides for id_ in side for holder in self._held.get(id_, ())}
        side_of = {id_: number for number, side in enumerate(sides) for id_ in side}
        joining = [one for one in holders.values() if len({side_of[id_] for id_ in one.phones if id_ in side_of}) > 1]
        numbers = {id_ for one in joining for id_ in one.phones if id_ in self._after}
        rules = {self._near.phones[id_].e164: rule for id_ in sorted(numbers) if (rule := self._after[id_].linked_by)}
        by = {"contacts": _keys(joining)} if joining else {"spelling": True}
        return by | ({"numbers_linked_by": rules} if rules else {})

    def _split(self, person_id: int, sides: list[list[int]]) -> dict[str, Any]:
        leaving = sorted({key for side in sides for id_ in side for key in self._left.get(id_, ())})
        unlinked = {self._near.phones[id_].e164: self._after[id_].unlinked for id_ in self._lost.get(person_id, ())}
        return ({"left_by": leaving[:MOST_NAMED]} if leaving else {}) | ({"unlinked": unlinked} if unlinked else {})


def _keys(holders: list[Holder]) -> list[str]:
    return [key_text(holder.key) for holder in sorted(holders, key=lambda holder: holder.key)[:MOST_NAMED]]


def key_text(key: Sequence[str]) -> str:
    """A contact's name in the log."""
    return ":".join(key)


def decide(
    phones: Mapping[int, Phone], holders: Iterable[Holder], own: frozenset[str], crowds: set[str]
) -> dict[int, State]:
    """What is decided of each number by itself; the ways to write one line are one number here."""
    given = dict.fromkeys(crowds, State(unlinked=Unlinked.SHARED)) | dict.fromkeys(own, State(unlinked=Unlinked.OWN))
    held: dict[int, list[Holder]] = {}
    for holder in holders:
        for id_ in holder.phones:
            held.setdefault(id_, []).append(holder)
    decided: dict[int, State] = {}
    for line, ids in lines(phones.values()).items():
        state = given.get(line) or _state([held.get(id_, []) for id_ in ids])
        decided |= {id_: _kept(phones[id_]) or state for id_ in ids}
    return decided


def _state(held: list[list[Holder]]) -> State:
    links, rule = judge(list({holder.id: holder for holder in chain.from_iterable(held)}.values()))
    return State(linked_by=rule) if links else State(unlinked=Unlinked.SHARED)


def _kept(phone: Phone) -> State | None:
    return State(unlinked=Unlinked.ERASED) if phone.state.unlinked is Unlinked.ERASED else None
