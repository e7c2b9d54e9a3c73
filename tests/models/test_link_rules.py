"""Whether a number links the contacts that hold it: the rules, one by one."""

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.identity.link_rules import MOST_NAMES, MOST_SPELLINGS, Holder, LinkDecision, Rule, judge, name_words

SHARED = LinkDecision(links=False)


def holder(name: str | None = None, email: str | None = None, **crm_ids: Any) -> Holder:
    return Holder(0, ("p", "a", "x"), name, email, crm_ids, 0.0, [1])


def linked(rule: Rule | None) -> LinkDecision:
    return LinkDecision(links=True, rule=rule)


def test_needs_no_rule() -> None:
    """One holder, or none, needs no rule; nor do holders of one name."""
    assert judge([]) == judge([holder("Ann Lee")]) == linked(None)
    assert judge([holder("Müller, Ann", "a@x"), holder("ann muller", "b@x", crm=1)]) == linked(None)


def test_strongest_rule_is_told() -> None:
    """A CRM id says more than an e-mail address, that more than a name, that more than the number alone."""
    assert judge([holder("Ann", "a@x", crm=1), holder("Anna", "A@x ", crm="1")]) == linked(Rule.CRM_ID)
    assert judge([holder("Ann", "a@x"), holder("Anna", "A@X")]) == linked(Rule.EMAIL)
    assert judge([holder("Müller, Ann"), holder("ann muller"), holder()]) == linked(Rule.NAME)
    assert judge([holder("Ann"), holder()]) == linked(Rule.NUMBER)
    assert judge([holder("Ann"), holder("Bo")]) == linked(Rule.NUMBER)


def test_too_many_names() -> None:
    """A family may share a number, more names are a switchboard; who has no name is not counted."""
    family = [holder(f"Person {n}") for n in range(MOST_NAMES)]

    assert judge([*family, holder(), holder(None, "x@y")]).links
    assert judge([*family, holder("One More")]) == SHARED


def test_same_address_or_id_counts_once() -> None:
    """Spellings of one person's name, held together by an e-mail address or CRM id, are one name."""
    names = ("Bob", "Robert Smith", "R. Smith")
    assert judge([*(holder(name, "bob@x") for name in names), holder("Smith, Bob")]).links
    assert judge([*(holder(name, crm=7) for name in names), holder("Bobby", crm=7)]) == SHARED
    assert judge([holder(name, crm=7) for name in names]) == linked(Rule.CRM_ID)


def test_address_of_a_department() -> None:
    """An address that more than a family uses names nobody."""
    assert judge([holder(f"Person {n}", "info@x") for n in range(MOST_NAMES + 1)]) == SHARED


def test_addresses_deny() -> None:
    """Three names with an e-mail address each are three people."""
    assert judge([holder("Ann", "a@x"), holder("Bo", "b@x")]).links
    assert judge([holder("Ann", "a@x"), holder("Bo", "b@x"), holder("Cy", "c@x")]) == SHARED


def test_crm_denies() -> None:
    """Two names with two ids in one CRM are two people; one name entered twice is one."""
    assert judge([holder("Ann", crm=1), holder("Bo", crm=2)]) == SHARED
    assert judge([holder("Ann", crm=1), holder("ANN", crm=2)]) == linked(None)
    assert judge([holder("Ann", crm=1), holder("Bo", other=2)]).links
    assert judge([holder("Ann", "a@x", crm=1), holder("Anna", "a@x", crm=2)]) == linked(Rule.EMAIL)


def test_crowd() -> None:
    """Beyond so many names nothing makes them one, so that a sample of them is a proof."""
    assert judge([holder(f"Name {n}", crm=n % MOST_NAMES) for n in range(MOST_SPELLINGS + 1)]) == SHARED


def test_names() -> None:
    """Case, accents, punctuation and order do not make another name."""
    assert name_words("Ana-María O'Neill") == name_words("o neill, ANA maria")
    assert name_words("李 明") == ("明", "李")
    assert name_words(None) == name_words(" - ") == ()


names = st.sampled_from(["Ann", "Bo", "Cy", "Di", None])
emails = st.sampled_from(["a@x", "b@x", "c@x", None])
crms = st.dictionaries(st.sampled_from(["one", "other"]), st.integers(1, 2), max_size=2)


@given(st.lists(st.builds(lambda n, e, c: holder(n, e, **c), names, emails, crms), max_size=4))
def test_order_is_nothing(holders: list[Holder]) -> None:
    """The verdict does not depend on the order of the holders."""
    assert len({judge(order) for order in permutations(holders)}) == 1
