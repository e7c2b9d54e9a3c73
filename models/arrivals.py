"""A record on its way from a page into the tables, as small tuples."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from models.rows import Row


class Rejection(NamedTuple):
    """A record that could not be read or held, kept with its reason."""

    external_id: str | None
    text: str
    digest: bytes
    reason: str


class Arrival(NamedTuple):
    """One record as it stood in a page or in an answer by id."""

    external_id: str
    text: str
    digest: bytes
    observed_at: datetime
    """When the request that brought it was sent, by the database's clock."""
    scope: str = ""
    by_id: bool = False
    other_digest: bytes | None = None
    """Of what a list says, for a record that came by id, and the other way round."""
    row: Row | None = None
    """Already read, where the extraction needed its times or its details; else reading is left to the load."""
    sorted_at: datetime | None = None
    """The time that its list is supposed to be sorted by, where the list cannot be bounded."""
    is_known: bool = False
    """The same content was stored when its page was read, so that its details were not asked for."""
    id_is_number: bool = False
    """Its id came as a JSON number."""
    is_incomplete: bool = False
    """Its details could not be had: its digest is not stored, so that the next reading asks for them again."""

    def rejected(self, reason: str) -> Rejection:
        return Rejection(self.external_id, self.text, self.digest, reason)

    @property
    def digests(self) -> tuple[bytes, bytes | None]:
        """Of the list's record, and of the answer by id."""
        if self.is_incomplete:
            return self.other_digest if self.by_id and self.other_digest else b"", None
        return (self.other_digest or b"", self.digest) if self.by_id else (self.digest, self.other_digest)


class RecordPage(NamedTuple):
    """What one page held."""

    envelope: dict[str, Any]
    arrivals: Sequence[Arrival | Rejection]
    ids: list[str]
    """Of its records in their order; of one without an id its digest."""
    unnamed: frozenset[str] = frozenset()
    """The digests among them: several such records may be the same to the byte."""
    is_repeated: bool = False
    """The same bytes came before in this window, so that nothing of it has to be loaded."""
    ends: Sequence[Arrival | Rejection] = ()
    """Where the list begins and where this page ends, of a list asked for by time; also where it is repeated."""

    @property
    def sorted_at(self) -> list[datetime | None]:
        """The times that an unbounded list is supposed to be sorted by."""
        return [one.sorted_at if isinstance(one, Arrival) else None for one in self.arrivals]


class Prepared(NamedTuple):
    """What loading needs of a row."""

    line: bytes
    """What is staged of it, as COPY takes it: its row's fields, then `models.rows.STAMP`."""
    numbers: Sequence[str]
    """Telephone numbers of the other party, not our own."""
    is_deleted: bool


class Loadable(NamedTuple):
    """A record that is ready to be copied."""

    arrival: Arrival
    prepared: Prepared


class Stored(NamedTuple):
    """What the tables hold of a record."""

    digest: bytes
    lookup_digest: bytes | None
    is_deleted: bool

    def digests(self, *, by_id: bool) -> tuple[bytes | None, bytes | None]:
        """What the same kind of answer said of it, and what the other kind said."""
        return (self.lookup_digest, self.digest) if by_id else (self.digest, self.lookup_digest)


@dataclass(frozen=True, slots=True)
class Counts:
    """Every record that a page held is in exactly one of these."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    deleted: int = 0
    """Tombstones written; outside the sum."""

    @property
    def fetched(self) -> int:
        return self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))
