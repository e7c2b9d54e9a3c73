"""What matching keeps: members of real calls, pairs, rivals, a log of changes, calibrations, verdicts, runs.

A real call's id is the smallest id of its members, and everything it shows is theirs; `unified_call` keeps that for
reading. Narrow tables beside `call`, so that reconciling never rewrites a call; without foreign keys: no call is ever
removed.
"""

from typing import Annotated, Any

from sqlalchemy import REAL, BigInteger, CheckConstraint, Double, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base, Count, Id, MaybeMoment, Moment, Now

Key = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
Nats = Annotated[float, mapped_column(REAL)]


class Member(Base):
    """A record in its real call. One call of an account in a real call, save for its legs."""

    __tablename__ = "call_member"
    __table_args__ = (
        Index(
            "uq_call_member_unified_call_id_provider_account",
            "unified_call_id",
            "provider",
            "account",
            unique=True,
            postgresql_where=text("leg_of IS NULL"),
        ),
        Index("ix_call_member_unified_call_id", "unified_call_id"),
        Index("ix_call_member_left_behind", "call_id", postgresql_where=text("changed_at = '-infinity'")),
        CheckConstraint("unified_call_id <= call_id", "smallest_id"),
    )
    call_id: Mapped[Key]
    unified_call_id: Mapped[int]
    provider: Mapped[str]
    account: Mapped[str]
    leg_of: Mapped[int | None]
    """The record of the same account whose leg this one is."""
    speaks: Mapped[bool]
    """Whether its outcome is the call's."""
    confidence: Mapped[Nats]
    """0 to 1: of the real call, the probability that its records are one call."""
    by_prior: Mapped[bool]
    """Decided while no other account was known to hold the same calls."""
    changed_at: Mapped[Moment]
    """Of the record, when it was decided: a record that has changed since is to be decided again."""
    decided_at: Mapped[Now]


class Match(Base):
    """A pair of records of different accounts held to be one call, with what speaks for it in nats."""

    __tablename__ = "call_match"
    __table_args__ = (Index("ix_call_match_right_call_id", "right_call_id"),)
    left_call_id: Mapped[Key]
    right_call_id: Mapped[Key]
    unified_call_id: Mapped[int]
    rule: Mapped[str]
    score: Mapped[Nats]
    margin: Mapped[Nats]
    """The probability of the pair, as log odds."""
    prior: Mapped[Nats]
    start: Mapped[Nats]
    length: Mapped[Nats]
    outcome: Mapped[Nats]
    direction: Mapped[Nats]
    run: Mapped[float | None] = mapped_column(REAL)
    """From the habits of either account to write several rows of a call."""
    calibration_id: Mapped[int]
    decided_at: Mapped[Now]


class Rival(Base):
    """An ambiguous record and one that it might be one call with."""

    __tablename__ = "call_rival"
    call_id: Mapped[Key]
    rival_call_id: Mapped[Key]


class MatchLog(Base):
    """A pair that was formed or dissolved, and why."""

    __tablename__ = "match_log"
    __table_args__ = (CheckConstraint("kind IN ('formed', 'dissolved')", "kind"),)
    id: Mapped[Id]
    happened_at: Mapped[Now]
    run_id: Mapped[int]
    kind: Mapped[str]
    left_call_id: Mapped[int]
    right_call_id: Mapped[int]
    unified_call_id: Mapped[int]
    score: Mapped[Nats]
    cause: Mapped[str]


class CalibrationVersion(Base):
    """What was known of two accounts, from when on. Never changed; the newest version counts."""

    __tablename__ = "calibration"
    __table_args__ = (
        UniqueConstraint(
            "left_provider",
            "left_account",
            "right_provider",
            "right_account",
            "version",
            name="uq_calibration_pair_version",
        ),
    )
    id: Mapped[Id]
    left_provider: Mapped[str]
    left_account: Mapped[str]
    right_provider: Mapped[str]
    right_account: Mapped[str]
    version: Mapped[int]
    adopted_at: Mapped[Now]
    reason: Mapped[str]
    is_prior: Mapped[bool]
    support: Mapped[int]
    parameters: Mapped[dict[str, Any]]


class VerdictRow(Base):
    """What a person said of two records; the newest counts."""

    __tablename__ = "verdict"
    __table_args__ = (
        CheckConstraint(
            "(left_provider, left_account, left_external_id) <> (right_provider, right_account, right_external_id)",
            "two_records",
        ),
    )
    id: Mapped[Id]
    left_provider: Mapped[str]
    left_account: Mapped[str]
    left_external_id: Mapped[str]
    right_provider: Mapped[str]
    right_account: Mapped[str]
    right_external_id: Mapped[str]
    same: Mapped[bool]
    held: Mapped[bool]
    """Whether the two were one real call when the person was asked: what the precision is measured by."""
    judged_by: Mapped[str]
    judged_at: Mapped[Now]


class ReconcileRun(Base):
    """One run of the reconciliation: the receipt."""

    __tablename__ = "reconcile_run"
    __table_args__ = (Index("ix_reconcile_run_finished_at", "finished_at"),)
    id: Mapped[Id]
    flow_run_id: Mapped[str | None]
    state: Mapped[str]
    cause: Mapped[str]
    started_at: Mapped[Now]
    horizon: Mapped[Moment]
    """When the oldest transaction began that was then open: what was written before it is seen by this run."""
    finished_at: Mapped[MaybeMoment]
    whole: Mapped[bool]
    """Looked at all that was to be decided, not at a range somebody asked for."""
    records: Mapped[Count]
    changed: Mapped[Count]
    formed: Mapped[Count]
    dissolved: Mapped[Count]
    error: Mapped[str | None]


class DurationMeaning(Base):
    """What an account's durations count, as was learnt: only the talk, or the whole call with its ringing."""

    __tablename__ = "duration_meaning"
    __table_args__ = (CheckConstraint("counts IN ('talk', 'total')", "counts"),)
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    counts: Mapped[str]
    evidence: Mapped[str]
    learnt_at: Mapped[Now]


class UnifiedCall(Base):
    """A real call as `v1.unified_call` shows it: a row for reading, of what its members say."""

    __tablename__ = "unified_call"
    __table_args__ = (
        Index("ix_unified_call_started_at", "started_at"),
        Index("ix_unified_call_remote_e164_started_at", "remote_e164", "started_at"),
    )
    unified_call_id: Mapped[Key]
    direction: Mapped[str]
    outcome: Mapped[str | None]
    started_at: Mapped[Moment]
    answered_at: Mapped[MaybeMoment]
    ended_at: Mapped[MaybeMoment]
    remote_e164: Mapped[str | None]
    own_e164: Mapped[str | None]
    providers: Mapped[list[str]]
    record_count: Mapped[int]
    confidence: Mapped[float] = mapped_column(Double)
    provisional: Mapped[bool]
    decided_at: Mapped[Moment]
    leg_count: Mapped[int]
    talk_seconds: Mapped[int | None] = mapped_column(Integer)
    total_seconds: Mapped[int | None] = mapped_column(Integer)
    ring_seconds: Mapped[int | None] = mapped_column(Integer)
    agent: Mapped[str | None]
    agents: Mapped[list[str]]
    contact_external_ids: Mapped[list[str]]
    hidden_number: Mapped[bool]
    accounts: Mapped[list[str]]
    """Those that hold a record of it, each as provider/account."""


class CarriedLine(Base):
    """A number of ours on which an account has held a call."""

    __tablename__ = "carried_line"
    own_e164: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
