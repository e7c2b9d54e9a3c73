"""Findings against open incidents, and what people read, without a database."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from models.alerts.incident import Cause, Finding, Incident, Key, compare
from models.alerts.messages import ADVICE, opening, recovery
from models.alerts.rules import Freshness, Rejections, Streak, of_runs, rejected, stale
from tests.support.records import NOON, at

PLACES = st.sampled_from(["", "a", "b"])
KEYS = st.builds(Key, st.sampled_from(Cause), PLACES, PLACES, PLACES)
FINDINGS = st.builds(Finding, key=KEYS, since=st.just(NOON), detail=st.text(max_size=5), opens=st.booleans())


@given(st.lists(FINDINGS), st.sets(KEYS))
def test_change(findings: list[Finding], open_keys: set[Key]) -> None:
    """Every open incident is renewed or closed, every finding renews, opens or is too little to open."""
    change = compare(findings, open_keys)
    opened, renewed = {one.key for one in change.opened}, {one.key for one in change.renewed}
    found = {one.key for one in findings}

    assert renewed | set(change.closed) == open_keys
    assert renewed == found & open_keys
    assert opened <= found - open_keys
    assert all(one.opens for one in change.opened)
    assert len(opened) == len(change.opened)


@given(st.lists(FINDINGS), st.sets(KEYS))
def test_nothing_while_nothing_changes(findings: list[Finding], open_keys: set[Key]) -> None:
    """The same findings again open and close nothing."""
    change = compare(findings, open_keys)
    after = (open_keys - set(change.closed)) | {one.key for one in change.opened}
    again = compare(findings, after)

    assert (again.opened, again.closed) == ([], [])


def streak(
    stream: str = "calls", *, kind: str | None = None, killed: bool = False, worked: float | None = None
) -> Streak:
    return Streak(
        provider="p",
        account="a",
        stream=stream,
        runs=2,
        since=at(-600),
        began_at=at(-60),
        ended_at=at(0),
        killed=killed,
        error="no",
        error_kind=kind,
        flow_run_id=None,
        completed_since=None if worked is None else at(worked),
    )


def places(*streaks: Streak) -> list[tuple[str, str]]:
    return [(finding.key.cause, finding.key.stream) for finding in of_runs(streaks)]


def test_an_account_s_trouble_is_one() -> None:
    """Streams that meet the same refusal are one finding of the account, each other failure is the stream's."""
    refused = [streak(stream, kind="CredentialsRejected") for stream in ("calls", "contacts")]

    assert places(*refused) == [("access", "")]
    assert places(streak(kind="ContractBroken"), streak("contacts", kind="ContractBroken")) == [
        ("failed", "calls"),
        ("failed", "contacts"),
    ]
    assert places(streak(killed=True, kind="ProviderUnavailable")) == [("killed", "calls")]


def test_an_account_that_works_for_others() -> None:
    """Where another stream was read beside it, a failure is this stream's; where one was read since, it is over."""
    assert places(streak(kind="ProviderUnavailable", worked=-30)) == [("failed", "calls")]
    assert places(streak(kind="ProviderUnavailable", worked=30)) == []


def test_what_is_explained_opens_nothing() -> None:
    """A stream that is late for a known reason opens no incident of its own, and closes none."""
    late = Freshness(provider="p", account="a", stream="calls", complete_up_to=at(-900), due=at(0))
    fresh = Freshness(provider="p", account="a", stream="contacts", complete_up_to=at(1), due=at(0))

    def opens(*explained: tuple[str, str, str]) -> list[bool]:
        return [finding.opens for finding in stale([late, fresh], explained)]

    assert opens() == opens(("p", "a", "contacts"), ("q", "", "")) == [True]
    assert opens(("p", "a", "calls")) == opens(("p", "", "calls")) == opens(("p", "a", "")) == [False]


def test_too_many_rejected() -> None:
    """A few of few, or a small share of many; below half of that it is over, in between an open one stays."""

    def opens(records: int, rejected_: int, fetched: int) -> list[bool]:
        counts = {"records": records, "rejected": rejected_, "fetched": fetched}
        one = Rejections(provider="p", account="a", stream="calls", since=NOON, reason="no id", **counts)
        return [finding.opens for finding in rejected([one])]

    assert opens(3, 5, 100) == opens(20, 100, 10_000) == [True]
    assert opens(2, 5, 100) == opens(20, 50, 10_000) == opens(10, 100, 10_000) == [False]
    assert opens(1, 5, 100) == opens(9, 100, 10_000) == opens(100, 40, 10_000) == []


def incident(cause: Cause = Cause.ACCESS, *, sent: bool = True, **own: object) -> Incident:
    values = {
        "id": 1,
        "cause": cause,
        "provider": "p",
        "account": "a",
        "stream": "",
        "since": at(-3600),
        "times": 4,
        "detail": "refused (401)",
        "consequence": "Calls from … may be missing.",
        "flow_run_id": None,
        "opened_at": at(-3000),
        "last_seen_at": at(0),
        "closed_at": None,
        "opening_sent_at": at(-2990) if sent else None,
        "recovery_sent_at": None,
    }
    return Incident(**(values | own))  # type: ignore[arg-type]


def test_opening() -> None:
    """A message says what, since when, how often, what it means, what to do, and where to read on."""
    sent = opening([incident()], "Provider", "http://ui/run")

    assert sent.title == "Callweave: Provider: the key is refused"
    for part in ("refused (401)", "Since 2026-11-20 11:00Z, seen 4 times", "may be missing", "callweave check"):
        assert part in sent.body
    assert "http://ui/run" in sent.body
    assert "docs/operating.md, `access`" in sent.body


def test_opened_together() -> None:
    """Incidents of one cause and account are one message that names each stream and says the rest once."""
    both = [incident(Cause.KILLED, stream=stream) for stream in ("calls", "contacts")]
    sent = opening(both, "Provider", None)

    assert [sent.body.count(f"{stream}: refused") for stream in ("calls", "contacts")] == [1, 1]
    assert sent.body.count("may be missing") == 1

    held = opening([incident(Cause.HELD_BACK, stream=stream) for stream in ("calls", "contacts")], "Provider", None)
    assert "--stream calls --stream contacts --full" in held.body


def test_recovery() -> None:
    """What is over says from when to when; what could not be sent before says also what it was."""
    over = recovery([incident(closed_at=at(60))], "Provider")
    unsent = recovery([incident(closed_at=at(60), sent=False)], "Provider")

    assert over.title == "Callweave: Provider: over: the key is refused"
    assert "From 2026-11-20 11:00Z to 2026-11-20 12:01Z, 61 minutes, seen 4 times" in over.body
    assert "2 days, seen" in recovery([incident(closed_at=at(2 * 86_400))], "Provider").body
    assert "401" not in over.body
    assert "a run ended without a word (contacts)" in recovery([incident(Cause.KILLED, stream="contacts")], "").body
    assert "401" in unsent.body


def test_every_cause_has_advice() -> None:
    """No cause can be found without advice on what to do; docs/operating.md has a section for each."""
    operating = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()

    assert ADVICE.keys() == set(Cause)
    assert [cause for cause in Cause if f"`{cause}`" not in operating] == []
