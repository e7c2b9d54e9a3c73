"""Incidents: what can be wrong, and how what is found now compares with what was open.

Pure. A finding is what is wrong at this moment; an incident is a finding from when it first was there until it is gone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """What can be wrong. Of one cause at one place at most one incident is open."""

    ACCESS = "access"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    KILLED = "killed"
    BACKFILL = "backfill"
    HELD_BACK = "held_back"
    STALE = "stale"
    UNPROVEN = "unproven"
    REJECTED = "rejected"
    BEHAVIOUR = "behaviour"
    SILENCE = "silence"
    DRIFT = "drift"
    RECONCILE = "reconcile"
    NOT_BEGUN = "not_begun"
    NOT_RUNNING = "not_running"
    SWITCHED_OFF = "switched_off"
    CHANNEL = "channel"


OF_RUNS = frozenset({Cause.ACCESS, Cause.UNREACHABLE, Cause.FAILED, Cause.KILLED, Cause.BACKFILL, Cause.HELD_BACK})
"""What the end of a run can bring or end."""


class Key(NamedTuple):
    """The cause and where: '' for a whole account, or for the whole installation."""

    cause: Cause
    provider: str = ""
    account: str = ""
    stream: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong now."""

    key: Key
    since: datetime
    detail: str
    times: int = 1
    flow_run_id: str | None = None
    opens: bool = True
    """False: not enough to open an incident, but one that is open stays so."""


class Change(NamedTuple):
    """What findings make of the open incidents."""

    opened: list[Finding]
    renewed: list[Finding]
    closed: list[Key]


def compare(findings: Iterable[Finding], open_keys: Collection[Key]) -> Change:
    """What opens, what goes on, what is over. Of findings with one key the last counts."""
    now = {finding.key: finding for finding in findings}
    return Change(
        opened=[finding for key, finding in now.items() if key not in open_keys and finding.opens],
        renewed=[finding for key, finding in now.items() if key in open_keys],
        closed=[key for key in open_keys if key not in now],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One row of the table of incidents."""

    id: int
    cause: Cause
    provider: str
    account: str
    stream: str
    since: datetime
    times: int
    detail: str
    consequence: str
    flow_run_id: str | None
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    opening_sent_at: datetime | None
    recovery_sent_at: datetime | None

    @property
    def key(self) -> Key:
        return Key(self.cause, self.provider, self.account, self.stream)

    @property
    def opening_was_sent(self) -> bool:
        return self.opening_sent_at is not None
