"""Runs of one stream against the sandbox, without Prefect: what was served stands in Postgres, once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import product
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from models.arrivals import Counts
from models.coverage import Sizes
from models.errors import ClaimLost, RecordNotFound
from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tasks.client.transport import Tally
from tasks.extract.context import StreamContext
from tasks.extract.stream_run import StreamRun
from tasks.extract.window import WindowReader
from tasks.load import parser_process
from tasks.load.parser import Parser
from tests.support.builders import (
    CALLS,
    CONTACTS,
    STREAMS,
    Json,
    Office,
    decoded,
    drained,
    sakari_call,
    skipcall_call,
    take_in,
    worked,
)
from tests.support.patience import PATIENCE
from tests.support.relay import Asked, Relay, Reply, reply

streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)
timed = pytest.mark.parametrize("provider", ["sakari", "bird"])

HOUR = timedelta(hours=1)
PLACES = "SELECT external_id, ctid::text, xmin::text FROM {} ORDER BY 1"
UNFINISHED = "SELECT state, reason FROM sync_window WHERE state = 'open'"


def table(stream: StreamName) -> str:
    return "call" if stream is CALLS else "contact"


def truth(sandbox: Sandbox, provider: str, stream: StreamName) -> dict[str, bytes]:
    return sandbox.truth()[provider][stream]


def assert_whole(run: StreamRun) -> None:
    """All went well, and the receipt adds up."""
    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    receipt = run.receipt.document
    parts = ("inserted", "updated", "unchanged", "duplicate", "rejected")
    assert receipt["fetched"] == sum(receipt[name] for name in parts)


def assert_receipts(office: Office) -> None:
    """The stored receipts add up, of runs and of windows, to the same sums."""
    sums = "SELECT sum(fetched) AS fetched, sum(inserted) AS inserted, sum(rejected) AS rejected FROM {}"
    assert office.rows(sums.format("sync_run")) == office.rows(sums.format("sync_window"))


@streams
def test_whole_stream(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """A run reads every record of the world, keeps it as served, and a second run writes no row."""
    first = office.sync(provider, stream, threads=3)
    expected = truth(sandbox, provider, stream)

    assert_whole(first)
    assert first.receipt.counts.inserted == len(expected)
    held = office.rows(f"SELECT external_id, payload FROM v1.{table(stream)}")
    assert {row["external_id"]: row["payload"] for row in held} == {
        record_id: decoded(body) for record_id, body in expected.items()
    }

    places = office.rows(PLACES.format(table(stream)))
    second = office.sync(provider, stream, threads=3, **({"full": True} if stream is CALLS else {}))
    assert_whole(second)
    assert second.receipt.counts.inserted == second.receipt.counts.updated == 0
    assert second.receipt.counts.unchanged >= len(expected)
    assert office.rows(PLACES.format(table(stream))) == places
    assert_receipts(office)


@streams
def test_status(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """After a run the stream is ok, covered up to the lag, nothing is open, and every request was counted."""
    began, before = datetime.now(UTC), len(sandbox.requests)
    run = office.sync(provider, stream, **recently(stream))
    (status,) = office.rows("SELECT * FROM v1.sync_status")

    assert (status["state"], status["open_windows"], status["rejected_rows"]) == ("ok", 0, 0)
    assert (status["last_error"], status["last_success_at"] >= began) == (None, True)
    assert began - timedelta(seconds=62) <= status["complete_up_to"] <= datetime.now(UTC)
    assert run.receipt.requests == len(sandbox.requests) - before > 0
    if stream is CALLS:
        assert len(status["covered"]) == 1
        assert timedelta(hours=11) < began - status["complete_from"] < timedelta(hours=13)


def recently(stream: StreamName) -> dict[str, Any]:
    """A request for few windows; contacts have no range."""
    return {"since": datetime.now(UTC) - timedelta(hours=12)} if stream is CALLS else {}


@pytest.mark.parametrize("fault", ["throttle", "errors", "token-expiry"])
@pytest.mark.parametrize("which", [("sakari", CALLS), ("bird", CONTACTS), ("skipcall", CALLS)], ids=str)
def test_faults_heal(
    own_sandbox: Sandbox,
    own_office: Office,
    which: tuple[str, StreamName],
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Throttling, server errors and tokens that expire in mid-scan are not noticed (airbyte#13660, airbyte#70223)."""
    provider, stream = which
    own_sandbox.faults.add(fault)
    run = own_office.sync(provider, stream, **recently(stream))

    assert_whole(run)
    if stream is CONTACTS:
        assert own_office.ids(provider, stream) == set(truth(own_sandbox, provider, stream))


def test_token_dies_in_mid_scan(own_sandbox: Sandbox, own_office: Office) -> None:
    """With tokens of five requests and four threads every record arrives (tap-zendesk#191)."""
    own_sandbox.faults.add("token-expiry")
    run = own_office.sync("sakari", threads=4)

    assert_whole(run)
    assert own_office.ids("sakari") == set(truth(own_sandbox, "sakari", CALLS))
    tokens = [asked for asked in own_sandbox.requests if asked.method == "POST"]
    assert len(tokens) >= run.receipt.windows // 6


@streams
def test_down(
    own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that is down fails the run after a few windows, and the next run makes up for it (airbyte#34881)."""
    own_sandbox.faults.add(f"down-{provider}")
    failed = own_office.sync(provider, stream)
    assert failed.receipt.state == "failed"
    assert failed.receipt.error
    assert len(own_sandbox.requests) < 40
    (status,) = own_office.rows("SELECT state, complete_up_to, last_success_at FROM v1.sync_status")
    assert status == {"state": "failed", "complete_up_to": None, "last_success_at": None}

    own_sandbox.faults.clear()
    assert_whole(own_office.sync(provider, stream))
    assert own_office.ids(provider, stream) == set(truth(own_sandbox, provider, stream))


ADDED = "4fc2edf7-68f5-437a-89eb-"


@streams
def test_unreadable(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """Records that cannot be read are set aside, all others arrive, and later readings settle what is settled."""
    some = decoded(next(iter(own_sandbox.truth()[provider][stream].values())))
    for number in range(60):  # the fault picks by content, so a small world may have none
        own_sandbox.put(provider, stream, some | {"id": f"{ADDED}{number:012}", "n": number})
    own_sandbox.faults.add("unreadable")
    for id_ in own_sandbox.spoilt("unreadable", provider, stream):
        if not id_.startswith(ADDED):  # by the hour, it might be the only record of its window, which fails then
            own_sandbox.remove(provider, stream, id_)
    spoilt = own_sandbox.spoilt("unreadable", provider, stream)
    run = own_office.sync(provider, stream)

    assert_whole(run)
    assert spoilt
    assert run.receipt.counts.rejected >= len(spoilt)
    assert own_office.ids(provider, stream) == set(truth(own_sandbox, provider, stream)) - spoilt
    reasons = own_office.rows("SELECT DISTINCT reason FROM v1.rejected_row WHERE resolved_at IS NULL")
    assert all(row["reason"] for row in reasons)
    assert own_office.rows("SELECT rejected_rows FROM v1.sync_status")[0]["rejected_rows"] > 0

    own_sandbox.faults.clear()
    again = own_office.sync(provider, stream, **({"full": True} if stream is CALLS else {}))
    assert_whole(again)
    assert again.receipt.counts.inserted == len(spoilt)
    left = own_office.rows("SELECT external_id FROM v1.rejected_row WHERE resolved_at IS NULL")
    assert not {row["external_id"] for row in left} & set(truth(own_sandbox, provider, stream))


@streams
def test_odd(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """Records with NULs, half surrogates, endless numbers and fields of every kind arrive, all of them."""
    own_sandbox.faults.add("odd")
    assert own_sandbox.spoilt("odd", provider, stream)
    run = own_office.sync(provider, stream)

    assert_whole(run)
    assert run.receipt.counts.rejected == 0
    assert own_office.ids(provider, stream) == set(truth(own_sandbox, provider, stream))


def test_a_window_of_nothing_readable(own_sandbox: Sandbox, own_office: Office) -> None:
    """A window of which every record is rejected failed; the line is partial."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=100)
    with Relay(own_sandbox.url) as relay:
        relay.intervene = lambda asked: (
            reply(200, {"data": [{"id": "x"}, None], "pagination": {"hasNext": False, "totalCount": 2}})
            if asked.method == "GET"
            else None
        )
        own_office.environ["SAKARI_BASE_URL"] = relay.url
        with Office(own_office.database_url, own_office.environ) as office:
            run = office.sync("sakari", since=hour, until=hour + timedelta(minutes=30))

    assert run.receipt.state == "failed"
    assert run.receipt.counts == Counts(rejected=2)
    assert len(own_office.rows("SELECT FROM v1.rejected_row")) == 2


def test_a_change_is_seen(own_sandbox: Sandbox, own_office: Office) -> None:
    """What changed at the provider is updated by a second reading, and nothing else is."""
    own_office.sync("sakari")
    record_id, body = next(iter(truth(own_sandbox, "sakari", CALLS).items()))
    own_sandbox.put("sakari", CALLS, decoded(body) | {"duration": 4242})
    own_sandbox.put("sakari", CALLS, sakari_call(id="new", created={"at": "2026-11-20T12:00:00Z"}))
    run = own_office.sync("sakari", full=True)

    assert (run.receipt.counts.updated, run.receipt.counts.inserted) == (1, 1)
    (row,) = own_office.rows("SELECT duration_seconds FROM v1.call WHERE external_id = %s", record_id)
    assert row["duration_seconds"] == 4242


def test_not_final_is_asked_for_by_id(own_sandbox: Sandbox, own_office: Office) -> None:
    """A call that was not final is read again by id when no window would (matomo-postgres#96)."""
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)
    call = skipcall_call(status="ringing", startedAt=started.isoformat(), createdAt=started.isoformat(), endedAt=None)
    own_sandbox.put("skipcall", CALLS, call)
    own_office.sync("skipcall")
    own_sandbox.put("skipcall", CALLS, call | {"status": "completed"})
    run = own_office.run("skipcall")
    run.begin()
    run.open()

    assert "k1" in {external_id for _, external_id in run.plan.records()}
    drained(run)
    run.end()
    assert_whole(run)
    (row,) = own_office.rows("SELECT outcome, is_final FROM v1.call WHERE external_id = 'k1'")
    assert row == {"outcome": "answered", "is_final": True}


@streams
def test_by_id(sandbox: Sandbox, office: Office, provider: str, stream: StreamName) -> None:
    """Named ids are read by id alone, and move no watermark."""
    ids = tuple(truth(sandbox, provider, stream))[:3]
    run = office.sync(provider, stream, call_ids=ids)

    assert_whole(run)
    assert run.receipt.counts.inserted == run.receipt.counts.fetched == 3
    assert office.ids(provider, stream) == set(ids)
    (status,) = office.rows("SELECT state, complete_up_to, covered FROM v1.sync_status")
    assert (status["complete_up_to"], list(status["covered"])) == (None, [])


def test_unknown_id(office: Office) -> None:
    """A named id that the provider does not know fails the run and stores nothing."""
    run = office.run("skipcall", call_ids=("00000000-0000-4000-a000-000000000000",))
    ((context, external_id),) = run.plan.records()
    with pytest.raises(RecordNotFound):
        run.read_record(context, external_id)

    assert worked(run).receipt.state == "failed"


@timed
def test_range(sandbox: Sandbox, office: Office, provider: str) -> None:
    """A range is read exactly: all its calls, and at most what lies one second beside it (nocturne#1057)."""
    since = datetime.now(UTC).replace(hour=9, minute=30, second=0, microsecond=0) - timedelta(days=20)
    until = since + timedelta(days=3)
    run = office.sync(provider, since=since, until=until)
    starts = [row["started_at"] for row in office.rows("SELECT started_at FROM v1.call")]

    assert_whole(run)
    assert starts
    second = timedelta(seconds=1)
    assert all(since - second <= start <= until + second for start in starts)
    assert len([start for start in starts if since <= start < until]) == expected_in(sandbox, provider, since, until)
    (status,) = office.rows("SELECT covered FROM v1.sync_status")
    assert [(span.lower, span.upper) for span in status["covered"]] == [(since, until)]


def test_range_without_a_filter(sandbox: Sandbox, office: Office) -> None:
    """Where the provider cannot filter, what lies outside the range is skipped and not counted."""
    since = datetime.now(UTC).replace(hour=9, minute=30, second=0, microsecond=0) - timedelta(days=20)
    until = since + timedelta(days=3)
    run = office.sync("skipcall", since=since, until=until)

    assert_whole(run)
    assert run.receipt.counts.inserted == run.receipt.counts.fetched == expected_in(sandbox, "skipcall", since, until)


def expected_in(sandbox: Sandbox, provider: str, since: datetime, until: datetime) -> int:
    records = [decoded(body) for body in truth(sandbox, provider, CALLS).values()]
    found = sum(since <= start < until for start in map(started, records))
    assert found
    return found


def started(record: Json) -> datetime:
    times = [record.get("startedAt"), (record.get("created") or {}).get("at"), record.get("createdAt")]
    return datetime.fromisoformat(next(time for time in times if isinstance(time, str)))


def test_two_runs_share(own_sandbox: Sandbox, own_office: Office) -> None:
    """Two runs at once share the windows of one stream: each window is read by one (dlt#4297)."""
    runs = [own_office.run("bird"), own_office.run("bird")]
    for run in runs:
        run.begin()
    runs[0].open()
    runs[1].open()
    windows = len(own_office.rows("SELECT FROM sync_window"))
    together = Barrier(2)

    def work(run: StreamRun) -> None:
        together.wait(PATIENCE)
        drained(run)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, runs))
    for run in runs:
        run.end()
        assert_whole(run)
    assert own_office.ids("bird") == set(truth(own_sandbox, "bird", CALLS))
    assert runs[0].receipt.windows + runs[1].receipt.windows == windows
    assert {row["attempts"] for row in own_office.rows("SELECT attempts FROM sync_window")} == {1}
    read = sum(run.receipt.counts.inserted for run in runs)
    assert read == len(truth(own_sandbox, "bird", CALLS))


@streams
def test_lost_claim(own_sandbox: Sandbox, own_office: Office, provider: str, stream: StreamName) -> None:
    """A window whose claim was taken away is given up without an error, and without counting it done."""
    run = own_office.run(provider, stream)
    run.begin()
    run.open()
    (context, window), *_ = run.plan.open_windows()
    with Relay(own_sandbox.url) as relay:

        def steal(_asked: Asked) -> Reply | None:
            with context.engine.begin() as connection:
                connection.execute(text("UPDATE sync_window SET claimed_by = 'another'"))
            return None

        relay.intervene = steal
        context.client._http.base_url = relay.url
        run.read_window(context, window)

    assert (run.receipt.windows, run.receipt.windows_failed, run.receipt.error) == (0, 0, None)
    assert own_office.rows(f"SELECT FROM {table(stream)}") == []
    (row,) = own_office.rows("SELECT state, claimed_by FROM sync_window WHERE id = %s", window.id)
    assert row == {"state": "open", "claimed_by": "another"}


def test_claims(own_office: Office) -> None:
    """A window is one holder's at a time; a killed holder's is free when its claim runs out."""
    first, second = own_office.run("bird"), own_office.run("bird")
    first.begin()
    first.open()
    second.open()
    (context, window), *_ = first.plan.open_windows()
    other = second.contexts[0]
    claim = context.ledger.claim(window.id)
    assert claim is not None
    assert other.ledger.claim(window.id) is None
    assert window not in {one for _, one in second.plan.open_windows()}
    assert second.plan.held_windows() == 1
    (row,) = own_office.rows(
        "SELECT claimed_until - clock_timestamp() AS left FROM sync_window WHERE id = %s", window.id
    )
    assert timedelta(seconds=25) < row["left"] <= timedelta(seconds=30)

    with context.engine.begin() as connection:
        connection.execute(text("UPDATE sync_window SET claimed_until = clock_timestamp() - interval '1 ms'"))
    assert second.plan.held_windows() == 0
    assert other.ledger.claim(window.id) is not None
    with pytest.raises(ClaimLost):
        WindowReader(context, claim, claim.began_at).run()


def test_killed_run(own_sandbox: Sandbox, own_office: Office) -> None:
    """What a killed run left open is read by the next, once its claims have run out (airbyte#11832)."""
    killed = own_office.run("sakari")
    killed.begin()
    killed.open()
    windows = killed.plan.open_windows()
    for context, window in windows[:5]:
        killed.read_window(context, window)
    for context, window in windows[5:8]:
        assert context.ledger.claim(window.id)

    assert own_office.sync("sakari").receipt.state == "completed"
    assert len(own_office.rows(UNFINISHED)) == 3
    with killed.contexts[0].engine.begin() as connection:
        connection.execute(text("UPDATE sync_window SET claimed_until = now() - interval '1 s' WHERE state = 'open'"))
    assert_whole(own_office.sync("sakari"))
    assert own_office.rows(UNFINISHED) == []
    assert own_office.ids("sakari") == set(truth(own_sandbox, "sakari", CALLS))


def test_interrupted_scan_goes_on(own_sandbox: Sandbox, own_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan in several windows that failed half way goes on where it stopped (airbyte#17774)."""
    own_office.sizes = Sizes(pages=2)
    for number in range(400):
        own_sandbox.put("skipcall", CALLS, skipcall_call(id=f"n{number}"))
    until = datetime.now(UTC) - timedelta(minutes=5)
    run = own_office.run("skipcall", since=until - timedelta(days=5000), until=until)
    run.begin()
    run.open()
    ((context, window),) = run.plan.open_windows()
    run.read_window(context, window)
    asked = len(own_sandbox.requests)
    own_sandbox.faults.add("down-skipcall")
    drained(run)
    run.end()
    assert run.receipt.state == "partial"

    own_sandbox.faults.clear()
    assert_whole(own_office.sync("skipcall", since=until - timedelta(days=5000), until=until))
    pages = [one.query["page"] for one in own_sandbox.requests[asked:] if one.status == 200 and "page" in one.query]
    assert ["1"] not in pages
    assert own_office.ids("skipcall") == set(truth(own_sandbox, "skipcall", CALLS))


def test_long_windows_are_halved(own_sandbox: Sandbox, own_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window with too many pages is cut in narrower ones, and every record still arrives (hubspot-api-nodejs#132)."""
    own_office.sizes = Sizes(pages=2)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3, hours=5)
    for number in range(450):
        at = (start + timedelta(seconds=number)).isoformat()
        own_sandbox.put("sakari", CALLS, sakari_call(id=f"n{number}", created={"at": at}))
    run = own_office.sync("sakari")

    assert_whole(run)
    assert own_office.ids("sakari") == set(truth(own_sandbox, "sakari", CALLS))
    assert own_office.rows("SELECT FROM sync_window WHERE state = 'split'")
    assert {row["verdict"] for row in own_office.rows("SELECT verdict FROM sync_window WHERE state = 'done'")} == {
        "proven"
    }
    assert_receipts(own_office)


def test_many_calls_in_one_second(own_sandbox: Sandbox, own_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """More calls in one second than a window should have are read all the same (estuary/connectors#2100)."""
    own_office.sizes = Sizes(pages=2)
    at = (datetime.now(UTC).replace(microsecond=0) - timedelta(days=3, hours=5)).isoformat()
    for number in range(250):
        own_sandbox.put("sakari", CALLS, sakari_call(id=f"n{number}", created={"at": at}))
    run = own_office.sync("sakari")

    assert_whole(run)
    assert own_office.ids("sakari") == set(truth(own_sandbox, "sakari", CALLS))
    assert own_office.rows(UNFINISHED) == []


def test_moving_list(own_sandbox: Sandbox, own_office: Office) -> None:
    """A list that moves under every reading is not proven, and read again by the next run (airbyte#21500)."""
    since = datetime.now(UTC) - timedelta(days=5)
    for number in range(3):
        own_sandbox.put("sakari", CALLS, sakari_call(id=f"n{number}", created={"at": (since + HOUR / 2).isoformat()}))
    with Relay(own_sandbox.url) as relay:

        def without_one(asked: Asked) -> Reply | None:
            """Each time another record has slipped past."""
            if not asked.path.endswith("/calls"):
                return None
            found = decoded(relay.fetched(asked))
            if found["data"]:
                del found["data"][len(relay.asked) % len(found["data"])]
            return reply(200, found)

        relay.intervene = without_one
        with Office(own_office.database_url, own_office.environ, SAKARI_BASE_URL=relay.url) as office:
            office.sync("sakari", since=since, until=since + HOUR)
    windows = own_office.rows("SELECT state, verdict, reason FROM sync_window WHERE moved AND fetched > 2")
    assert {(window["state"], window["verdict"]) for window in windows} == {("split", "drifted"), ("done", "unproven")}
    reasons = ("moved", "that the provider counts", "leaves out")
    assert [window for window in windows if not any(reason in window["reason"] for reason in reasons)] == []
    (status,) = own_office.rows("SELECT covered FROM v1.sync_status")
    assert not any(span.lower <= since + HOUR / 2 < span.upper for span in status["covered"])

    own_office.sync("sakari", since=since, until=since + HOUR)
    (status,) = own_office.rows("SELECT covered FROM v1.sync_status")
    assert any(span.lower <= since + HOUR / 2 < span.upper for span in status["covered"])
    assert {"n0", "n1", "n2"} <= own_office.ids("sakari")


def test_read_before_a_failure(own_sandbox: Sandbox, own_office: Office) -> None:
    """What a window had read when it failed is loaded and counted."""
    for number in range(120):
        own_sandbox.put("skipcall", CALLS, skipcall_call(id=f"n{number}"))
    with Relay(own_sandbox.url) as relay:
        relay.intervene = lambda asked: reply(400) if asked.query.get("page") == ["2"] else None
        with Office(own_office.database_url, own_office.environ, SKIPCALL_BASE_URL=relay.url) as office:
            run = office.sync("skipcall")

    assert run.receipt.error
    assert run.receipt.counts.inserted == len(own_office.rows("SELECT FROM call"))
    assert len(own_office.rows("SELECT FROM call")) >= 100


def asked_for(contexts: list[StreamContext], seconds: float) -> None:
    """Four threads ask, as fast as they are let."""
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        context = contexts[number % len(contexts)]
        while time.monotonic() < until:
            context.client.get(context.listing.path, context.stream.paging.params(context.stream.paging.start), Tally())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def busiest(times: list[float], seconds: float) -> int:
    """The most requests in any stretch of so many seconds."""
    return max(sum(start <= other < start + seconds for other in times[i:]) for i, start in enumerate(times))


def test_budget(own_sandbox: Sandbox, database_url: str) -> None:
    """The provider never sees more than the rate, and nearly all of it where no one is late (sync-engine-fork#215)."""
    rate, seconds = 40, 3.0
    with Office(database_url, own_sandbox.environ, SKIPCALL_REQUESTS_PER_SECOND=str(rate)) as office:
        asked_for([office.context("skipcall")], seconds)
    times = sorted(request.at for request in own_sandbox.requests)

    assert 0.9 * rate < busiest(times, 1.0) <= rate + 1


def test_budget_is_shared(own_sandbox: Sandbox, database_url: str) -> None:
    """Two clients of one account share one budget (dj-stripe#2127)."""
    rate = 40
    with Office(database_url, own_sandbox.environ, SKIPCALL_REQUESTS_PER_SECOND=str(rate)) as office:
        asked_for([office.context("skipcall"), office.run("skipcall", CONTACTS).contexts[0]], 1.5)
    times = sorted(request.at for request in own_sandbox.requests)

    assert {request.path for request in own_sandbox.requests} == {"/v1/calls", "/v1/contacts"}
    assert busiest(times, 1.0) <= rate + 1


def test_page_without_end_flag(own_sandbox: Sandbox, own_office: Office) -> None:
    """A total that is missing does not end the list early, nor leave it unproven: it is read twice (PostHog#70028)."""
    with Relay(own_sandbox.url) as relay:

        def without_total(asked: Asked) -> Reply | None:
            if not asked.path.endswith("/calls"):
                return None
            found = decoded(relay.fetched(asked))
            del found["pagination"]["totalCount"]
            return reply(200, found)

        relay.intervene = without_total
        with Office(own_office.database_url, own_office.environ, SAKARI_BASE_URL=relay.url) as office:
            run = office.sync("sakari", threads=3)

    assert_whole(run)
    assert own_office.ids("sakari") == set(truth(own_sandbox, "sakari", CALLS))
    assert {row["verdict"] for row in own_office.rows("SELECT verdict FROM sync_window")} == {"proven"}
    assert sum(astuple(run.receipt.counts)) == run.receipt.counts.fetched


def test_shapes_do_not_flip(own_sandbox: Sandbox, own_office: Office) -> None:
    """Where lists and answers by id differ in shape, neither overwrites the other again and again."""
    began = (datetime.now(UTC) - timedelta(days=4)).isoformat()
    own_sandbox.put("sakari", CALLS, sakari_call(id="open", status="active", created={"at": began}))
    with Relay(own_sandbox.url) as relay:

        def with_more(asked: Asked) -> Reply | None:
            if not asked.path.endswith("/calls/open"):
                return None
            found = decoded(relay.fetched(asked))
            return reply(200, found | {"data": found["data"] | {"user": {"id": "u9", "email": "only@by.id"}}})

        relay.intervene = with_more
        with Office(own_office.database_url, own_office.environ, SAKARI_BASE_URL=relay.url) as office:
            office.sync("sakari")
            by_id = [office.sync("sakari", call_ids=("open",)).receipt.counts]
            for _ in range(2):
                assert office.sync("sakari", full=True).receipt.counts.updated == 0
                by_id.append(office.sync("sakari", call_ids=("open",)).receipt.counts)

    assert [(counts.updated, counts.unchanged) for counts in by_id] == [(1, 0), (0, 1), (0, 1)]


def weekly(office: Office, weeks: range, now: datetime) -> None:
    """Calls in the same hours of past weeks, and in those before and after."""
    for week, hour in product(weeks, (-1, 0, 1)):
        began = (now - timedelta(days=7 * week, hours=hour, minutes=30)).isoformat()
        take_in(office.context("sakari"), [sakari_call(id=f"week-{week}-{hour}", created={"at": began})])


@pytest.mark.parametrize("changed", [-1, 0, 1])
@pytest.mark.parametrize(("weeks", "warned"), [(range(1, 5), True), (range(1, 4), False), (range(5), False)])
def test_silence(own_sandbox: Sandbox, own_office: Office, weeks: range, warned: bool, changed: int) -> None:
    """A scan that finds nothing where the same hours of four weeks had something says so (airbyte#32914).

    Not at the edge of the hours that are worked, where the clocks were `changed` since.
    """
    for id_ in truth(own_sandbox, "sakari", CALLS):
        own_sandbox.remove("sakari", CALLS, id_)
    now = datetime.now(UTC)
    weekly(own_office, weeks, now - timedelta(hours=changed))
    if 0 in weeks:  # one more, of this hour
        began = (now - timedelta(minutes=30)).isoformat()
        own_sandbox.put("sakari", CALLS, sakari_call(id="week-0", created={"at": began}))
    run = own_office.sync("sakari", since=now - timedelta(hours=1))

    assert run.receipt.state == "completed"
    is_said = warned and not changed
    assert (run.receipt.warning is not None) is is_said
    assert ("no call from" in (run.receipt.document["error"] or "")) is is_said


def test_backfill_stands_behind(own_sandbox: Sandbox, database_url: str) -> None:
    """A backfill leaves the budget to the live sync but for a small share, and has all of it when alone."""
    rate = 40
    with Office(database_url, own_sandbox.environ, SKIPCALL_REQUESTS_PER_SECOND=str(rate)) as office:
        live, bulk = office.run("skipcall").contexts[0], office.run("skipcall", CONTACTS, bulk=True).contexts[0]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda context: asked_for([context], 3.0), [live, bulk]))
        shares = Counter(request.path for request in own_sandbox.requests)
        alone = len(own_sandbox.requests)
        asked_for([bulk], 2.0)

    assert shares["/v1/calls"] > 4 * shares["/v1/contacts"] > 0
    assert busiest(sorted(request.at for request in own_sandbox.requests[alone:]), 1.0) > 0.9 * rate


@streams
def test_a_record_is_parsed_and_mapped_once(
    sandbox: Sandbox, database_url: str, provider: str, stream: StreamName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first sync parses each record once and maps it once, whatever its list needs of it before the load."""
    counted: Counter[str] = Counter()
    for name in ("parse", "to_row"):
        method = getattr(Parser, name)

        def count(self: Parser, *values: Any, name: str = name, method: Any = method) -> Any:
            counted[name] += 1
            return method(self, *values)

        monkeypatch.setattr(Parser, name, count)
    monkeypatch.setattr(parser_process, "FEWEST", 10**9)
    with Office(database_url, sandbox.environ) as office:
        run = office.run(provider, stream)
        run.begin()
        run.open()
        counted.clear()
        drained(run)
        run.end()

    assert_whole(run)
    assert counted["parse"] == counted["to_row"] == run.receipt.counts.inserted
