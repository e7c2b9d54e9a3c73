"""Incidents, open and over."""

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Id, MaybeMoment, Moment, Now


class Incident(Base):
    """Something that is wrong, from when it was found until it is over, and which messages were sent."""

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
