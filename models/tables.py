"""The base tables, ours to change. Downstream reads the views of schema `v1` (migrations) and nothing else.

Calls and contacts refer to telephone numbers, never to each other, so nothing depends on the order of arrival.
"""

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

TWO_WAYS_SQL = r"e164 ~ '^\+5[245]'"
"""Countries with lines that are written in two ways (`models.phone.TWO_WAYS`)."""

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
MaybeMoment = Annotated[datetime | None, mapped_column(DateTime(timezone=True))]
Now = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]
Count = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, int: BigInteger, bytes: BYTEA, dict[str, Any]: JSONB, list[str]: ARRAY(Text)}  # noqa: RUF012 - SQLAlchemy's own form


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
    """Why it links nobody: shared, own or erased."""
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
    """Numbers that a human told apart by undoing a merge: those on different sides are never one person again."""

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


class RecordColumns:
    """What every synced record carries: its key, its version, and what arrived."""

    id: Mapped[Id]
    provider: Mapped[str]
    account: Mapped[str]
    external_id: Mapped[str]
    digest: Mapped[bytes]
    """Of the bytes a list held and the default region: equal means nothing to do, without reading the row."""
    lookup_digest: Mapped[bytes | None]
    """The same of an answer by id: where its shape differs from the list's, neither overwrites the other for that."""
    source_updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """The provider's change time, -infinity where it has none. First part of the version."""
    observed_at: Mapped[Moment]
    """When the request that brought this content was sent, by the database's clock. Second part of the version."""
    first_seen_at: Mapped[Now]
    changed_at: Mapped[Now]
    deleted_at: Mapped[MaybeMoment]
    """As the provider says."""
    vanished_at: Mapped[MaybeMoment]
    """When a proven scan no longer held it and the provider denied it by id."""
    scope: Mapped[str] = mapped_column(server_default=text("''"))
    """The channel or workspaces it was last loaded through: only a list of the same scope can miss it."""
    payload: Mapped[dict[str, Any]]


class Call(RecordColumns, Base):
    __tablename__ = "call"
    __table_args__ = (
        UniqueConstraint("provider", "account", "external_id"),
        Index("ix_call_started_at_provider", "started_at", "provider"),
        Index("ix_call_remote_e164_started_at", "remote_e164", "started_at"),
        Index("ix_call_not_final", "provider", "account", "started_at", postgresql_where=text("NOT is_final")),
        Index("ix_call_changed_at", "changed_at"),
        Index("ix_call_own_e164_started_at", "own_e164", "started_at"),
        Index("ix_call_hidden", "own_e164", "started_at", postgresql_where=text("remote_e164 IS NULL")),
        Index(
            "ix_call_parent_external_id",
            "provider",
            "account",
            "parent_external_id",
            postgresql_where=text("parent_external_id IS NOT NULL"),
        ),
        CheckConstraint("duration_seconds >= 0", "duration_not_negative"),
    )
    started_at: Mapped[Moment]
    direction: Mapped[str]
    outcome: Mapped[str]
    provider_status: Mapped[str | None]
    answered_at: Mapped[MaybeMoment]
    ended_at: Mapped[MaybeMoment]
    duration_seconds: Mapped[int | None] = mapped_column(Integer)
    remote_e164: Mapped[str | None]
    own_e164: Mapped[str | None]
    remote_raw: Mapped[str | None]
    own_raw: Mapped[str | None]
    contact_external_id: Mapped[str | None]
    parent_external_id: Mapped[str | None]
    agent: Mapped[str | None]
    is_final: Mapped[bool]


class Contact(RecordColumns, Base):
    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("provider", "account", "external_id"),
        Index("ix_contact_e164s", "e164s", postgresql_using="gin"),
        Index("ix_contact_changed_at", "changed_at", "id"),
    )
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    email: Mapped[str | None]
    e164s: Mapped[list[str]]
    opted_out: Mapped[bool | None]
    crm_ids: Mapped[dict[str, Any]]


class Window(Base):
    """The ledger: one row per window of a stream. It is the truth of what was read, and the lock on who reads it.

    A window is a stretch of time [since, until), or, where `position` is set, a run of pages of one scan.
    """

    __tablename__ = "sync_window"
    __table_args__ = (
        Index("ix_sync_window_open", "provider", "account", "stream", postgresql_where=text("state = 'open'")),
        Index("ix_sync_window_stream", "provider", "account", "stream", "scope", "until"),
        Index("ix_sync_window_scan_id", "scan_id"),
        CheckConstraint("since < until", "not_inverted"),
        CheckConstraint("state IN ('open', 'done', 'split')", "state"),
        CheckConstraint("fetched = inserted + updated + unchanged + rejected + duplicate", "receipt"),
    )
    id: Mapped[Id]
    provider: Mapped[str]
    account: Mapped[str]
    stream: Mapped[str]
    scope: Mapped[str]
    """Channels or workspaces the account is narrowed to, and the filters asked for; '' for everything."""
    listing: Mapped[str]
    """Which of the scope's lists, e.g. one channel; '' where there is one."""
    filtered: Mapped[bool]
    """Read through a filter: proves nothing of the stream."""
    origin: Mapped[str]
    since: Mapped[MaybeMoment]
    until: Mapped[MaybeMoment]
    scan_id: Mapped[str | None]
    position: Mapped[str | None]
    """Where in the scan's list this window begins; null: at its start, bounded by time instead."""
    end_position: Mapped[str | None]
    """Where the scan's next window begins; null: where reading this one ends."""
    doubted: Mapped[bool] = mapped_column(server_default=text("false"))
    """Of a scan: the provider's total is not believed, so each part is read until two readings are alike."""
    exhaustive: Mapped[bool]
    """Of a scan: reads to the list's end, and so checks the order that lets other scans stop early."""
    in_order: Mapped[bool | None]
    """Of a scan: whether the records came newest first."""
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    verdict: Mapped[str | None]
    reason: Mapped[str | None]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[MaybeMoment]
    attempts: Mapped[Count]
    requests: Mapped[Count]
    pages: Mapped[Count]
    provider_total: Mapped[int | None]
    """By the last page of the reading."""
    total_before: Mapped[int | None]
    """By its first page."""
    distinct_ids: Mapped[Count]
    head_ids: Mapped[list[str] | None]
    """Of a scan: the ids of the first page, which touch those of the part before."""
    tail_ids: Mapped[list[str] | None]
    moved: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the list was seen to gain, lose or shift records during the reading."""
    drifts: Mapped[Count]
    """How often what this window reads was read before in vain, because the list moved."""
    fetched: Mapped[Count]
    inserted: Mapped[Count]
    updated: Mapped[Count]
    unchanged: Mapped[Count]
    rejected: Mapped[Count]
    duplicate: Mapped[Count]
    deleted: Mapped[Count]
    created_at: Mapped[Now]
    started_at: Mapped[MaybeMoment]
    finished_at: Mapped[MaybeMoment]


class Sighting(Base):
    """A record that an unfinished scan has seen; needed until its end tells which were missing."""

    __tablename__ = "scan_sighting"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
    scan_id: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)


class Settling(Base):
    """A call that is looked at again by id, at growing gaps, until it is final."""

    __tablename__ = "settling_call"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    looks: Mapped[int]
    next_look_at: Mapped[Moment]


class RejectedRow(Base):
    """A record that could not be read, kept with its reason until it can."""

    __tablename__ = "rejected_row"
    __table_args__ = (
        UniqueConstraint("provider", "account", "stream", "digest"),
        Index(
            "ix_rejected_row_unresolved",
            "provider",
            "account",
            "stream",
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    provider: Mapped[str]
    account: Mapped[str]
    stream: Mapped[str]
    external_id: Mapped[str | None]
    reason: Mapped[str]
    digest: Mapped[bytes]
    payload: Mapped[dict[str, Any] | None]
    content: Mapped[bytes]
    """The bytes as received."""
    first_seen_at: Mapped[Now]
    last_seen_at: Mapped[Now]
    resolved_at: Mapped[MaybeMoment]


RUNS = ("provider", "account", "stream", "started_at")


class Run(Base):
    """One stream of one run: the receipt."""

    __tablename__ = "sync_run"
    __table_args__ = (
        Index("ix_sync_run_stream", *RUNS),
        Index("ix_sync_run_backfill", *RUNS, postgresql_where=text("backfill")),
        Index("ix_sync_run_held_back", *RUNS, postgresql_where=text("held_back > 0")),
        CheckConstraint("fetched = inserted + updated + unchanged + rejected + duplicate", "receipt"),
    )
    id: Mapped[Id]
    flow_run_id: Mapped[str | None]
    provider: Mapped[str]
    account: Mapped[str]
    stream: Mapped[str]
    state: Mapped[str]
    filtered: Mapped[bool]
    """Asked for by filter or id: says nothing of the stream as a whole."""
    started_at: Mapped[Now]
    heartbeat_at: Mapped[Now]
    finished_at: Mapped[MaybeMoment]
    windows: Mapped[Count]
    requests: Mapped[Count]
    fetched: Mapped[Count]
    inserted: Mapped[Count]
    updated: Mapped[Count]
    unchanged: Mapped[Count]
    duplicate: Mapped[Count]
    rejected: Mapped[Count]
    deleted: Mapped[Count]
    error: Mapped[str | None]
    backfill: Mapped[bool] = mapped_column(server_default=text("false"))
    """An explicit range that somebody asked for: its end says nothing of the live stream."""
    error_kind: Mapped[str | None]
    """The class of the error that the first failed window failed with."""
    held_back: Mapped[Count]
    """Records that the brake did not let be marked as deleted, and the stretch of time they began in."""
    held_since: Mapped[MaybeMoment]
    held_until: Mapped[MaybeMoment]


class Incident(Base):
    """Something that is wrong, from when it was found until it is over, and whether people were told."""

    __tablename__ = "incident"
    __table_args__ = (
        Index(
            "uq_incident_open",
            "cause",
            "provider",
            "account",
            "stream",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_incident_unsent",
            "opened_at",
            postgresql_where=text("opening_sent_at IS NULL OR recovery_sent_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    cause: Mapped[str]
    provider: Mapped[str] = mapped_column(server_default=text("''"))
    account: Mapped[str] = mapped_column(server_default=text("''"))
    stream: Mapped[str] = mapped_column(server_default=text("''"))
    """A stream, a deployment, a pair of accounts, or '' for the account or the installation as a whole."""
    since: Mapped[Moment]
    times: Mapped[int]
    detail: Mapped[str]
    consequence: Mapped[str] = mapped_column(server_default=text("''"))
    flow_run_id: Mapped[str | None]
    opened_at: Mapped[Now]
    last_seen_at: Mapped[Now]
    closed_at: Mapped[MaybeMoment]
    opening_sent_at: Mapped[MaybeMoment]
    recovery_sent_at: Mapped[MaybeMoment]


class SyncStream(Base):
    """A stream that is configured, from the first time a command saw it, and the scope it is read in."""

    __tablename__ = "sync_stream"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]


class RequestBudget(Base):
    """When the next request of an account may be sent: one row, one statement, however many processes."""

    __tablename__ = "request_budget"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[Moment]
