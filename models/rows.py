"""Neutral rows: what a provider's mapper returns, in the order of the columns they are loaded into."""

from datetime import datetime
from typing import Any, NamedTuple

from models.vocabulary import Direction, Outcome

STAMP = ("provider", "account", "digest", "lookup_digest", "observed_at", "payload", "scope")
"""What is stored of every record beside its row's fields."""


class CallRow(NamedTuple):
    """One call record. Times aware, `duration_seconds` whole seconds, numbers E.164."""

    external_id: str
    started_at: datetime
    direction: Direction = Direction.UNKNOWN
    outcome: Outcome = Outcome.UNKNOWN
    provider_status: str | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: int | None = None
    remote_e164: str | None = None
    own_e164: str | None = None
    remote_raw: str | None = None
    own_raw: str | None = None
    contact_external_id: str | None = None
    parent_external_id: str | None = None
    agent: str | None = None
    is_final: bool = False
    deleted_at: datetime | None = None
    source_updated_at: datetime | None = None
    """The provider's own change time, which decides between two versions; None: when we asked decides."""

    @property
    def people(self) -> list[str]:
        """The numbers of the other party, not our own."""
        return [self.remote_e164] if self.remote_e164 else []


class ContactRow(NamedTuple):
    """One contact record. `e164s` in the provider's order, `crm_ids` by CRM name."""

    external_id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    e164s: list[str] = []  # noqa: RUF012 - never mutated
    opted_out: bool | None = None
    crm_ids: dict[str, Any] = {}  # noqa: RUF012 - never mutated
    deleted_at: datetime | None = None
    source_updated_at: datetime | None = None
    """As of a call; the last field of both."""

    @property
    def people(self) -> list[str]:
        return self.e164s


Row = CallRow | ContactRow
