"""The change feed: what changed, in commit order, how far it is kept, and which accounts have news to announce."""

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Id, MaybeMoment, Now


class RecordChange(Base):
    """One change of one record. Written under one lock, so that `sequence` grows in the order of the commits."""

    __tablename__ = "record_change"
    sequence: Mapped[Id]
    entity: Mapped[str]
    provider: Mapped[str]
    account: Mapped[str]
    external_id: Mapped[str]
    unified_call_id: Mapped[int | None]
    kind: Mapped[str]
    changed_at: Mapped[Now]


class ChangeHorizon(Base):
    """How far the feed was cut off: one row, or none while nothing was."""

    __tablename__ = "change_horizon"
    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    pruned_up_to: Mapped[int]
    """The greatest sequence that is gone."""


class ChangeNotice(Base):
    """When the changes of an account were last announced to listeners, and since when some are not."""

    __tablename__ = "change_notice"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    pending_since: Mapped[MaybeMoment]
    notified_at: Mapped[MaybeMoment]
