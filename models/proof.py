"""What is proven, and what follows from it: the one place that decides it. docs/promises.md says it for people.

A reading of a list is compared with what the provider says of the list (how many records it holds, whether more
follow) and with the reading before.

- As many distinct records as the provider counts, and counted from beginning to end: proven.
- Fewer than it counts, or more follow by its own word: never proven, however often it is read.
- More than it counts, or no count at all: proven when two readings in a row held the same records.
"""

from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from models.vocabulary import Verdict


class Evidence(Protocol):
    """What one reading of a list showed."""

    @property
    def ids(self) -> AbstractSet[str]:
        """Of the distinct records that came."""

    @property
    def total(self) -> int | None:
        """Records that the list holds, by the provider's word on its last page; None where it says nothing."""

    @property
    def recounted(self) -> bool:
        """Whether the total changed during the reading: a record may have slid to a page that was read before."""

    @property
    def says_more(self) -> bool:
        """Whether the provider said at the end that more records follow."""


class Proof(NamedTuple):
    """What a reading can claim of its completeness."""

    verdict: Verdict
    reason: str | None = None
    is_denied: bool = False
    """The provider's own word is that more exists than it gave: reading again does not help by itself."""


PROVEN = Proof(Verdict.PROVEN)
READ_ONCE = Proof(Verdict.UNPROVEN, "read once")
UNDECIDED = Proof(Verdict.UNPROVEN, "records that are held did not come: they are to be asked for by id")
NOTHING_CAME = Proof(Verdict.UNPROVEN, "no record came: the list is to show first that it still holds some")
MOVED = "the list moved: two readings in a row held different records"


def prove(now: Evidence, before: Evidence | None) -> Proof:
    """The proof of a whole list, by its newest reading and the one before it."""
    came = len(now.ids)
    if denial := denied(came, now.total, says_more=now.says_more):
        return denial if before is None or now.ids == before.ids else Proof(Verdict.UNPROVEN, MOVED)
    if came == now.total and not now.recounted:
        return PROVEN
    if before is None:
        return READ_ONCE
    return alike(now, before)


def alike(now: Evidence, before: Evidence) -> Proof:
    """The proof of a list without a total, or with one that is too small: two readings held the same records."""
    if now.ids != before.ids:
        return Proof(Verdict.UNPROVEN, MOVED)
    came = len(now.ids)
    if now.total is not None and now.total < came:
        return Proof(Verdict.PROVEN, f"read twice alike: {came:,} records, more than the {now.total:,} counted")
    return PROVEN


def denied(came: int, total: int | None, *, says_more: bool) -> Proof | None:
    """The provider's own word against a reading of `came` distinct records, where there is one."""
    if total is not None and came < total:
        said = f"{came:,} records came of {total:,} that the provider counts"
        return Proof(Verdict.UNPROVEN, said, is_denied=True)
    if says_more:
        said = f"{came:,} records came and the provider says that more follow, but gives none"
        return Proof(Verdict.UNPROVEN, said, is_denied=True)
    return None
