"""docs/querying.md: every question's query on the sandbox's world, compared with the same worked out in Python."""

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Engine

from models.change import Change
from models.vocabulary import ChangeKind, Entity
from sandbox.server import Sandbox
from tasks.change_feed import record_changes
from tasks.database import in_transaction
from tasks.embedded import EmbeddedPostgres
from tasks.identity.linker import link_people
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tests.support.builders import Json, Office, sakari_call, take_in
from tests.support.fixtures import new_database
from tests.support.patience import PATIENCE
from tests.support.reconciled import reconcile

PAGE = (Path(__file__).parents[2] / "docs" / "querying.md").read_text("utf-8")
QUESTIONS = dict(re.findall(r"^### (.+?)\n.*?^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
DAY, TEN_MINUTES = timedelta(days=1), timedelta(minutes=10)


class Answers:
    """A world that is synced and reconciled, asked by a reader."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, row_factory=dict_row, autocommit=True, options="-c timezone=UTC")
        self.connection.execute("SET ROLE callweave_reader")
        self.ever = self.rows("SELECT * FROM v1.unified_call ORDER BY started_at, unified_call_id")
        (now,) = self.rows("SELECT now() AS at")
        self.calls = [one for one in self.ever if one["started_at"] >= now["at"] - 90 * DAY]
        self.records = self.rows("SELECT * FROM v1.call WHERE deleted_at IS NULL")

    def rows(self, query: str) -> list[Json]:
        return self.connection.execute(query.encode()).fetchall()

    def to(self, question: str, **put: str) -> list[Json]:
        query = QUESTIONS[question]
        for old, new in put.items():
            query = query.replace(old, new)
        return self.rows(query)

    @property
    def missed(self) -> list[Json]:
        """Missed calls of people with a number."""
        wanted = ("inbound", "missed")
        return [one for one in self.calls if (one["direction"], one["outcome"]) == wanted and one["person_id"]]

    def responses(self, missed: Json) -> list[timedelta]:
        """After how long each call that answers a missed one came."""
        return [
            one["started_at"] - missed["started_at"]
            for one in self.calls
            if one["person_id"] == missed["person_id"] and one["started_at"] > missed["started_at"]
            if one["direction"] == "outbound" or one["outcome"] == "answered"
        ]


def redials() -> Iterator[Json]:
    """Somebody who was missed, called again after nine minutes and twenty, was missed again and then answered."""
    began = datetime.now(UTC) - 40 * DAY
    for number, (minutes, duration) in enumerate([(0, 0), (9, 0), (20, 35)]):
        yield sakari_call(
            id=f"redial{number}",
            contact={"id": "r", "mobile": {"country": "US", "number": "(212) 555-0199"}},
            created={"at": (began + timedelta(minutes=minutes)).isoformat()},
            duration=duration,
        )


@pytest.fixture(scope="module")
def answers(cluster: EmbeddedPostgres, sandbox: Sandbox) -> Iterator[Answers]:
    url = new_database(cluster)
    upgrade(url)
    with Office(url, sandbox.environ) as office:
        office.sync_all()
        take_in(office.context("sakari"), list(redials()))
        link_people(office.context("skipcall").engine)
        office.change("UPDATE contact SET first_seen_at = first_seen_at - interval '30 days'")
    reconcile(url)
    asked = Answers(url)
    yield asked
    asked.connection.close()


def test_missed_and_not_returned(answers: Answers) -> None:
    """Missed calls without an answer within a day, each once, up to a day before the end of what is complete."""
    (complete,) = answers.rows("SELECT v1.complete_up_to() - interval '1 day' AS until")
    expected = [
        one["unified_call_id"]
        for one in answers.missed
        if one["started_at"] < complete["until"] and not any(wait <= DAY for wait in answers.responses(one))
    ]
    found = answers.to("Missed calls that nobody returned within a day")

    assert len(expected) > 10
    assert [one["unified_call_id"] for one in found] == expected


def test_first_response(answers: Answers) -> None:
    """The median is that of the first answers, and what was never answered is counted."""
    waits = [min(waits, default=None) for waits in map(answers.responses, answers.missed)]
    known = [wait for wait in waits if wait is not None]
    (found,) = answers.to("Median time to the first response")

    assert len(known) > 3
    assert found["median_wait"].total_seconds() == pytest.approx(median(wait.total_seconds() for wait in known), abs=1)
    assert (found["answered"], found["unanswered"]) == (len(known), waits.count(None))


def test_redials(answers: Answers) -> None:
    """Each pair of a missed call and another of the same person within ten minutes is one redial."""
    expected = {
        (missed["unified_call_id"], again["unified_call_id"])
        for missed in answers.missed
        for again in answers.calls
        if again["direction"] == "inbound" and again["person_id"] == missed["person_id"]
        if timedelta() < again["started_at"] - missed["started_at"] <= TEN_MINUTES
    }
    found = answers.to("Redials within ten minutes of a missed call")

    assert len(found) == len(expected) > 0
    assert {(one["missed"], one["redial"]) for one in found} == expected


def test_history(answers: Answers) -> None:
    """A person is found by any number, and every real call with them is there, in order."""
    ((number, _),) = Counter(one["remote_e164"] for one in answers.ever if one["remote_e164"]).most_common(1)
    (person,) = {one["person_id"] for one in answers.ever if one["remote_e164"] == number}
    found = answers.to("A person's whole history", **{"+12126604871": number})

    expected = [one["started_at"] for one in answers.ever if one["person_id"] == person]
    assert len(expected) > 1
    assert [one["started_at"] for one in found] == expected


def test_busiest_hours(answers: Answers) -> None:
    """Weekdays and hours are those of the zone's clock, and every real call is in one of them."""
    local = [one["started_at"].astimezone(ZoneInfo("Europe/Paris")) for one in answers.calls]
    expected = Counter((moment.isoweekday(), moment.hour) for moment in local)
    found = answers.to("Busiest hours by weekday")

    assert {(one["weekday"], one["hour"]): one["calls"] for one in found} == expected
    assert [one["calls"] for one in found] == sorted(expected.values(), reverse=True)


def test_duplicates(answers: Answers) -> None:
    """Records, real calls, legs and what other systems hold too add up, per provider."""
    shared = {one["unified_call_id"] for one in answers.ever if len(one["providers"]) > 1}
    found = {one.pop("provider"): one for one in answers.to("Duplicates, per provider")}

    assert set(found) == set(PROVIDERS)
    (since,) = answers.rows("SELECT now() - interval '90 days' AS at")
    for provider, row in found.items():
        mine = [one for one in answers.records if one["provider"] == provider and one["started_at"] >= since["at"]]
        ids = [one["unified_call_id"] for one in mine]
        expected = (len(ids), len(set(ids)), len(ids) - len(set(ids)), len(set(ids) & shared))
        assert tuple(row.values()) == expected


def test_talk_per_agent(answers: Answers) -> None:
    """Each answered call counts once, for one of its agents, by the length that the record with both times tells."""
    answered = [one for one in answers.calls if one["outcome"] == "answered"]
    found = {one["agent"]: one for one in answers.to("Talk time per agent")}
    told = {
        one["unified_call_id"]: (one["ended_at"] - one["answered_at"]).total_seconds()
        for one in answers.records
        if one["outcome"] == "answered" and one["answered_at"] and not one["is_leg"]
    }
    both = [(one["talk_seconds"], told[one["unified_call_id"]]) for one in answered if one["unified_call_id"] in told]

    assert len(both) > 20
    assert None in found
    assert all(abs(seconds - expected) <= 1 for seconds, expected in both)
    assert Counter(one["agent"] for one in answered) == {agent: row["calls"] for agent, row in found.items()}
    for agent, row in found.items():
        lengths = [one["talk_seconds"] for one in answered if one["agent"] == agent and one["talk_seconds"] is not None]
        assert (row["of_known_length"], row["talk_seconds"]) == (len(lengths), sum(lengths) if lengths else None)


def test_opted_out_and_called(answers: Answers) -> None:
    """Outbound calls to whom a contact in any system says that they opted out, from when we first saw that."""
    contacts = answers.rows("SELECT * FROM v1.contact WHERE opted_out AND deleted_at IS NULL")
    out: dict[int, datetime] = {}
    for one in contacts:
        if one["person_id"]:
            out[one["person_id"]] = min(one["opted_out_at"], out.get(one["person_id"], one["opted_out_at"]))
    expected = {
        one["unified_call_id"]: out[one["person_id"]]
        for one in answers.ever
        if one["direction"] == "outbound" and one["person_id"] in out and one["started_at"] > out[one["person_id"]]
    }
    found = answers.to("Who opted out and was called anyway")

    assert {one["unified_call_id"]: one["opted_out_at"] for one in found} == expected
    assert len(found) == len(expected) > 3
    outbound = [one for one in answers.ever if one["direction"] == "outbound" and one["person_id"] in out]
    assert len(outbound) > len(expected)


def test_only_here(answers: Answers) -> None:
    """What only one system has is in a real call that no other account is part of."""
    found = answers.to("Calls that one system has and no other")
    providers = {one["unified_call_id"]: one["providers"] for one in answers.ever}
    since = {one["unified_call_id"] for one in answers.calls}

    assert len(found) > 20
    assert len({one["unified_call_id"] for one in found}) == len(found)
    assert all(len(providers[one["unified_call_id"]]) == 1 for one in found)
    alone = answers.rows("SELECT unified_call_id FROM v1.unmatched_call WHERE reason = 'only_here'")
    assert {one["unified_call_id"] for one in found} == {one["unified_call_id"] for one in alone} & since


def test_missing(answers: Answers) -> None:
    """Each call is one that an account with its line does not hold, over time that the account is complete for."""
    found = answers.to("Calls that a system should hold and does not")
    lines = {(one["provider"], one["own_e164"]) for one in answers.records}
    covered = {
        one["provider"]: one["covered"] for one in answers.rows("SELECT * FROM v1.sync_status WHERE stream = 'calls'")
    }
    undecided = answers.rows("SELECT unified_call_id FROM v1.unmatched_call WHERE reason = 'ambiguous'")
    ambiguous = {one["unified_call_id"] for one in undecided}
    expected = [
        (one["started_at"], provider)
        for one in answers.calls
        for provider in PROVIDERS
        if provider not in one["providers"] and (provider, one["own_e164"]) in lines
        if any(one["started_at"] in stretch for stretch in covered[provider])
        if not one["hidden_number"] and one["unified_call_id"] not in ambiguous
        if one["outcome"] not in {"in_progress", "scheduled", "unknown"}
    ]
    assert sorted((one["started_at"], one["provider"]) for one in found) == sorted(expected)
    assert len(expected) > 20


def test_lost_calls(answers: Answers) -> None:
    """A system is measured by the real calls on its own numbers, in time that is complete, and by what was usual."""
    (now,) = answers.rows("SELECT now() AS at, v1.complete_up_to() AS until")
    month = [one for one in answers.calls if one["started_at"] >= now["at"] - 35 * DAY and one["own_e164"]]
    month = [one for one in month if one["started_at"] < now["until"]]
    week = [one for one in month if one["started_at"] >= now["at"] - 7 * DAY]
    before = [one for one in month if one not in week]
    found = {one["provider"]: one for one in answers.to("Which system lost calls last week")}

    assert found
    for provider, row in found.items():
        mine = [one for one in answers.records if one["provider"] == provider and one["unified_call_id"]]
        lines = {one["own_e164"] for one in mine if one["started_at"] >= now["at"] - 35 * DAY}
        held = {one["unified_call_id"] for one in mine}
        new, old = ([one for one in some if one["own_e164"] in lines] for some in (week, before))
        lost, usual = ([one for one in some if one["unified_call_id"] not in held] for some in (new, old))
        assert (row["calls"], row["not_held"]) == (len(new), len(lost))
        assert float(row["not_held_percent"]) == pytest.approx(100 * len(lost) / len(new), abs=0.06)
        assert float(row["percent_before"]) == pytest.approx(100 * len(usual) / len(old), abs=0.06)
    assert sum(row["not_held"] for row in found.values()) > 0


def test_every_other_query(answers: Answers) -> None:
    """Every other query of the page that stands for itself runs."""
    others = [part for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL) for part in block.split(";\n")]
    plain = [query for query in others if query.strip() and "$" not in query]

    assert len(plain) > len(QUESTIONS) + 8
    for query in plain:
        answers.rows(query)


CONSUMER = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
KILLED = """
import os, signal
body = open({path!r}).read()
body = body.replace("        if changes:\\n", "        if changes and not os.path.exists({flag!r}):\\n"
    "            open({flag!r}, 'w').close(); os.kill(os.getpid(), signal.SIGKILL)\\n        if changes:\\n")
exec(compile(body, "consumer", "exec"))
"""


def test_a_killed_consumer(office: Office, engine: Engine, database_url: str, tmp_path: Path) -> None:
    """The page's consumer, killed between acting and moving its bookmark, ends with every call once and up to date."""
    assert CONSUMER
    script, flag = tmp_path / "consumer.py", tmp_path / "killed"
    script.write_text(CONSUMER[1])
    context = office.context("sakari")
    take_in(context, [sakari_call(id=f"s{n}") for n in range(20)])
    with psycopg.connect(database_url, autocommit=True) as connection:
        code = KILLED.format(path=str(script), flag=str(flag))
        first = subprocess.run([sys.executable, "-c", code, database_url], check=False, timeout=PATIENCE)
        assert first.returncode == -signal.SIGKILL
        assert connection.execute("SELECT sequence FROM my_bookmark").fetchall() == [(0,)]
        assert connection.execute("SELECT count(*) FROM my_call").fetchall() == [(0,)]

        with subprocess.Popen([sys.executable, str(script), database_url]) as second:
            wait_for(connection, "SELECT count(*) FROM my_call", 20)
            connection.execute("UPDATE call SET vanished_at = now() WHERE external_id = 's7'")
            gone = Change(Entity.CALL, "sakari", context.key["account"], "s7", ChangeKind.DELETED)
            in_transaction(engine, lambda c: record_changes(c, [gone]))
            connection.execute("SELECT pg_notify('callweave_change', 'any')")
            wait_for(connection, "SELECT count(*) FROM my_call WHERE deleted", 1)
            second.kill()
        connection.execute("DROP TABLE my_call, my_bookmark")
    assert len([line for line in CONSUMER[1].splitlines() if line.strip()]) <= 34


def wait_for(connection: psycopg.Connection[Any], query: str, value: int) -> None:
    for _ in range(600):
        row = connection.execute(query.encode()).fetchone()
        if row and row[0] == value:
            return
        connection.execute("SELECT pg_sleep(0.05)")
    pytest.fail(f"{query}: never {value}")
