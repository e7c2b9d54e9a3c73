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
    """What became of a call, whoever placed it."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    FORWARDED = "forwarded"
    REJECTED = "rejected"  # refused by the called side
    BUSY = "busy"
    MISSED = "missed"  # it rang and nobody took it, in either direction
    CANCELLED = "cancelled"  # given up before it was answered
    FAILED = "failed"  # never reached the other side
    IN_PROGRESS = "in_progress"
    SCHEDULED = "scheduled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self not in NOT_FINAL


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


class Origin(StrEnum):
    """Why a window was planned: the live stream up to now, or a stretch somebody asked for."""

    LIVE = "live"
    RANGE = "range"
