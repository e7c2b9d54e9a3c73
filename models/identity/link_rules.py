"""Whether a number links the contacts that hold it, and what says so: pure functions of the contacts.

A number links no contacts when too many names share it, or when e-mail addresses or CRM ids deny that its holders are
one. The other way round, holders with the same e-mail address or CRM id count once, however their names are spelt.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple
from unicodedata import combining, normalize

from models.identity.union_find import Groups

MOST_NAMES = 3
"""Different names that may hold a number together, a family's, before it is a switchboard's."""
MOST_MAILBOXES = 2
"""Of these, those that may have e-mail addresses of their own."""
MOST_SPELLINGS = 10
"""Names beyond which no e-mail address or CRM id makes them one. So a handful of a crowd's contacts is proof enough."""
WORDS = re.compile(r"[^\W_]+")


class Rule(StrEnum):
    """What says that holders of a number are one person though their names differ or miss, the strongest first."""

    CRM_ID = "crm_id"
    EMAIL = "email"
    NAME = "name"
    NUMBER = "number"  # nothing but the number itself


class Holder(NamedTuple):
    """A contact, as far as it says who holds its numbers."""

    id: int
    key: tuple[str, str, str]
    """Provider, account, external id."""
    name: str | None
    """None also for a placeholder such as "Unknown"."""
    email: str | None
    crm_ids: Mapping[str, Any]
    updated: float
    """The provider's change time in seconds, -inf where it has none."""
    phones: Sequence[int]
    """Ids, in the provider's order."""
    lead: int | None = None
    """The number through which it stands for a person now."""

    @property
    def trust(self) -> tuple[Any, ...]:
        """Sorts the most trusted first: known to a CRM, then the freshest."""
        return not self.crm_ids, -self.updated, self.key


class LinkDecision(NamedTuple):
    links: bool
    rule: Rule | None = None
    """None for a holder alone, and for holders of one name."""


Evidence = tuple[str, ...]
"""A rule, and what two holders must have in common for it."""


def judge(holders: Sequence[Holder]) -> LinkDecision:
    """Whether a number that these contacts hold links them, and what says so."""
    names = {name_words(holder.name) for holder in holders}
    if len(holders) < 2 or (len(names) == 1 and () not in names):
        return LinkDecision(links=True)
    if is_crowd(holder.name for holder in holders):
        return LinkDecision(links=False)
    facts = _distinguishing([set(evidence(holder)) for holder in holders])
    named = [group for group in _same(holders, facts) if any(holder.name for holder in group)]
    if _denied(named):
        return LinkDecision(links=False)
    times = Counter(chain.from_iterable(facts))
    common = {key[0] for key, count in times.items() if count > 1} if len(named) < 2 else set()
    return LinkDecision(links=True, rule=next((rule for rule in Rule if rule in common), Rule.NUMBER))


def is_crowd(names: Iterable[str | None]) -> bool:
    """Whether these are more names than anyone has; adding names never changes a yes."""
    different = {name for name in names if name}
    return len(different) > MOST_SPELLINGS and len(set(map(name_words, different))) > MOST_SPELLINGS


def evidence(holder: Holder) -> Iterator[Evidence]:
    """What two contacts of one person may have in common, beside the number."""
    yield from ((Rule.CRM_ID, system, str(id_)) for system, id_ in holder.crm_ids.items())
    if holder.email:
        yield Rule.EMAIL, holder.email.strip().lower()
    if words := name_words(holder.name):
        yield Rule.NAME, *words


@lru_cache(maxsize=50_000)
def name_words(name: str | None) -> tuple[str, ...]:
    """A name without case, accents, punctuation and order: "Müller, Ann" is ann and muller."""
    plain = "".join(sign for sign in normalize("NFKD", name or "") if not combining(sign))
    return tuple(sorted(WORDS.findall(plain.casefold())))


def _distinguishing(facts: list[set[Evidence]]) -> list[set[Evidence]]:
    """Without what more than a family has in common: the address of a department names no person."""
    if len(facts) <= MOST_NAMES:
        return facts
    names: dict[Evidence, set[Evidence]] = defaultdict(set)
    for keys in facts:
        for key in keys:
            names[key] |= {name for name in keys if name[0] == Rule.NAME}
    return [{key for key in keys if len(names[key]) <= MOST_NAMES} for keys in facts]


def _same(holders: Sequence[Holder], facts: list[set[Evidence]]) -> list[list[Holder]]:
    """The holders in groups that have a name, an address or an id in common."""
    groups, first = Groups(), dict[Evidence, int]()
    for i, keys in enumerate(facts):
        for key in keys:
            groups.join(i, first.setdefault(key, i))
    return [[holders[i] for i in members] for members in groups.of(range(len(holders))).values()]


def _denied(named: list[list[Holder]]) -> bool:
    """Whether these groups, each with a name of its own, cannot be one person."""
    mailboxes = sum(any(holder.name and holder.email for holder in group) for group in named)
    systems = Counter(chain.from_iterable({name for one in group for name in one.crm_ids} for group in named))
    twice_in_one_crm = max(systems.values(), default=0) > 1
    return len(named) > MOST_NAMES or mailboxes > MOST_MAILBOXES or twice_in_one_crm
