"""The ledger: windows, sightings of scans, receipts of runs, streams, and the request budget."""

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Count, Id, MaybeMoment, Moment, Now


class Window(Base):
    """The ledger: one row per window of a stream. It is the truth of what was read, and the lock on who reads it.

    A window is a stretch of time [since, until), or, where `scan_id` is set, a run of pages of one scan (`ScanPart`).
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
    """The scan that the window is a part of; null: bounded by time instead."""
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
    says_more: Mapped[bool] = mapped_column(server_default=text("false"))
    """By the provider's own word more records follow the last that it gave."""
    distinct_ids: Mapped[Count]
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


class ScanPart(Base):
    """What a window knows beside its receipt where it is a run of pages of one scan, not a stretch of time."""

    __tablename__ = "scan_part"
    __table_args__ = (Index("ix_scan_part_scan_id", "scan_id"),)
    window_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    scan_id: Mapped[str]
    position: Mapped[str]
    """Where in the scan's list it begins."""
    end_position: Mapped[str | None]
    """Where the scan's next part begins; null: where reading this one ends."""
    exhaustive: Mapped[bool]
    """The scan reads to the list's end, and so checks the order that lets other scans stop early."""
    doubted: Mapped[bool]
    """The provider's total is not believed, so each part is read until two readings are alike."""
    in_order: Mapped[bool | None]
    """Whether the records came newest first."""
    head_ids: Mapped[list[str] | None]
    """Ids of the first page, which touch those of the part before."""
    tail_ids: Mapped[list[str] | None]


class Sighting(Base):
    """A record that an unfinished scan has seen; needed until its end shows which were missing."""

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
    """An explicit range that was asked for: its end says nothing of the live stream."""
    error_kind: Mapped[str | None]
    """The class of the error that the first failed window failed with."""
    held_back: Mapped[Count]
    """Records that the brake did not let be marked as deleted, and the stretch of time they began in."""
    held_since: Mapped[MaybeMoment]
    held_until: Mapped[MaybeMoment]


class SyncStream(Base):
    """A stream that is configured, from the first time a command saw it, and the scope it is read in."""

    __tablename__ = "sync_stream"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]


class ObservedBehaviour(Base):
    """What was found when an assumption of a provider was tried on one list, and since when it is so."""

    __tablename__ = "observed_behaviour"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    listing: Mapped[str] = mapped_column(primary_key=True)
    assumption: Mapped[str] = mapped_column(primary_key=True)
    standing: Mapped[str]
    value: Mapped[str]
    words: Mapped[str]
    previous: Mapped[str | None]
    """What was found before it changed."""
    tried_at: Mapped[Now]
    since: Mapped[Now]


class RequestBudget(Base):
    """When the next request of an account may be sent: one row, one statement, however many processes."""

    __tablename__ = "request_budget"
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[Moment]
    postponed_until: Mapped[Moment | None]
    """The provider asked for a pause that is longer than a run waits."""
