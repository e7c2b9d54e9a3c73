"""`callweave check`: every trouble is a line that says what is wrong and what to do; the command ends with 1."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from sqlalchemy import Engine

from flows.cli.check import _all
from sandbox.server import Sandbox
from tasks.database import engine_for
from tasks.diagnostics.checks import Result, of_account, of_behaviour, of_database
from tasks.diagnostics.prefect_checks import of_alerts, of_prefect
from tasks.embedded import EmbeddedPostgres
from tasks.migrate import upgrade
from tasks.settings import Settings
from tests.support.alerts import Alerts
from tests.support.builders import Json, Office
from tests.support.relay import Asked, Relay, Reply, reply

OPENAPI = json.loads((Path(__file__).parents[2] / "sandbox" / "skipcall_openapi.json").read_text())


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.url) as relay:
        yield relay


def checked(office: Office, relay: Relay, provider: str = "skipcall", **more: str) -> dict[str, str | None]:
    """The lines about one account, asked through the relay: what → problem."""
    url = {
        f"{provider.upper()}_BASE_URL": office.environ[f"{provider.upper()}_BASE_URL"].replace(
            target(office), relay.url
        )
    }
    with Office(office.database_url, office.environ | url | more) as other:
        client = other.run(provider).contexts[0].client
        return {result.what: result.problem for result in of_account(client, None)}


def target(office: Office) -> str:
    return "/".join(office.environ["SAKARI_BASE_URL"].split("/")[:3])


@pytest.mark.parametrize("provider", ["sakari", "bird", "skipcall"])
def test_nothing_wrong(office: Office, relay: Relay, provider: str) -> None:
    """Where nothing is wrong each stream, the clock and the provider's own description are said to be good."""
    found = checked(office, relay, provider)

    assert set(found.values()) == {None}
    assert len(found) == (4 if provider == "skipcall" else 3)


def test_wrong_key(office: Office, relay: Relay) -> None:
    """A refused key names the variable, on each stream."""
    found = checked(office, relay, SKIPCALL_API_KEY="hush-wrong")

    assert len(found) == 2
    assert all("SKIPCALL_API_KEY" in str(problem) and "hush" not in str(problem) for problem in found.values())


def test_forbidden(office: Office, relay: Relay) -> None:
    """A stream that the key may not read is named, the other is good."""
    relay.intervene = lambda asked: reply(403, {"message": "no"}) if asked.path.endswith("contacts") else None
    found = checked(office, relay)

    assert found["Skipcall calls: key, rights and paging"] is None
    assert "403" in str(found["Skipcall contacts: key, rights and paging"])


def test_paging(office: Office, relay: Relay) -> None:
    """A page without its list, one larger than asked for, and a record that cannot be read, are each reported."""
    bodies: dict[str, Json] = {"calls": {"data": [{"id": "1"}], "meta": {}}, "contacts": {"rows": []}}
    relay.intervene = lambda asked: reply(200, found) if (found := bodies.get(asked.path.split("/")[-1])) else None
    found = checked(office, relay)
    assert "cannot be read" in str(found["Skipcall calls: key, rights and paging"])
    assert "without 'data'" in str(found["Skipcall contacts: key, rights and paging"])

    bodies["calls"] = {"success": True, "data": [{"id": "1"}, {"id": "2"}], "pagination": {}}
    found = checked(office, relay, "sakari")
    assert "page size is not obeyed" in str(found["Sakari calls: key, rights and paging"])


@pytest.mark.parametrize(
    ("deviation", "provider", "words"),
    [
        ("nested-envelope", "skipcall", "Skipcall calls: records stand under 'data.results' (other than assumed"),
        ("size-not-limit", "skipcall", "'limit' is not obeyed; the page size is called 'size' (other than assumed"),
        ("page-from-zero", "skipcall", "pages count from 0, not from 1 (other than assumed"),
        ("range-by-day", "bird", "a range is cut to whole days, the last one left out: a day more is asked for"),
        ("range-by-other-time", "bird", "a range is of another time of a call than its start: the whole list is read"),
        ("range-by-other-time", "sakari", "a range is of another time of a call than its start: the whole list is"),
        ("range-ignored", "sakari", "a range of time is ignored: the whole list is read (other than assumed"),
        ("total-of-everything", "sakari", "the total counts the whole list, not the range: it is not used"),
    ],
)
def test_what_is_otherwise(own_sandbox: Sandbox, database_url: str, deviation: str, provider: str, words: str) -> None:
    """What is otherwise than assumed and understood is a note in words, and nothing beside it is called wrong."""
    own_sandbox.deviations.add(deviation)
    with Office(database_url, own_sandbox.environ) as office:
        context = office.context(provider)
        found = [*of_account(context.client, None), *of_behaviour(context)]

    assert [one.problem for one in found if one.problem] == []
    assert [one.what for one in found if one.is_note and words in one.what]


def test_clock(office: Office, relay: Relay) -> None:
    """A provider's clock that is far from ours is reported, with how far and which way."""

    def late(asked: Asked) -> Reply | None:
        found = Reply(body=relay.fetched(asked))
        return found._replace(headers=found.headers | {"Date": "Sun, 22 Nov 2020 12:00:00 GMT"})

    relay.intervene = late
    problem = str(checked(office, relay)["Skipcall's clock"])

    assert "s behind this machine's" in problem
    assert "NTP" in problem


def test_description(office: Office, relay: Relay) -> None:
    """What we send and the provider's own description does not know, or demands and we do not send, is reported."""
    document = json.loads(json.dumps(OPENAPI))
    calls = document["paths"]["/v1/calls"]["get"]["parameters"]
    calls[0]["name"] = "pageNumber"
    calls[0]["required"] = True
    del document["paths"]["/v1/contacts"]
    relay.intervene = lambda asked: reply(200, document) if asked.path.endswith("docs-json") else None
    problem = str(checked(office, relay)["Skipcall's own description (/docs-json)"])

    assert "GET /v1/calls does not take 'page', which we send" in problem
    assert "GET /v1/calls demands 'pageNumber', which we do not send" in problem
    assert "does not know GET /v1/contacts" in problem


def test_description_that_is_not_there(office: Office, relay: Relay) -> None:
    """A description that is not served, or is something else, is a note and no fault."""
    for answer in (reply(404, {}), reply(200, [1]), reply(200, b"<html>")):
        answers = {"docs-json": answer}
        relay.intervene = lambda asked: answers.get(asked.path.rpartition("/")[2])  # noqa: B023 - asked at once
        found = checked(office, relay)

        assert set(found.values()) == {None}
        assert any("not compared" in what for what in found)


def problems(engine: Engine) -> dict[str, str | None]:
    with engine.connect() as connection:
        return {result.what: result.problem for result in of_database(connection)}


def test_database(cluster: EmbeddedPostgres, empty_database_url: str, engine: Engine) -> None:
    """A role that may not write what it must is told which tables; the database's version and clock are good."""
    assert set(problems(engine).values()) == {None}

    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS timid")
        connection.execute("CREATE ROLE timid LOGIN")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO timid")
        connection.execute("REVOKE DELETE ON sync_window FROM timid")
    timid = engine_for(empty_database_url.replace("postgres@", "timid@"), pool_size=1)
    assert "no right to read and write sync_window" in str(problems(timid)["database: rights"])
    timid.dispose()


def test_prefect_away() -> None:
    """A Prefect server that does not answer is reported with its address."""
    away = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(away):
        (found,) = of_prefect("http://127.0.0.1:9/api", is_ours=False)

    assert "does not answer at http://127.0.0.1:9/api" in str(found.problem)


def test_without_a_database(office: Office) -> None:
    """Where Postgres is away, Prefect and the alert channel are tried all the same, and what is not is named."""
    away = {"DATABASE_URL": "postgresql://127.0.0.1:9/x", "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    with temporary_settings({PREFECT_API_URL: away["PREFECT_API_URL"], PREFECT_CLIENT_MAX_RETRIES: 0}):
        results = {one.what: one.problem for one in _all(Settings(office.environ | away), ["sakari"])}

    assert "Postgres" in str(results["database"])
    assert "does not answer" in str(results["Prefect server"])
    assert "not tried without a database: sakari" in results
    assert any("CALLWEAVE_ALERT_URL" in what for what in results)


def test_alert_channel(office: Office) -> None:
    """A channel that leads nowhere is wrong, one that answers is good, none at all is a note."""

    def found(**more: str) -> list[Result]:
        with Office(office.database_url, office.environ | more) as other:
            return list(of_alerts(other.settings))

    assert [result.is_note for result in found()] == [True, True]
    with Alerts() as alerts:
        assert [result.problem for result in found(CALLWEAVE_ALERT_URL=alerts.url, CALLWEAVE_HEARTBEAT_URL="x")] == [
            None
        ]
        assert alerts.received == []
    assert "does not answer" in str(found(CALLWEAVE_ALERT_URL="json://127.0.0.1:9/x")[0].problem)
