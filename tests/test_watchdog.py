"""What goes wrong is told once, and once when it is over: a real HTTP server takes the alerts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from flows.alerts import after_a_run
from models.findings import Deployed
from sandbox.server import Sandbox
from tasks.matching.run import Ask, Reconciliation
from tests.alerts import Alerts, Desk
from tests.builders import CALLS, CONTACTS, Office, decoded, iso, sakari_call, take_in


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    with Alerts() as server:
        yield server


@pytest.fixture
def desk(own_office: Office, engine: Engine, alerts: Alerts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("tasks.client.FIRST_PAUSE", 0.001)
    with Office(own_office.database_url, own_office.environ, CALLWEAVE_ALERT_URL=alerts.url) as office:
        yield Desk(office, engine, alerts)


def test_wrong_key(desk: Desk, alerts: Alerts) -> None:
    """A refused key is one incident of the account, whatever streams and runs meet it."""
    with Office(desk.office.database_url, desk.office.environ | {"SAKARI_CLIENT_SECRET": "hush-wrong"}) as wrong:
        for _ in range(3):
            desk.sync("sakari", CALLS, CONTACTS, office=wrong)
            desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Sakari: the key is refused"
    assert "SAKARI_CLIENT_SECRET" in told["message"]
    assert "hush" not in told["message"]

    desk.sync("sakari", CALLS, CONTACTS)
    desk.watch()
    (over,) = alerts.take()
    assert over["title"] == "Callweave: Sakari: over: the key is refused"
    assert "seen 3 times" in over["message"]


def test_provider_down(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """An outage is one incident, from the run that met it to the first that completes."""
    desk.sync("bird", CALLS)
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS)
    desk.sync("bird", CALLS, CONTACTS)
    desk.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["the provider cannot be reached"]
    assert "may be missing (about 0 by" in alerts.take()[0]["message"]

    own_sandbox.faults.clear()
    desk.sync("bird", CALLS)
    desk.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["over: the provider cannot be reached"]


def test_partial(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Windows that fail for a reason of their own are the stream's incident, and end with the next whole run."""
    own_sandbox.faults.add("no-list")
    desk.sync("skipcall", CONTACTS)
    desk.sync("skipcall", CONTACTS)
    desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Skipcall: the sync fails"
    assert told["message"].startswith("contacts: ")

    own_sandbox.faults.clear()
    desk.sync("skipcall", CONTACTS)
    desk.watch()
    assert alerts.titles == ["Skipcall: over: the sync fails"]


def test_asked_for_by_hand(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A run by id or through a filter says nothing of the stream: who asked for it sees what came of it."""
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS, call_ids=("b1",))
    desk.sync("bird", CALLS, filters={"status": "no-answer"})
    desk.watch()

    assert alerts.received == []


def test_backfill(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A backfill that fails is told as such; the schedule's runs do not end it, the same backfill does."""
    desk.sync("bird", CALLS, since=days_ago(2))
    asked: dict[str, Any] = {"since": days_ago(60), "until": days_ago(50), "backfill": True}
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS, **asked)
    own_sandbox.faults.clear()
    desk.sync("bird", CALLS)
    desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Bird: a backfill did not complete"
    assert f"windows: --since {asked['since']:%Y-%m-%dT%H:%M:%SZ} --until" in told["message"]

    desk.sync("bird", CALLS, **asked)
    desk.watch()
    assert [title.partition(": ")[2] for title in alerts.titles] == ["over: a backfill did not complete"]


def test_stopped(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A run that somebody stopped is no trouble, and ends none."""
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS)
    own_sandbox.faults.clear()
    alerts.take()
    backfill = {"since": days_ago(60), "until": days_ago(50), "backfill": True}
    for asked in list[dict[str, Any]]([{}, backfill]):
        run = desk.office.run("bird", CALLS, **asked)
        run.begin()
        run.plan()
        run.abandon()
    desk.watch()

    assert alerts.received == []
    assert {row["state"] for row in desk.office.rows("SELECT state FROM v1.sync_status")} == {"failed"}


def test_held_back_deletes(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Deletes that the brake holds back stay an incident until the same range is read without missing any."""
    careful = Office(desk.office.database_url, desk.office.environ, CALLWEAVE_DELETE_BRAKE="2,0.01")
    desk.sync("sakari", CALLS)
    gone = sorted(own_sandbox.truth()["sakari"]["calls"])[5:14]
    for id_ in gone:
        own_sandbox.remove("sakari", "calls", id_)
    with careful:
        desk.sync("sakari", CALLS, office=careful, full=True)
    desk.sync("sakari", CALLS)
    desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Sakari: deletes are held back"
    assert "9 records are missing from the provider's lists: --since" in told["message"]
    assert "--allow-deletes" in told["message"]

    desk.sync("sakari", CALLS, full=True, allow_deletes=True)
    desk.watch()
    assert alerts.titles == ["Sakari: over: deletes are held back"]


def test_rejected_records(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Records that cannot be read are told when they are many, and when they are read."""
    whole = [decoded(body) for body in list(own_sandbox.truth()["skipcall"]["calls"].values())[:8]]
    for one in whole:
        own_sandbox.put("skipcall", "calls", one | dict.fromkeys(("startedAt", "createdAt"), "1960-01-01T00:00:00Z"))
    desk.sync("skipcall", CALLS)
    desk.watch()
    desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Skipcall: too many records cannot be read"
    assert "8 records" in told["message"]

    for one in whole:
        own_sandbox.put("skipcall", "calls", one)
    desk.sync("skipcall", CALLS, full=True)
    desk.watch()
    assert alerts.titles == ["Skipcall: over: too many records cannot be read"]


def test_silence(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """No call where the same hours always had some is told once, until one comes; not when nobody calls anyway."""
    for id_ in own_sandbox.truth()["sakari"]["calls"]:
        own_sandbox.remove("sakari", "calls", id_)
    now = datetime.now(UTC)
    for week in range(1, 5):
        began = iso(now - timedelta(days=7 * week, minutes=30))
        take_in(desk.office.desk("sakari"), [sakari_call(id=f"week-{week}", created={"at": began})])
    desk.sync("sakari", CALLS, since=now - timedelta(hours=1))
    desk.watch()
    desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: Sakari: no calls at all"

    take_in(desk.office.desk("sakari"), [sakari_call(id="new", created={"at": iso(now)})])
    desk.watch()
    assert alerts.titles == ["Sakari: over: no calls at all"]


def test_unproven(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """A stretch that stays unproven through reading after reading is told after some hours, until it is proven."""
    own_sandbox.faults.add("moving")
    desk.sync("sakari", CONTACTS)
    desk.watch()
    assert alerts.received == []

    desk.change("UPDATE sync_window SET finished_at = finished_at - interval '7 hours'")
    desk.sync("sakari", CONTACTS)
    desk.watch()
    desk.watch()
    assert alerts.titles == ["Sakari: windows stay unproven"]
    alerts.take()

    own_sandbox.faults.clear()
    desk.sync("sakari", CONTACTS)
    desk.watch()
    assert alerts.titles == ["Sakari: over: windows stay unproven"]


def test_not_fresh(desk: Desk, alerts: Alerts) -> None:
    """A stream that nobody syncs, and that nothing else explains, is told; schedules that are off explain it."""
    desk.sync("bird", CALLS)
    desk.watch()
    desk.change("UPDATE sync_window SET until = until - interval '2 hours', since = since - interval '2 hours'")
    off = deployed("sync-bird/calls", ("bird", CALLS), is_on=False)
    desk.watch([off])
    desk.watch([off])
    assert alerts.titles == ["a schedule is switched off"]
    alerts.take()

    desk.watch([deployed("sync-bird/calls", ("bird", CALLS))])
    assert sorted(alerts.titles) == ["Bird: not fresh", "over: a schedule is switched off"]
    alerts.take()

    desk.sync("bird", CALLS)
    desk.watch([deployed("sync-bird/calls", ("bird", CALLS))])
    assert alerts.titles == ["Bird: over: not fresh"]


def deployed(name: str, stream: tuple[str, str], *, is_on: bool = True, waits: float = 0) -> Deployed:
    waiting = datetime.now(UTC) - timedelta(minutes=waits)
    return Deployed(name=name, streams=frozenset({stream}), is_on=is_on, waiting_since=waiting, due=None)


def test_runs_do_not_start(desk: Desk, alerts: Alerts) -> None:
    """Runs that wait for a worker are one incident, however many deployments wait; so is a run that cannot begin."""
    waiting = [deployed(f"sync-{name}/calls", (name, CALLS), waits=20) for name in ("bird", "sakari")]
    desk.watch(waiting)
    desk.watch(waiting)
    (told,) = alerts.take()
    assert told["title"] == "Callweave: scheduled runs do not start"
    assert "sync-bird/calls, sync-sakari/calls" in told["message"]

    failed = replace(
        deployed("sync-bird/calls", ("bird", CALLS)), failed_run=("r1", datetime.now(UTC), "no block hush")
    )
    desk.watch([failed])
    assert sorted(alerts.titles) == ["over: scheduled runs do not start", "runs fail before they begin"]


def test_clock(desk: Desk, alerts: Alerts) -> None:
    """A clock that moved is told once while it goes on moving, and a day after it stopped."""
    moved = """
        INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
            support, parameters)
        VALUES ('bird', 'a', 'sakari', 'b', %s, 'the clock moved by 4.0 s', false, 9, '{}')"""
    for version in (2, 3):
        desk.change(moved, version)
        desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: a clock has moved"
    assert "bird:a and sakari:b: the clock moved by 4.0 s" in told["message"]

    desk.change("UPDATE calibration SET adopted_at = adopted_at - interval '25 hours'")
    desk.watch()
    assert alerts.titles == ["over: a clock has moved"]


def test_reconciliation(desk: Desk, alerts: Alerts) -> None:
    """A reconciliation that fails, or whose process was killed, is told until one completes; not one at work."""
    ran = """
        INSERT INTO reconcile_run (state, cause, horizon, whole, error, finished_at)
        VALUES (%s, '', now(), true, %s, now())"""
    for _ in range(2):
        desk.change(ran, "failed", "deadlock\nLINE 7")
        desk.watch()
    (told,) = alerts.take()
    assert told["title"] == "Callweave: recognising the same call fails"
    assert told["message"].startswith("deadlock\nSince")

    desk.change(ran, "completed", None)
    desk.watch()
    assert [one["title"] for one in alerts.take()] == ["Callweave: over: recognising the same call fails"]

    def stopped() -> None:
        with Reconciliation(desk.office.database_url, Ask()).begun():
            desk.watch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    desk.watch()
    assert alerts.received == [], "neither one at work nor one that somebody stopped"
    desk.change(ran, "running", None)
    desk.watch()
    assert alerts.take()[0]["message"].startswith("a run ended without a word")


# --- delivery


def test_broken_channel(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """What could not be delivered is tried again by each watchdog run and delivered once; that it could not be, too."""
    alerts.status = 500
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS)
    assert "CALLWEAVE_ALERT_URL" in (desk.watch() or "")
    assert "CALLWEAVE_ALERT_URL" in (desk.watch() or "")
    assert alerts.received == []

    alerts.status = 200
    assert desk.watch() is None
    assert desk.watch() is None
    assert [title.rpartition(": ")[2] for title in alerts.titles] == [
        "the provider cannot be reached",
        "alerts were not delivered",
    ]


def test_over_before_it_was_told(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """What began and ended while the channel was broken is one message, that tells both."""
    alerts.status = 500
    own_sandbox.faults.add("down-bird")
    desk.sync("bird", CALLS)
    own_sandbox.faults.clear()
    desk.sync("bird", CALLS)
    alerts.status = 200
    desk.watch()

    (told,) = alerts.take()
    assert told["title"] == "Callweave: Bird: over: the provider cannot be reached"
    assert "503" in told["message"]


def test_nobody_listens(desk: Desk, alerts: Alerts) -> None:
    """The watchdog sees without a message that a channel leads nowhere."""
    with Office(
        desk.office.database_url, desk.office.environ | {"CALLWEAVE_ALERT_URL": "json://127.0.0.1:9/x"}
    ) as mute:
        assert "does not answer" in (Desk(mute, desk.engine, alerts).watch() or "")
    with Office(desk.office.database_url, desk.office.environ | {"CALLWEAVE_ALERT_URL": "nonsense"}) as mute:
        assert "no URL" in (Desk(mute, desk.engine, alerts).watch() or "")


def test_at_once(desk: Desk, alerts: Alerts, own_sandbox: Sandbox) -> None:
    """Runs and watchdogs that see the same trouble at the same time tell it once."""
    own_sandbox.faults.add("down-bird")
    desk.office.sync("bird", CALLS)
    account = desk.office.account("bird").key
    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(after_a_run, desk.office.settings, desk.engine, account) for _ in range(3)]
        for one in [*runs, *(pool.submit(desk.watch) for _ in range(3))]:
            one.result()

    assert len(alerts.received) == 1


def test_two_connections(desk: Desk, engine: Engine) -> None:
    """The table itself refuses a second open incident of one cause at one place."""
    opened = "INSERT INTO incident (cause, since, times, detail) VALUES ('drift', now(), 1, '')"
    desk.change(opened)
    with pytest.raises(psycopg.errors.UniqueViolation):
        desk.change(opened)
    desk.change("UPDATE incident SET closed_at = now()")
    desk.change(opened)


def days_ago(days: float) -> datetime:
    return (datetime.now(UTC) - timedelta(days=days)).replace(microsecond=0)
