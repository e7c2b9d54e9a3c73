"""What goes wrong is reported once, and once when it is over: a real HTTP server takes the alerts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from flows.alerts import after_a_run
from models.alerts.rules import Deployed
from sandbox.server import Sandbox
from tasks.matching.run import Ask, Reconciliation
from tests.support.alerts import Alerts, WatchedOffice
from tests.support.builders import CALLS, CONTACTS, Office, decoded, iso, sakari_call, take_in


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    with Alerts() as server:
        yield server


@pytest.fixture
def watched(
    own_office: Office, engine: Engine, alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WatchedOffice]:
    with Office(own_office.database_url, own_office.environ, CALLWEAVE_ALERT_URL=alerts.url) as office:
        yield WatchedOffice(office, engine, alerts)


def test_wrong_key(watched: WatchedOffice, alerts: Alerts) -> None:
    """A refused key is one incident of the account, whatever streams and runs meet it."""
    with Office(watched.office.database_url, watched.office.environ | {"SAKARI_CLIENT_SECRET": "hush-wrong"}) as wrong:
        for _ in range(3):
            watched.sync("sakari", CALLS, CONTACTS, office=wrong)
            watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Sakari: the key is refused"
    assert "SAKARI_CLIENT_SECRET" in sent["message"]
    assert "hush" not in sent["message"]

    watched.sync("sakari", CALLS, CONTACTS)
    watched.watch()
    (over,) = alerts.take()
    assert over["title"] == "Callweave: Sakari: over: the key is refused"
    assert "seen 3 times" in over["message"]


def test_provider_down(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """An outage is one incident, from the run that met it to the first that completes."""
    watched.sync("bird", CALLS)
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS)
    watched.sync("bird", CALLS, CONTACTS)
    watched.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["the provider cannot be reached"]
    assert "may be missing (about 0 by" in alerts.take()[0]["message"]

    own_sandbox.faults.clear()
    watched.sync("bird", CALLS)
    watched.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["over: the provider cannot be reached"]


def test_partial(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Windows that fail for a reason of their own are the stream's incident, and end with the next whole run."""
    own_sandbox.faults.add("no-list")
    watched.sync("skipcall", CONTACTS)
    watched.sync("skipcall", CONTACTS)
    watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Skipcall: the sync fails"
    assert sent["message"].startswith("contacts: ")

    own_sandbox.faults.clear()
    watched.sync("skipcall", CONTACTS)
    watched.watch()
    assert alerts.titles == ["Skipcall: over: the sync fails"]


def test_asked_for_by_hand(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A run by id or through a filter says nothing of the stream: who asked for it sees what came of it."""
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS, call_ids=("b1",))
    watched.sync("bird", CALLS, filters={"status": "no-answer"})
    watched.watch()

    assert alerts.received == []


def test_backfill(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A backfill that fails is reported as such; the schedule's runs do not end it, the same backfill does."""
    watched.sync("bird", CALLS, since=days_ago(2))
    asked: dict[str, Any] = {"since": days_ago(60), "until": days_ago(50), "backfill": True}
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS, **asked)
    own_sandbox.faults.clear()
    watched.sync("bird", CALLS)
    watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Bird: a backfill did not complete"
    assert f"windows: --since {asked['since']:%Y-%m-%dT%H:%M:%SZ} --until" in sent["message"]

    watched.sync("bird", CALLS, **asked)
    watched.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["over: a backfill did not complete"]


def test_stopped(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A run that somebody stopped is no trouble, and ends none."""
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS)
    own_sandbox.faults.clear()
    alerts.take()
    backfill = {"since": days_ago(60), "until": days_ago(50), "backfill": True}
    for asked in list[dict[str, Any]]([{}, backfill]):
        run = watched.office.run("bird", CALLS, **asked)
        run.begin()
        run.open()
        run.abandon()
    watched.watch()

    assert alerts.received == []
    assert {row["state"] for row in watched.office.rows("SELECT state FROM v1.sync_status")} == {"failed"}


def test_held_back_deletes(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Deletes that the brake holds back stay an incident until the same range is read without missing any."""
    careful = Office(watched.office.database_url, watched.office.environ, CALLWEAVE_DELETE_BRAKE="2,0.01")
    watched.sync("sakari", CALLS)
    gone = sorted(own_sandbox.truth()["sakari"]["calls"])[5:14]
    for id_ in gone:
        own_sandbox.remove("sakari", "calls", id_)
    with careful:
        watched.sync("sakari", CALLS, office=careful, full=True)
    watched.sync("sakari", CALLS)
    watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Sakari: deletes are held back"
    assert "9 records are missing from the provider's lists: --since" in sent["message"]
    assert "--allow-deletes" in sent["message"]

    watched.sync("sakari", CALLS, full=True, allow_deletes=True)
    watched.watch()
    assert alerts.titles == ["Sakari: over: deletes are held back"]


def test_rejected_records(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Records that cannot be read are reported when they are many, and when they are read."""
    whole = [decoded(body) for body in list(own_sandbox.truth()["skipcall"]["calls"].values())[:8]]
    for one in whole:
        own_sandbox.put("skipcall", "calls", one | dict.fromkeys(("startedAt", "createdAt"), "1960-01-01T00:00:00Z"))
    watched.sync("skipcall", CALLS)
    watched.watch()
    watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Skipcall: too many records cannot be read"
    assert "8 records" in sent["message"]

    for one in whole:
        own_sandbox.put("skipcall", "calls", one)
    watched.sync("skipcall", CALLS, full=True)
    watched.watch()
    assert alerts.titles == ["Skipcall: over: too many records cannot be read"]


def test_silence(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """No call where the same hours always had some is reported once, until one comes; not when nobody calls anyway."""
    for id_ in own_sandbox.truth()["sakari"]["calls"]:
        own_sandbox.remove("sakari", "calls", id_)
    now = datetime.now(UTC)
    for week, hour in product(range(1, 5), (-1, 0, 1)):
        began = iso(now - timedelta(days=7 * week, hours=hour, minutes=30))
        take_in(watched.office.context("sakari"), [sakari_call(id=f"week-{week}-{hour}", created={"at": began})])
    watched.sync("sakari", CALLS, since=now - timedelta(hours=1))
    watched.watch()
    watched.watch()
    (sent,) = alerts.take()
    assert (sent["title"], sent["type"]) == ("Callweave: Sakari: no calls at all", "warning")

    take_in(watched.office.context("sakari"), [sakari_call(id="new", created={"at": iso(now)})])
    watched.watch()
    assert [(one["title"], one["type"]) for one in alerts.received] == [
        ("Callweave: Sakari: over: no calls at all", "success")
    ]


def test_unproven(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A stretch that stays unproven through reading after reading is reported after some hours, until it is proven."""
    own_sandbox.faults.add("moving")
    watched.sync("sakari", CONTACTS)
    watched.watch()
    assert alerts.received == []

    watched.change("UPDATE sync_window SET finished_at = finished_at - interval '7 hours'")
    watched.sync("sakari", CONTACTS)
    watched.watch()
    watched.watch()
    assert alerts.titles == ["Sakari: windows stay unproven"]
    alerts.take()

    own_sandbox.faults.clear()
    watched.sync("sakari", CONTACTS)
    watched.watch()
    assert alerts.titles == ["Sakari: over: windows stay unproven"]


def test_not_fresh(watched: WatchedOffice, alerts: Alerts) -> None:
    """A stream that is not synced, for no other known reason, is reported; schedules that are off explain it."""
    watched.sync("bird", CALLS)
    watched.watch()
    watched.change("UPDATE sync_window SET until = until - interval '2 hours', since = since - interval '2 hours'")
    off = deployed("sync-bird/calls", ("bird", CALLS), is_on=False)
    watched.watch([off])
    watched.watch([off])
    assert alerts.titles == ["a schedule is switched off"]
    alerts.take()

    watched.watch([deployed("sync-bird/calls", ("bird", CALLS))])
    assert sorted(alerts.titles) == ["Bird: not fresh", "over: a schedule is switched off"]
    alerts.take()

    watched.sync("bird", CALLS)
    watched.watch([deployed("sync-bird/calls", ("bird", CALLS))])
    assert alerts.titles == ["Bird: over: not fresh"]


def deployed(name: str, stream: tuple[str, str], *, is_on: bool = True, waits: float = 0) -> Deployed:
    waiting = datetime.now(UTC) - timedelta(minutes=waits)
    return Deployed(name=name, streams=frozenset({stream}), is_on=is_on, waiting_since=waiting, due=None)


def test_runs_do_not_start(watched: WatchedOffice, alerts: Alerts) -> None:
    """Runs that wait for a worker are one incident, however many deployments wait; so is a run that cannot begin."""
    waiting = [deployed(f"sync-{name}/calls", (name, CALLS), waits=20) for name in ("bird", "sakari")]
    watched.watch(waiting)
    watched.watch(waiting)
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: scheduled runs do not start"
    assert "sync-bird/calls, sync-sakari/calls" in sent["message"]

    failed = replace(
        deployed("sync-bird/calls", ("bird", CALLS)), failed_run=("r1", datetime.now(UTC), "no block hush")
    )
    watched.watch([failed])
    assert sorted(alerts.titles) == ["over: scheduled runs do not start", "runs fail before they begin"]


def test_clock(watched: WatchedOffice, alerts: Alerts) -> None:
    """A clock that moved is reported once while it goes on moving, and a day after it stopped."""
    moved = """
        INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
            support, parameters)
        VALUES ('bird', 'a', 'sakari', 'b', %s, 'the clock moved by 4.0 s', false, 9, '{}')"""
    for version in (2, 3):
        watched.change(moved, version)
        watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: a clock has moved"
    assert "bird:a and sakari:b: the clock moved by 4.0 s" in sent["message"]

    watched.change("UPDATE calibration SET adopted_at = adopted_at - interval '25 hours'")
    watched.watch()
    assert alerts.titles == ["over: a clock has moved"]


def test_reconciliation(watched: WatchedOffice, alerts: Alerts) -> None:
    """A reconciliation that fails, or whose process was killed, is reported until one completes; not one at work."""
    ran = """
        INSERT INTO reconcile_run (state, cause, horizon, whole, error, finished_at)
        VALUES (%s, '', now(), true, %s, now())"""
    for _ in range(2):
        watched.change(ran, "failed", "deadlock\nLINE 7")
        watched.watch()
    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: recognising the same call fails"
    assert sent["message"].startswith("deadlock\nSince")

    watched.change(ran, "completed", None)
    watched.watch()
    assert [one["title"] for one in alerts.take()] == ["Callweave: over: recognising the same call fails"]

    def stopped() -> None:
        with Reconciliation(watched.office.database_url, Ask()).begun():
            watched.watch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    watched.watch()
    assert alerts.received == [], "neither one at work nor one that somebody stopped"
    watched.change(ran, "running", None)
    watched.watch()
    assert alerts.take()[0]["message"].startswith("a run ended without a word")


# --- delivery


def test_broken_channel(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """What could not be delivered is tried again by each watchdog run and delivered once; that it could not be, too."""
    alerts.status = 500
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS)
    assert "CALLWEAVE_ALERT_URL" in (watched.watch() or "")
    assert "CALLWEAVE_ALERT_URL" in (watched.watch() or "")
    assert alerts.received == []

    alerts.status = 200
    assert watched.watch() is None
    assert watched.watch() is None
    assert [title.rpartition(": ")[2] for title in alerts.titles] == [
        "the provider cannot be reached",
        "alerts were not delivered",
    ]


def test_over_before_it_was_told(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """What began and ended while the channel was broken is one message, that reports both."""
    alerts.status = 500
    own_sandbox.faults.add("down-bird")
    watched.sync("bird", CALLS)
    own_sandbox.faults.clear()
    watched.sync("bird", CALLS)
    alerts.status = 200
    watched.watch()

    (sent,) = alerts.take()
    assert sent["title"] == "Callweave: Bird: over: the provider cannot be reached"
    assert "503" in sent["message"]


def test_nobody_listens(watched: WatchedOffice, alerts: Alerts) -> None:
    """The watchdog sees without a message that a channel leads nowhere."""
    with Office(
        watched.office.database_url, watched.office.environ | {"CALLWEAVE_ALERT_URL": "json://127.0.0.1:9/x"}
    ) as mute:
        assert "does not answer" in (WatchedOffice(mute, watched.engine, alerts).watch() or "")
    with Office(watched.office.database_url, watched.office.environ | {"CALLWEAVE_ALERT_URL": "nonsense"}) as mute:
        assert "no URL" in (WatchedOffice(mute, watched.engine, alerts).watch() or "")


def test_at_once(watched: WatchedOffice, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Runs and watchdogs that see the same trouble at the same time report it once."""
    own_sandbox.faults.add("down-bird")
    watched.office.sync("bird", CALLS)
    account = watched.office.account("bird").key
    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(after_a_run, watched.office.settings, watched.engine, account) for _ in range(3)]
        for one in [*runs, *(pool.submit(watched.watch) for _ in range(3))]:
            one.result()

    assert len(alerts.received) == 1


def test_two_connections(watched: WatchedOffice, engine: Engine) -> None:
    """The table itself refuses a second open incident of one cause at one place."""
    opened = "INSERT INTO incident (cause, since, times, detail) VALUES ('drift', now(), 1, '')"
    watched.change(opened)
    with pytest.raises(psycopg.errors.UniqueViolation):
        watched.change(opened)
    watched.change("UPDATE incident SET closed_at = now()")
    watched.change(opened)


def days_ago(days: float) -> datetime:
    return (datetime.now(UTC) - timedelta(days=days)).replace(microsecond=0)
