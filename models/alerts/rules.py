"""From rows of the ledger to findings: the decisions, without the SQL."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.alerts.incident import Cause, Finding, Key
from models.errors import CredentialsRejected, ProviderUnavailable, RateLimited
from models.wording import minute

ACCOUNT_WIDE = {
    CredentialsRejected.__name__: Cause.ACCESS,
    ProviderUnavailable.__name__: Cause.UNREACHABLE,
    RateLimited.__name__: Cause.UNREACHABLE,
}
"""Errors, as `sync_run.error_kind` names them, that are the account's and not the stream's: one incident, however many
streams meet them."""

FEW_REJECTED, MANY_REJECTED = 3, 20
SHARE_OF_FEW, SHARE_OF_MANY = 0.05, 0.01
SETTLED = 0.5
"""An open incident about rejected records is over below this part of what opens one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """The runs of one stream that ended since it last completed, none of them well."""

    provider: str
    account: str
    stream: str
    runs: int
    since: datetime
    began_at: datetime
    ended_at: datetime
    """Of the newest of them; so are the fields below."""
    killed: bool
    error: str
    error_kind: str | None
    flow_run_id: str | None
    completed_since: datetime | None
    """Of the account's runs that completed after the newest one began, when the latest began."""


def of_runs(streaks: Iterable[Streak]) -> list[Finding]:
    """An account's own troubles as one finding, a stream's as one each."""
    found: dict[Key, Finding] = {}
    for streak in streaks:
        if (key := _place(streak)) is not None:
            finding = Finding(
                key=key,
                since=streak.since,
                times=streak.runs,
                detail=streak.error,
                flow_run_id=streak.flow_run_id,
            )
            found[key] = _joined(found.get(key), finding)
    return list(found.values())


def _place(streak: Streak) -> Key | None:
    """Where a streak's finding belongs; None where the account has since been seen to work."""
    at = (streak.provider, streak.account)
    if streak.killed:
        return Key(Cause.KILLED, *at, streak.stream)
    wide = ACCOUNT_WIDE.get(streak.error_kind or "")
    if wide is None:
        return Key(Cause.FAILED, *at, streak.stream)
    if streak.completed_since is None:
        return Key(wide, *at)
    # The account works for another stream that ran beside this one: then it is this stream's trouble. If it works
    # since, it is over: the next run will show, and freshness is watched.
    return Key(Cause.FAILED, *at, streak.stream) if streak.completed_since < streak.ended_at else None


def _joined(one: Finding | None, other: Finding) -> Finding:
    if one is None:
        return other
    return replace(one, since=min(one.since, other.since), times=max(one.times, other.times))


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How far a stream is complete, and when it was due to be."""

    provider: str
    account: str
    stream: str
    complete_up_to: datetime
    due: datetime


Place = tuple[str, str, str]
"""Provider, account, stream; '' for all of them."""


def stale(streams: Iterable[Freshness], explained: Collection[Place]) -> list[Finding]:
    """Streams that should be further. What another finding explains opens nothing of its own."""
    return [
        Finding(
            key=Key(Cause.STALE, one.provider, one.account, one.stream),
            since=one.complete_up_to,
            detail=f"complete up to {minute(one.complete_up_to)}, due up to {minute(one.due)}",
            opens=not any(_covers(place, (one.provider, one.account, one.stream)) for place in explained),
        )
        for one in streams
        if one.complete_up_to < one.due
    ]


def _covers(place: Place, where: Place) -> bool:
    return all(theirs in {"", ours} for theirs, ours in zip(place, where, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections:
    """Of one stream in the last day: records that stand aside, and how often they and all others were read."""

    provider: str
    account: str
    stream: str
    records: int
    since: datetime
    rejected: int
    fetched: int
    reason: str


def rejected(streams: Iterable[Rejections]) -> list[Finding]:
    """Streams of which more than a few records in a hundred stand aside; no flapping around the edge."""
    found = []
    for one in streams:
        share = one.rejected / max(one.fetched, 1)
        if _is_much(one.records / SETTLED, share / SETTLED):
            detail = f"{one.records:,} records, {share:.1%} of those read in the last day; mostly: {one.reason}"
            key = Key(Cause.REJECTED, one.provider, one.account, one.stream)
            found.append(Finding(key=key, since=one.since, detail=detail, opens=_is_much(one.records, share)))
    return found


def _is_much(records: float, share: float) -> bool:
    few = records >= FEW_REJECTED and share >= SHARE_OF_FEW
    return few or (records >= MANY_REJECTED and share >= SHARE_OF_MANY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment with a schedule, as Prefect has it."""

    name: str
    streams: frozenset[tuple[str, str]]
    """(provider, stream) that it syncs."""
    is_on: bool
    waiting_since: datetime | None
    """When its next run should start, or should have; where none is planned, since when one should be."""
    due: datetime | None
    """The newest time, old enough to be over, at which it should have run."""
    failed_run: tuple[str, datetime, str] | None = None
    """Its latest run, where that failed and left no receipt: id, end, message."""

    def is_late(self, before: datetime) -> bool:
        """Whether it is on, and its next run was due `before`, or none is planned."""
        return self.is_on and (self.waiting_since is None or self.waiting_since < before)


def of_schedules(deployments: Sequence[Deployed], now: datetime, patience: timedelta) -> list[Finding]:
    """Schedules that are off; runs that do not start, as one finding; runs that fail before they begin."""
    late = [one for one in deployments if one.is_late(now - patience)]
    found = [
        Finding(key=Key(Cause.SWITCHED_OFF, stream=one.name), since=now, detail="its schedule is paused")
        for one in deployments
        if not one.is_on
    ]
    if late:
        since = min(one.waiting_since or now for one in late)
        detail = f"waiting since {minute(since)}: {', '.join(one.name for one in late)}"
        found.append(Finding(key=Key(Cause.NOT_RUNNING), since=since, detail=detail))
    for one in deployments:
        if one.failed_run:
            id_, ended_at, message = one.failed_run
            key = Key(Cause.NOT_BEGUN, stream=one.name)
            found.append(Finding(key=key, since=ended_at, detail=message, flow_run_id=id_))
    return found


def without_runs(deployments: Iterable[Deployed], now: datetime, patience: timedelta) -> set[Place]:
    """Streams of which no deployment works."""
    lost: dict[tuple[str, str], bool] = {}
    for one in deployments:
        idle = not one.is_on or one.is_late(now - patience) or one.failed_run is not None
        for stream in one.streams:
            lost[stream] = idle and lost.get(stream, True)
    return {(provider, "", stream) for (provider, stream), idle in lost.items() if idle}
