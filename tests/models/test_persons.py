"""Persons of contacts with very many numbers, as pure functions."""

from collections.abc import Iterator

from models.identity.link_rules import Holder
from models.identity.persons import MoveKind, Phone, State, Surroundings, moves, resolve

MANY = 10_000


class Counted(list[int]):
    """Phone ids that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[int]:
        self.times += 1
        return super().__iter__()


def test_many_numbers_of_a_contact() -> None:
    """Linking a contact's numbers goes through them a few times, not once for each of them."""
    ids = Counted(range(1, MANY + 1))
    phones = {id_: Phone(id_, f"+331{id_:08}") for id_ in ids}
    holder = Holder(1, ("p", "a", "c1"), "Ann Lee", None, {}, 0.0, ids)
    near = Surroundings(phones, {1: holder}, dict.fromkeys(phones, State()), {})
    after = resolve(near)
    (merge,) = moves(near, after, {})

    assert (merge.kind, merge.person_id, len(merge.sides)) == (MoveKind.MERGE, 1, MANY)
    assert merge.cause == {"contacts": ["p:a:c1"]}
    assert ids.times < 20
