"""Secrets and people planted in a provider's errors: nowhere that people look, and in no database, do they come out."""

import html
from base64 import b64encode
from collections.abc import Iterator
from itertools import count, cycle
from urllib.parse import quote

import msgspec
import psycopg
import pytest

from tasks.embedded import EmbeddedPostgres, Stack
from tests.e2e.test_cli import SECRETS, Branch
from tests.e2e.test_secrets import dump
from tests.support.alerts import Alerts
from tests.support.relay import Asked, Relay, Reply

# In no other test: what those leave behind in Prefect's database, which they share, must not be found as ours.
PEOPLE = ["06/39/98/71/23", "06_39_98_71_23", "+33 6 39 98 71 23", "zoe.planted@example.com"]
ODD = "\x1b[31m[red]<b>broken</b>[/nothing]"
OURS = (
    "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL ('{call,contact}')"
)


@pytest.fixture
def branch(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Branch]:
    with Branch(cluster, cluster.data.parent) as branch:
        yield branch


def spellings(secret: str) -> list[str]:
    packed = b64encode(b"u:" + secret.encode()).decode()
    return [secret, html.escape(secret), quote(secret, safe=""), packed, f"{secret[:5]}\u200b{secret[5:]}"]


class Echo:
    """A provider that fails with an error that repeats its own secrets, each time beginning with another spelling."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.planted = {environ[name] for name in SECRETS}
        self._clients = [environ["SAKARI_CLIENT_ID"], environ["SAKARI_CLIENT_SECRET"]]
        self._statuses, self._turns = cycle([400, 500, 422]), count()

    def __call__(self, asked: Asked) -> Reply | None:
        if asked.method == "POST":
            return None
        token = asked.headers["authorization"].rpartition(" ")[2]
        self.planted.add(token)
        own = [*self._clients, token] if asked.path.startswith("/v1/accounts/") else [token]
        said = [one for secret in own for one in spellings(secret)]
        turn = next(self._turns) % len(said)
        message = " ".join([ODD, PEOPLE[turn % len(PEOPLE)], *said[turn:], *PEOPLE])
        body = {"message": message, "request": {"headers": asked.headers}, "contact": {"firstName": "Zoé Planted"}}
        return Reply(next(self._statuses), msgspec.json.encode(body))


def held(branch: Branch) -> str:
    """All that our own database holds beside the records."""
    with psycopg.connect(branch.url) as connection:
        queries = [f"SELECT t::text FROM {table} t".encode() for (table,) in connection.execute(OURS)]
        return "\n".join(text for query in queries for (text,) in connection.execute(query))


def test_planted(cluster: EmbeddedPostgres, branch: Branch) -> None:
    """An error that repeats our request leaves no secret and nobody in receipts, output, alerts or databases."""
    environ = branch.shell.environ
    echo = Echo(environ)
    with Alerts() as alerts, Relay(branch.sandbox.url) as relay:
        relay.intervene = echo
        at = {name: relay.url for name in environ if name.endswith("_BASE_URL")}
        more = at | {"CALLWEAVE_ALERT_URL": alerts.url}
        runs = [branch.run("sync", "all", *options, **more) for options in ((), ("--json",), ("--json",))]
        shown = [branch.run(*words, **more) for words in (["status"], ["status", "--json"], ["watchdog"], ["check"])]
    places = {f"command {number}": done.out + done.err for number, done in enumerate([*runs, *shown])}
    places |= {"alerts": str(alerts.received), "database": held(branch), "Prefect": dump(cluster)}

    assert [done.status for done in runs] == [1, 1, 1]
    assert "broken" in places["command 1"], "the provider is quoted"
    assert "broken" in places["database"]
    assert "broken" in places["alerts"]
    assert len(echo.planted) > len(SECRETS), "a fetched token was among them"
    secrets = {one for secret in echo.planted for one in (*spellings(secret), secret[:12])}
    planted = secrets | set(PEOPLE) | {"Zoé Planted", "06399871", "\x1b", "\\u001b"}
    assert {(place, word) for place, text in places.items() for word in planted if word in text} == set()


MARKED = "[/red]\x1b[2J<b>|`x`"


def test_markup_in_data(branch: Branch) -> None:
    """Markup and escapes in errors, ids and reasons are shown as they are, and end no command."""
    assert branch.run("sync", "all").status == 0
    with psycopg.connect(branch.url) as connection:
        connection.execute("UPDATE sync_run SET state = 'failed', error = %s", [MARKED])
        connection.execute("UPDATE call SET external_id = external_id || %s", [MARKED])
        (provider, call_id) = connection.execute("SELECT provider, external_id FROM call LIMIT 1").fetchone() or (
            "",
            "",
        )
    assert branch.run("reconcile").status == 0
    shown = [branch.run("status"), branch.run("explain", provider, call_id)]

    assert [(done.status, done.err) for done in shown] == [(0, ""), (0, "")]
    assert all("[/red]" in done.out for done in shown)
    assert not any("\x1b" in done.out for done in shown)
