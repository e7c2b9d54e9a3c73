"""The text of alerts: what an incident is called, what it means, what to do. docs/operating.md says more."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from models.alerts.incident import Cause, Incident
from models.wording import counted, minute


class Severity(StrEnum):
    """As Apprise knows them: services show each in a colour of its own."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"


class Message(NamedTuple):
    title: str
    body: str
    severity: Severity


WARNINGS = {
    *(Cause.BEHAVIOUR, Cause.DRIFT, Cause.HELD_BACK, Cause.REJECTED, Cause.SILENCE, Cause.SWITCHED_OFF),
    *(Cause.UNPROVEN, Cause.CHANNEL),
}
"""Something to look at, while what is there goes on; all else fails."""


class Advice(NamedTuple):
    """Of a cause: what it is called, what it means, what to do."""

    title: str
    means: str
    do: str


ADVICE = {
    Cause.ACCESS: Advice(
        "the key is refused",
        "The provider no longer takes our key: it is wrong, expired or revoked. Nothing is read from this account.",
        "Make a new key at the provider, put it where the old one stands (variable or Prefect block), and try it with "
        "`callweave check`. The next run reads what was missed.",
    ),
    Cause.UNREACHABLE: Advice(
        "the provider cannot be reached",
        "The provider, or the way to it, is down or overloaded. What is read is kept; the rest waits.",
        "Look at the provider's status page and at the network. Nothing else: every run tries again and reads what was "
        "missed.",
    ),
    Cause.FAILED: Advice(
        "the sync fails",
        "Some or all of the last run's windows could not be read. What was read is kept; the rest waits.",
        "The sentence above says what the provider or the database answered; docs/operating.md explains the common "
        "ones. Correct that, then run `callweave sync {account} {streams}` or wait for the next run.",
    ),
    Cause.KILLED: Advice(
        "a run ended without a word",
        "Its process was killed, its machine stopped, or Postgres was away then. What it had read is kept; its other "
        "windows are free again.",
        "Nothing, if it was you: the next run goes on there. Else look for an out-of-memory kill or a restart on the "
        "worker's machine, or for minutes without Postgres.",
    ),
    Cause.BACKFILL: Advice(
        "a backfill did not complete",
        "An explicit range is not whole. The schedule does not read it.",
        "Start it again, in Prefect's UI or with `callweave backfill {account}` and the range named above: it goes on "
        "where this one stopped.",
    ),
    Cause.HELD_BACK: Advice(
        "deletes are held back",
        "Many records are missing at the provider, more than the delete brake allows. They stay here as they were.",
        "Look whether they are really gone: was the key narrowed, a channel closed, an account cleaned up? If they "
        "are, run `callweave sync {account} {streams} --full --allow-deletes` with the range named above, if one is.",
    ),
    Cause.STALE: Advice(
        "not fresh",
        "No run has brought the data up to date for longer than its schedule allows, and none says that it failed.",
        "Look in Prefect's UI whether this deployment has runs, and whether a worker takes them; `callweave check` "
        "tries both. A run that never ends can be cancelled: the next one goes on.",
    ),
    Cause.UNPROVEN: Advice(
        "windows stay unproven",
        "They were read to the end, and it cannot be shown that nothing is missing: the list moves, or its totals "
        "disagree with its records.",
        "`callweave status` names them and why; `callweave sync {account} {streams}` reads them again. If it does not "
        "pass in a day, report it to the provider with that sentence.",
    ),
    Cause.REJECTED: Advice(
        "too many records cannot be read",
        "They have no id or no start time, or cannot be kept as they are; the provider may have changed its format. "
        "They are kept aside and tried again when they are read again.",
        "SELECT reason, payload FROM v1.rejected_row WHERE provider = '{provider}' AND resolved_at IS NULL; then "
        "report it to the provider, or correct the mapping, and run `callweave sync {account} {streams} --full`.",
    ),
    Cause.BEHAVIOUR: Advice(
        "the provider behaves in another way",
        "What Callweave found out about this provider's lists when it last tried them is no longer so. Where it knows "
        "how they are now, it reads them that way; where it does not, nothing of them is proven.",
        "Run `callweave check {account}` to see each finding. Nothing else where data is complete; else report the "
        "sentence above. It is over a day after the change, or when the lists are understood again.",
    ),
    Cause.SILENCE: Advice(
        "no calls at all",
        "The runs succeed and bring nothing, where the same hours of each of the last four weeks had calls.",
        "Is it a holiday? Else place a test call and look whether the provider's own log shows it, and whether the key "
        "still sees this account's calls.",
    ),
    Cause.DRIFT: Advice(
        "a clock has moved",
        "The clocks of two providers differ otherwise than before. The new difference was learnt and calls since then "
        "are matched by it.",
        "Nothing here; it is over a day after the last move. `callweave check` compares each provider's clock with "
        "ours: report it to the one whose clock is wrong, if it goes on.",
    ),
    Cause.RECONCILE: Advice(
        "recognising the same call fails",
        "New calls are synced, and `v1.unified_call` and `unified_call_id` do not follow.",
        "The sentence above says why. Correct it, then run `callweave reconcile`.",
    ),
    Cause.NOT_BEGUN: Advice(
        "runs fail before they begin",
        "The worker starts the run and it ends at once: the configuration, a Prefect block or the database is not as "
        "it must be. Nothing is read.",
        "Run `callweave check` with the worker's environment; the run's log in Prefect names the variable.",
    ),
    Cause.NOT_RUNNING: Advice(
        "scheduled runs do not start",
        "Prefect plans them and no worker takes them, or it does not plan them at all. Nothing is read meanwhile.",
        "Start a worker (`prefect worker start --pool callweave`), or look why it is busy; resume the work pool if it "
        "is paused. `callweave check` says where Prefect plans no run at all.",
    ),
    Cause.SWITCHED_OFF: Advice(
        "a schedule is switched off",
        "It was paused. It reads nothing until it is switched on.",
        "If that was on purpose, nothing: a message follows when it is on again. Else switch it on in Prefect's UI.",
    ),
    Cause.CHANNEL: Advice(
        "alerts were not delivered",
        "CALLWEAVE_ALERT_URL could not be reached, so no alert of that time was delivered.",
        "Look at what else was opened and closed meanwhile: those messages were sent when it worked again.",
    ),
}


def opening(group: Sequence[Incident], who: str, link: str | None) -> Message:
    """The message for incidents of one cause and account that opened together."""
    first = group[0]
    advice = ADVICE[first.cause]
    lines = [
        *_details(group),
        f"Since {minute(min(one.since for one in group))}, seen {_times(group)}.",
        "It means: " + " ".join([advice.means, *dict.fromkeys(one.consequence for one in group if one.consequence)]),
        f"To do: {_filled(advice.do, group)}",
        *([f"Account: {first.account}"] if first.account else []),
        *([f"Run: {link}"] if link else []),
        f"More: docs/operating.md, `{first.cause}`.",
    ]
    severity = Severity.WARNING if first.cause in WARNINGS else Severity.FAILURE
    return Message(f"Callweave: {_subject(who)}{advice.title}", "\n".join(lines), severity)


def recovery(group: Sequence[Incident], who: str) -> Message:
    """The message when it is over; with the details where its opening could not be sent."""
    since, until = min(one.since for one in group), max(one.closed_at or one.last_seen_at for one in group)
    title = ADVICE[group[0].cause].title
    places = ", ".join(one.stream for one in group if one.stream)
    was_sent = all(one.opening_was_sent for one in group)
    unsent = [] if was_sent else ["No alert could be sent when it began:", *_details(group)]
    lines = [
        f"It is over: {title}{f' ({places})' if places else ''}.",
        f"From {minute(since)} to {minute(until)}, {_lasting(until - since)}, seen {_times(group)}.",
        *unsent,
        *([f"Account: {group[0].account}"] if group[0].account else []),
    ]
    return Message(f"Callweave: {_subject(who)}over: {title}", "\n".join(lines), Severity.SUCCESS)


def _details(group: Sequence[Incident]) -> list[str]:
    return [f"{one.stream}: {one.detail}" if one.stream else one.detail for one in group]


def _subject(who: str) -> str:
    return f"{who}: " if who else ""


def _filled(text: str, group: Sequence[Incident]) -> str:
    streams = " ".join(f"--stream {one.stream}" for one in group)
    # With its account: where another one is configured, the command says so instead of reading that.
    provider, account = group[0].provider, f"{group[0].provider}:{group[0].account}"
    return text.replace("{provider}", provider).replace("{account}", account).replace("{streams}", streams)


def _times(group: Sequence[Incident]) -> str:
    number = max(one.times for one in group)
    return "once" if number == 1 else f"{number:,} times"


def _lasting(time: timedelta) -> str:
    """In the unit in which people would count it."""
    minutes = max(round(time.total_seconds() / 60), 1)
    if minutes < 120:
        return counted(minutes, "minute")
    return f"{minutes / 60:.0f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"
