"""People on a real Postgres: who is linked by which number, whatever order contacts and calls come in."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from models.errors import UsageError
from models.identity.link_rules import MOST_NAMES
from tasks.identity import linker
from tasks.identity.linker import link_people, undo_merge
from tasks.identity.writer import settle
from tests.support.builders import CONTACTS, Json, Office, at, iso, skipcall_call, skipcall_contact, take_in
from tests.support.fixtures import emptying
from tests.support.reconciled import reconcile

NUMBERS = [f"+3361234567{digit}" for digit in range(8)]
MAIN = "+33142685300"
"""Our own number, in each call."""
TWINS = ("+525512345678", "+5215512345678")

PLACES = """
    SELECT 'phone' AS what, id, ctid::text, xmin::text FROM phone
    UNION ALL SELECT 'link', contact_id, ctid::text, xmin::text FROM contact_phone ORDER BY 1, 2, 3
"""

CHANGE = text("UPDATE contact SET e164s = :numbers, changed_at = now() WHERE external_id = :id")
_ticks = count(1)


def contact(id_: str, *numbers: str, name: str = "Ann Lee", **own: Any) -> Json:
    first, _, last = name.partition(" ")
    return skipcall_contact(id=id_, phoneNumbers=list(numbers), firstName=first, lastName=last, email=None) | own


def call(id_: str, number: str, **own: Any) -> Json:
    return skipcall_call(id=id_, phoneNumber={"value": number}) | own


class Book:
    """What a test tells the database, by the way that a sync takes, and what it then shows."""

    def __init__(self, office: Office) -> None:
        self.office, self.engine = office, office.context("skipcall").engine

    def tell(self, *records: Json, provider: str = "skipcall", link: bool = True) -> None:
        for record in records:
            moment = at(next(_ticks))
            if "callType" in record:
                take_in(self.office.context(provider), [record], moment)
            else:
                take_in(self.office.context(provider, CONTACTS), [record | {"updatedAt": iso(moment)}], moment)
        if link:
            link_people(self.engine)

    def forget(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(emptying()))

    def rows(self, query: str, *values: Any) -> list[Json]:
        return self.office.rows(query, *values)

    def persons(self) -> set[frozenset[str]]:
        return {frozenset(row["e164s"]) for row in self.rows("SELECT e164s FROM v1.person")}

    def ids(self) -> dict[str, int]:
        rows = self.rows("SELECT person_id, e164s FROM v1.person")
        return {number: row["person_id"] for row in rows for number in row["e164s"]}

    def unlinked(self) -> dict[str, str]:
        return {row["e164"]: row["reason"] for row in self.rows("SELECT e164, reason FROM v1.unlinked_phone")}

    def person(self, number: str) -> Json:
        (row,) = self.rows("SELECT * FROM v1.person WHERE e164s @> ARRAY[%s]", number)
        return row

    def merges(self) -> list[int]:
        query = "SELECT id FROM person_change WHERE kind = 'merge' AND undone_at IS NULL ORDER BY id"
        return [row["id"] for row in self.rows(query)]


@pytest.fixture
def book(office: Office) -> Book:
    return Book(office)


def test_shared_number_is_one_person(book: Book) -> None:
    """Contacts of two providers that share a number are one person; one with two numbers joins them."""
    book.tell(contact("a", NUMBERS[0]), contact("b", NUMBERS[1]))
    assert book.persons() == {frozenset({NUMBERS[0]}), frozenset({NUMBERS[1]})}
    book.tell({"id": "s", "firstName": "Ann", "mobile": {"number": NUMBERS[0], "country": "FR"}}, provider="sakari")
    assert book.person(NUMBERS[0])["contact_count"] == 2
    assert book.person(NUMBERS[0])["providers"] == ["sakari", "skipcall"]
    book.tell(contact("c", NUMBERS[0], NUMBERS[1]))

    assert book.persons() == {frozenset(NUMBERS[:2])}
    assert {row["person_id"] for row in book.rows("SELECT person_id FROM v1.contact")} == {1}


def test_call_alone(book: Book) -> None:
    """A number alone is a person without a name; one of ours and a hidden one are nobody."""
    book.tell(call("k1", NUMBERS[0]), call("k2", "anonymous"), call("k3", MAIN))

    found = {row["external_id"]: row["remote_person_id"] for row in book.rows("SELECT * FROM v1.call")}
    reconcile(book.office.database_url)
    person = book.person(NUMBERS[0])
    assert found == {"k1": person["person_id"], "k2": None, "k3": None}
    assert (person["display_name"], person["call_count"], person["contact_count"]) == (None, 1, 0)
    assert book.unlinked() == {MAIN: "own"}


def test_contact_after_call(book: Book) -> None:
    """A call finds its person when the contact comes later."""
    book.tell(call("k1", NUMBERS[0]), call("k2", NUMBERS[1]))
    book.tell(contact("a", NUMBERS[1], NUMBERS[0]))
    reconcile(book.office.database_url)

    person = book.person(NUMBERS[0])
    assert {row["remote_person_id"] for row in book.rows("SELECT * FROM v1.call")} == {person["person_id"]}
    assert (person["display_name"], person["call_count"]) == ("Ann Lee", 2)
    assert person["e164s"] == [NUMBERS[1], NUMBERS[0]]


NAMES = ("Ann Lee", "Bo Kim", "Cy Roy", "Di Fox", "Ed Poe", "Unknown", "")
POOL = (*NUMBERS[:5], *TWINS)
OURS = NUMBERS[5]
told = st.tuples(
    st.integers(0, 5), st.lists(st.sampled_from((*POOL, OURS)), max_size=3, unique=True), st.sampled_from(NAMES)
)
heard = st.tuples(st.sampled_from((*POOL, OURS)), st.sampled_from((MAIN, OURS)))


def line(number: str) -> str:
    return TWINS[0] if number in TWINS else number


def expected(contacts: Iterable[tuple[Sequence[str], str]], numbers: set[str], own: set[str]) -> set[frozenset[str]]:
    """The persons of these numbers by the rules' plain words, the slow way."""
    contacts = [([line(number) for number in held], name) for held, name in contacts]
    names = {
        number: {name for held, name in contacts if number in held} - {"Unknown", ""} for number in map(line, numbers)
    }
    linking = {number for number, sharing in names.items() if len(sharing) <= MOST_NAMES} - own
    persons = [{number} for number in linking]
    for held, _ in contacts:
        joined = [person for person in persons if person & set(held)]
        if joined:
            persons = [person for person in persons if person not in joined] + [set().union(*joined)]
    return {frozenset(number for number in numbers if line(number) in person) for person in persons}


@given(st.lists(told, max_size=10), st.lists(heard, max_size=4), st.randoms(use_true_random=False))
def test_any_order(book: Book, versions: list[Any], calls: list[Any], random: Any) -> None:
    """Any order of arrival gives the same persons, no two of which share a number; linking all anew changes nothing."""
    book.forget()
    records: list[Json] = [
        contact(f"c{id_}", *numbers, name=name, updatedAt=iso(at(tick)))
        for tick, (id_, numbers, name) in enumerate(versions)
    ] + [call(f"k{i}", remote, callerPhoneNumber={"value": own}) for i, (remote, own) in enumerate(calls)]
    random.shuffle(records)
    for record in records:
        context = book.office.context("skipcall") if "callType" in record else book.office.context("skipcall", CONTACTS)
        take_in(context, [record], at(next(_ticks)))
        if random.random() < 0.5:
            link_people(book.engine)
    link_people(book.engine)

    latest = {id_: (numbers, name) for id_, numbers, name in versions}
    own = {own for _, own in calls}
    known = {row["e164"] for row in book.rows("SELECT e164 FROM phone")}
    assert book.persons() == expected(latest.values(), known, own)
    assert sum(len(person) for person in book.persons()) + len(book.unlinked()) == len(known)
    assert own <= book.unlinked().keys()
    check_contacts(book)
    before, log = book.rows("SELECT * FROM phone ORDER BY id"), book.rows("SELECT count(*) FROM person_change")
    link_people(book.engine, full=True)
    assert book.rows("SELECT * FROM phone ORDER BY id") == before
    assert book.rows("SELECT count(*) FROM person_change") == log


def check_contacts(book: Book) -> None:
    """A contact is the person of its first number that links; a person's id is its first phone's."""
    ids = book.ids()
    for row in book.rows("SELECT e164s, person_id FROM v1.contact"):
        assert row["person_id"] == next((ids[number] for number in row["e164s"] if number in ids), None)
    first = {row["e164"]: row["id"] for row in book.rows("SELECT id, e164 FROM phone")}
    for person in book.persons():
        assert {ids[number] for number in person} == {min(first[number] for number in person)}


one_family = st.lists(st.lists(st.sampled_from(POOL), min_size=1, max_size=3, unique=True), min_size=1, max_size=6)


@given(one_family, st.lists(st.sampled_from(POOL), min_size=2, max_size=4, unique=True))
def test_undo(book: Book, before: list[list[str]], joining: list[str]) -> None:
    """Undoing a merge gives back the persons there were, and they stay apart whatever comes again."""
    book.forget()
    book.tell(*(contact(f"c{i}", *numbers) for i, numbers in enumerate(before)), call("k", POOL[-1]))
    ids, merges = book.ids(), set(book.merges())
    book.tell(contact("joiner", *joining))
    for merge in sorted(set(book.merges()) - merges, reverse=True):
        undo_merge(book.engine, merge)

    def same() -> bool:
        return {number: id_ for number, id_ in book.ids().items() if number in ids} == ids

    assert same()
    book.tell(contact("joiner", *joining, name="Ann M Lee"))
    assert same()
    link_people(book.engine, full=True)
    assert same()
    book.tell(contact("another", *joining))
    assert same()


def test_shared_by_too_many(book: Book) -> None:
    """A switchboard's number links nobody and says who shares it; when they leave, it links again."""
    names = [f"Person {word}" for word in ("One", "Two", "Three", "Four")]
    book.tell(*(contact(f"c{i}", NUMBERS[i], NUMBERS[7], name=name) for i, name in enumerate(names)))

    (shared,) = book.rows("SELECT * FROM v1.unlinked_phone")
    assert (shared["e164"], shared["reason"], shared["names"]) == (NUMBERS[7], "shared", sorted(names))
    assert book.persons() == {frozenset({number}) for number in NUMBERS[:4]}
    book.tell(call("k", NUMBERS[7]), contact("only", NUMBERS[7]))
    assert book.rows("SELECT remote_person_id FROM v1.call") == [{"remote_person_id": None}]
    assert book.rows("SELECT person_id FROM v1.contact WHERE external_id = 'only'") == [{"person_id": None}]

    book.tell(*(contact(f"c{i}", NUMBERS[i], name=name) for i, name in enumerate(names[:2])))
    assert book.unlinked() == {MAIN: "own"}
    assert frozenset({*NUMBERS[2:4], NUMBERS[7]}) in book.persons()


def test_crowd_is_read_by_a_sample(book: Book) -> None:
    """A number that hundreds of names share stays shared when one more comes, until they are gone."""
    book.tell(*(contact(f"c{i}", NUMBERS[0], name=f"Name{chr(97 + i % 26)} {i}") for i in range(60)))
    book.tell(contact("c60", NUMBERS[0], NUMBERS[1], name="Joe Last"))
    assert book.unlinked() == {NUMBERS[0]: "shared"}
    assert book.persons() == {frozenset({NUMBERS[1]})}
    book.tell(*(contact(f"c{i}", name=f"Name {i}") for i in range(60)))

    assert book.unlinked() == {}
    assert book.persons() == {frozenset(NUMBERS[:2])}


def test_own_number(book: Book) -> None:
    """A number becomes ours with the first call that shows it, also when contacts hold it already."""
    book.tell(contact("a", NUMBERS[0], MAIN), contact("b", NUMBERS[1], MAIN))
    assert book.persons() == {frozenset({*NUMBERS[:2], MAIN})}
    book.tell(call("k", NUMBERS[0]))

    assert book.unlinked() == {MAIN: "own"}
    assert book.persons() == {frozenset({NUMBERS[0]}), frozenset({NUMBERS[1]})}


def test_two_spellings_of_one_line(book: Book) -> None:
    """Both spellings of a line are one person, with contacts and without, each as it was written."""
    book.tell(call("k1", TWINS[1]), call("k2", TWINS[0]))
    assert book.persons() == {frozenset(TWINS)}
    assert {row["remote_e164"] for row in book.rows("SELECT remote_e164 FROM v1.call")} == set(TWINS)
    book.tell(contact("a", TWINS[1], name="Eva Paz"))

    assert book.person(TWINS[0])["display_name"] == "Eva Paz"
    assert len({row["remote_person_id"] for row in book.rows("SELECT remote_person_id FROM v1.call")}) == 1


def test_contact_that_leaves(book: Book) -> None:
    """A deleted contact takes its links along, but not the calls; the split is logged."""
    book.tell(call("k", NUMBERS[1]), contact("a", NUMBERS[0], NUMBERS[1]))
    with book.engine.begin() as connection:
        connection.execute(text("UPDATE contact SET vanished_at = now(), changed_at = now()"))
    link_people(book.engine)
    reconcile(book.office.database_url)

    assert book.persons() == {frozenset({NUMBERS[0]}), frozenset({NUMBERS[1]})}
    assert book.person(NUMBERS[1])["call_count"] == 1
    assert book.person(NUMBERS[1])["display_name"] is None
    assert [row["kind"] for row in book.rows("SELECT kind FROM person_change ORDER BY id")] == ["merge", "split"]


def test_person_keeps_its_id(book: Book) -> None:
    """A person of several numbers keeps its id while contacts come, change a number and go."""
    book.tell(contact("a", NUMBERS[0], NUMBERS[1]))
    before = book.person(NUMBERS[0])["person_id"]
    book.tell(contact("b", NUMBERS[1], NUMBERS[2]))
    book.tell(contact("a", NUMBERS[0], NUMBERS[3], NUMBERS[1]))
    book.tell(contact("b"))
    link_people(book.engine, full=True)

    assert book.person(NUMBERS[0])["person_id"] == before
    assert book.persons() == {frozenset({*NUMBERS[:2], NUMBERS[3]}), frozenset({NUMBERS[2]})}


def test_best_values(book: Book) -> None:
    """The freshest contact's values come first, before these what a CRM knows; a placeholder is no name."""
    book.tell(contact("a", NUMBERS[0], name="Ann Old", email="old@example.com"))
    book.tell(contact("b", NUMBERS[0], NUMBERS[1], name="Ann New", email="NEW@example.com", allowPhoneCalls=False))
    book.tell(contact("c", NUMBERS[0], name="Unknown Caller", email="new@example.com"))
    person = book.person(NUMBERS[0])
    assert person["display_name"] == "Ann New"
    assert person["emails"] == ["new@example.com", "old@example.com"]
    assert person["e164s"] == NUMBERS[:2]
    assert (person["opted_out"], person["contact_count"]) == (True, 3)
    assert person["provenance"]["display_name"] == {"provider": "skipcall", "account": "default", "external_id": "b"}
    assert person["provenance"]["emails"]["old@example.com"]["external_id"] == "a"
    assert person["provenance"]["e164s"][NUMBERS[1]]["external_id"] == "b"

    crm = {"id": "s", "firstName": "Anna", "lastName": "Crm", "mobile": {"number": NUMBERS[1]}, "hubspot": {"id": "1"}}
    book.tell(crm, provider="sakari")
    person = book.person(NUMBERS[0])
    assert person["display_name"] == "Anna Crm"
    assert person["e164s"] == [NUMBERS[1], NUMBERS[0]]
    assert person["provenance"]["e164s"][NUMBERS[1]]["linked_by"] == "number"
    assert person["provenance"]["merges"] == book.merges()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Unknown",
            "unknown caller",
            "UNKNOWN CONTACT",
            "Anonymous",
            "No Name",
            "Inconnu",
            "Contact 7",
            "N/A",
            "Private",
        ),
        *("+33 6 12 34 56 78", "-", "Unknown +33612345678", "(212) 555-0142", "   "),
    ],
)
def test_placeholder(book: Book, name: str) -> None:
    """What stands in a name's place never wins over a name, and is no name of its own."""
    book.tell(contact("a", NUMBERS[0], name="Ann Lee"), contact("b", NUMBERS[0], name=name))
    assert book.person(NUMBERS[0])["display_name"] == "Ann Lee"
    book.tell(contact("a", NUMBERS[1]))
    assert book.person(NUMBERS[0])["display_name"] is None


@pytest.mark.parametrize("name", ["Contact Energy", "Blocked Drains Ltd", "李明", "X Æ A-12", "Privat Bank", "M."])
def test_name(book: Book, name: str) -> None:
    """A real name that looks a little like a placeholder is shown."""
    book.tell(contact("a", NUMBERS[0], name=name))

    assert book.person(NUMBERS[0])["display_name"] == name


def test_merge_is_logged(book: Book) -> None:
    """The log names the persons as they were, the contact that joined them, and what links each number."""
    book.tell(contact("a", NUMBERS[0], email="ann@example.com"), contact("b", NUMBERS[1]))
    book.tell(contact("c", NUMBERS[0], NUMBERS[1], name="Anna Lee", email="ann@example.com"))

    (merge,) = book.rows("SELECT * FROM person_change")
    assert (merge["kind"], merge["person_id"], merge["sides"]) == ("merge", 1, [[1], [2]])
    assert merge["cause"] == {
        "contacts": ["skipcall:default:c"],
        "numbers_linked_by": {NUMBERS[0]: "email", NUMBERS[1]: "number"},
    }


def test_split_is_logged(book: Book) -> None:
    """The log names who left a number, and numbers that link no longer."""
    book.tell(contact("a", NUMBERS[0], NUMBERS[1]), contact("b", NUMBERS[2], MAIN), contact("c", NUMBERS[3], MAIN))
    book.tell(contact("a", NUMBERS[0]))
    book.tell(call("k", NUMBERS[4]))
    split = "SELECT person_id, sides, cause FROM person_change WHERE kind = 'split' ORDER BY id"

    assert book.rows(split) == [
        {"person_id": 1, "sides": [[1], [2]], "cause": {"left_by": ["skipcall:default:a"]}},
        {"person_id": 3, "sides": [[4], [5]], "cause": {"unlinked": {MAIN: "own"}}},
    ]


def test_undo_twice_and_unknown(book: Book) -> None:
    """Undoing once more changes nothing; a merge that is none is told."""
    book.tell(contact("a", NUMBERS[0], NUMBERS[1]))
    (merge,) = book.merges()

    assert undo_merge(book.engine, merge) == [1, 2]
    assert undo_merge(book.engine, merge) == [1, 2]
    assert book.merges() == []
    assert book.rows("SELECT cause FROM person_change WHERE kind = 'split'") == [{"cause": {"undo": merge}}]
    with pytest.raises(UsageError, match="no merge 99"):
        undo_merge(book.engine, 99)


def test_nothing_new_writes_nothing(book: Book) -> None:
    """Linking again, also from the beginning, touches no row."""
    book.tell(*(contact(f"c{i}", NUMBERS[i], NUMBERS[0], TWINS[i % 2]) for i in range(6)), call("k", NUMBERS[3]))
    before = book.rows(PLACES)
    link_people(book.engine)
    link_people(book.engine, full=True)

    assert book.rows(PLACES) == before


def test_killed_in_the_middle(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies between two chunks loses nothing: the next one continues where it was."""
    book.tell(*(contact(f"c{i}", NUMBERS[0], NUMBERS[i]) for i in range(7)), link=False)
    chunks = count()

    def dying(*arguments: Any, **named: Any) -> Any:
        if next(chunks) == 2:
            raise KeyboardInterrupt
        return settle(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(linker, "settle", dying)
        with pytest.raises(KeyboardInterrupt):
            link_people(book.engine, chunk=2)
    assert book.persons() != {frozenset(NUMBERS[:7])}
    link_people(book.engine, chunk=2)

    assert book.persons() == {frozenset(NUMBERS[:7])}


def test_many_at_once(book: Book) -> None:
    """Runs that link at the same time take turns, and the persons are the same."""
    book.tell(*(contact(f"c{i}", NUMBERS[i % 8], NUMBERS[(i + 1) % 7]) for i in range(40)), link=False)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: link_people(book.engine), range(4)))

    assert book.persons() == {frozenset(NUMBERS)}
    assert len(book.merges()) == 1


def test_late_commit(book: Book) -> None:
    """A contact whose transaction began before the last linking and ended after it is not missed."""
    book.tell(contact("a", NUMBERS[0]), contact("b", NUMBERS[1]))
    with book.engine.connect() as late:
        late.execute(CHANGE, {"id": "a", "numbers": NUMBERS[:2]})
        with book.engine.begin() as connection:
            connection.execute(CHANGE, {"id": "b", "numbers": NUMBERS[:1]})
        link_people(book.engine, margin=timedelta())
        late.commit()
    link_people(book.engine)

    assert book.persons() == {frozenset(NUMBERS[:2])}
