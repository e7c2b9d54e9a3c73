"""Calls, contacts, and records that could not be read, as the providers sent them.

Calls and contacts refer to telephone numbers, never to each other, so nothing depends on the order of arrival.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Id, MaybeMoment, Moment, Now


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
    """The provider's change time, or `observed_at` where it has none or one beyond that. First part of the version."""
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


class CallColumns:
    """What a record of a call says, now and before."""

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


class Call(RecordColumns, CallColumns, Base):
    __tablename__ = "call"
    __table_args__ = (
        UniqueConstraint("provider", "account", "external_id"),
        Index("ix_call_started_at_provider", "started_at", "provider"),
        Index("ix_call_remote_e164_started_at", "remote_e164", "started_at"),
        Index("ix_call_not_final", "provider", "account", "started_at", postgresql_where=text("NOT is_final")),
        Index("ix_call_changed_at", "changed_at"),
        Index("ix_call_own_e164_started_at", "own_e164", "started_at"),
        Index("ix_call_hidden", "own_e164", "started_at", postgresql_where=text("remote_e164 IS NULL")),
        Index("ix_call_hidden_started_at", "started_at", postgresql_where=text("remote_e164 IS NULL")),
        Index(
            "ix_call_parent_external_id",
            "provider",
            "account",
            "parent_external_id",
            postgresql_where=text("parent_external_id IS NOT NULL"),
        ),
        CheckConstraint("duration_seconds >= 0", "duration_not_negative"),
    )


class FormerCall(CallColumns, Base):
    """What a record of a call said before, where history is kept: written by a trigger of `call`."""

    __tablename__ = "call_history"
    __table_args__ = (
        Index("ix_call_history_record", "provider", "account", "external_id", "valid_from"),
        Index("ix_call_history_valid_to", "valid_to"),
    )
    id: Mapped[Id]
    provider: Mapped[str]
    account: Mapped[str]
    external_id: Mapped[str]
    deleted_at: Mapped[MaybeMoment]
    valid_from: Mapped[Moment]
    valid_to: Mapped[Moment]


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
    opted_out_since: Mapped[MaybeMoment]
    """When we saw it opted out and had seen it otherwise before; None where it was so from the first."""
    crm_ids: Mapped[dict[str, Any]]


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
