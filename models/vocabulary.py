"""The neutral vocabulary. Providers translate into it; nothing else in the house knows their words."""

from enum import StrEnum


class StreamName(StrEnum):
    CALLS = "calls"
    CONTACTS = "contacts"


class Direction(StrEnum):
    """Seen from the business."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What became of a call, in either direction."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    FORWARDED = "forwarded"
    REJECTED = "rejected"  # refused by the called side
    BUSY = "busy"
    MISSED = "missed"  # it rang and was not answered, in either direction
    CANCELLED = "cancelled"  # given up before it was answered
    FAILED = "failed"  # never reached the other side
    IN_PROGRESS = "in_progress"
    SCHEDULED = "scheduled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self not in NOT_FINAL


USUAL_OUTCOMES = {
    "ringing": Outcome.IN_PROGRESS,
    "ongoing": Outcome.IN_PROGRESS,
    "scheduled": Outcome.SCHEDULED,
    "completed": Outcome.ANSWERED,
    "no-answer": Outcome.MISSED,
    "busy": Outcome.BUSY,
    "failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    "canceled": Outcome.CANCELLED,
}
"""Status words that mean the same at every vendor that follows the words of SIP and Twilio."""


NOT_FINAL = frozenset({Outcome.IN_PROGRESS, Outcome.SCHEDULED, Outcome.UNKNOWN})


class WindowState(StrEnum):
    """Where a window of the ledger stands."""

    OPEN = "open"
    DONE = "done"
    SPLIT = "split"  # halved: its children carry on


class Verdict(StrEnum):
    """What a finished window can claim of its completeness."""

    PROVEN = "proven"
    DRIFTED = "drifted"
    UNPROVEN = "unproven"


class RunState(StrEnum):
    """How one stream of one run, or the whole run, ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"

    @classmethod
    def of(cls, states: "list[RunState]") -> "RunState":
        """The state of the whole: completed or failed when all are, else partial. Nothing to do is completed."""
        kinds = set(states) or {cls.COMPLETED}
        return kinds.pop() if len(kinds) == 1 else cls.PARTIAL


class Entity(StrEnum):
    """What a line of the change feed speaks of."""

    CALL = "call"
    CONTACT = "contact"


class ChangeKind(StrEnum):
    """What happened to a record: the first four by a load, the others by matching."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"
    RESTORED = "restored"
    MATCHED = "matched"  # joined with records of another account
    UNMATCHED = "unmatched"  # alone again
    REMATCHED = "rematched"  # in another real call than before

    @classmethod
    def of_load(cls, *, is_new: bool, was_deleted: bool | None, is_deleted: bool) -> "ChangeKind":
        """What a load did to a record; `was_deleted` is None where it was not known before."""
        if is_new:
            return cls.INSERTED
        if is_deleted:
            return cls.UPDATED if was_deleted else cls.DELETED
        return cls.RESTORED if was_deleted else cls.UPDATED


class Origin(StrEnum):
    """Why a window was planned: the live stream up to now, or a range that was asked for."""

    LIVE = "live"
    RANGE = "range"
