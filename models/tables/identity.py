"""Telephone numbers and whose they are: links between contacts and numbers, merges and their undoing."""

from typing import Any

from sqlalchemy import CheckConstraint, Computed, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Id, MaybeMoment, Moment, Now

TWO_WAYS_SQL = r"e164 ~ '^\+5[245]'"
"""Countries with lines that are written in two ways (`models.identity.phone.TWO_WAYS`)."""


class Phone(Base):
    """A telephone number that some record named, and whose it is: a number alone is a person of its own."""

    __tablename__ = "phone"
    __table_args__ = (
        Index("ix_phone_person_id", "person_id"),
        Index(
            "ix_phone_person_e164s",
            text("coalesce(person_e164s, ARRAY[e164])"),
            postgresql_using="gin",
            postgresql_where=text("person_id = id"),
        ),
        Index("ix_phone_unlinked", "unlinked", postgresql_where=text("unlinked IS NOT NULL")),
        Index("ix_phone_two_ways", "first_seen_at", "id", postgresql_where=text(TWO_WAYS_SQL)),
    )
    id: Mapped[Id]
    e164: Mapped[str] = mapped_column(unique=True)
    first_seen_at: Mapped[Now]
    linked_to: Mapped[int | None]
    """The phone whose id is the person's, where that is another one."""
    unlinked: Mapped[str | None]
    """Why it links no contacts: shared, own or erased."""
    unlinked_since: Mapped[MaybeMoment]
    linked_by: Mapped[str | None]
    """What says that the contacts that hold it are one person though their names differ or miss."""
    person_e164s: Mapped[list[str] | None]
    """All numbers of its person, the best first: on the phone that gave its id to several."""
    person_id: Mapped[int | None] = mapped_column(
        Computed("CASE WHEN unlinked IS NULL THEN COALESCE(linked_to, id) ELSE NULL::bigint END", persisted=True)
    )


class ContactPhone(Base):
    """Which contact holds which number, as far as people were linked by it."""

    __tablename__ = "contact_phone"
    __table_args__ = (Index("ix_contact_phone_phone_id", "phone_id"),)
    contact_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    phone_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer)
    leads: Mapped[bool]
    """The one number through which the contact stands for a person."""


class PersonChange(Base):
    """The log of persons that became one, or several."""

    __tablename__ = "person_change"
    __table_args__ = (
        Index("ix_person_change_person_id", "person_id"),
        CheckConstraint("kind IN ('merge', 'split')", "kind"),
    )
    id: Mapped[Id]
    kind: Mapped[str]
    person_id: Mapped[int]
    """The one person: after a merge, before a split."""
    sides: Mapped[list[list[int]]] = mapped_column(JSONB)
    """Phone ids by person: before a merge, after a split."""
    cause: Mapped[dict[str, Any]]
    changed_at: Mapped[Now]
    undone_at: Mapped[MaybeMoment]


class PersonApart(Base):
    """Numbers that a person separated by undoing a merge: those on different sides are never one person again."""

    __tablename__ = "person_apart"
    __table_args__ = (Index("ix_person_apart_phone_id", "phone_id"),)
    merge_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    phone_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    side: Mapped[int] = mapped_column(Integer)


class PersonProgress(Base):
    """Up to which contact and which phone, in the order of change, people are linked."""

    __tablename__ = "person_progress"
    entity: Mapped[str] = mapped_column(primary_key=True)
    changed_at: Mapped[Moment]
    id: Mapped[int]
