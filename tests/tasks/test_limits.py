"""What a stranger may cost us: bytes, seconds and pauses of an answer are bounded, and each bound says so in words."""

import gzip
import json
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import httpx
import pytest

from models.coverage import Sizes
from models.errors import AnswerTooLarge, ContractBroken, ProviderUnavailable, RateLimited
from sandbox.server import Sandbox
from tasks.client.body import read_body
from tasks.client.limits import Limits
from tasks.client.transport import Tally
from tasks.client.waits import LONGEST_POSTPONEMENT, asked_to_wait
from tests.support.builders import CONTACTS, Json, Office
from tests.support.relay import Asked, Relay, Reply, reply
from tests.support.wire import wire

MB = 2**20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(b"0" * 16 * MB) * 128
"""Two gigabytes in two megabytes: a gzip file may have many members."""
SYNC = """
import json, sys
from tests.support.builders import Office
from tests.support.memory import peak_megabytes
url, environ = sys.argv[1], json.loads(sys.argv[2])
with Office(url, environ) as office:
    receipt = office.sync("skipcall").receipt
print(json.dumps([receipt.state, receipt.error, peak_megabytes()]))
"""


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.url) as relay:
        yield relay


SOON = "SELECT free_at < now() + interval '1 minute' AS soon FROM request_budget"
POISONED = "INSERT INTO request_budget VALUES (%s, %s, %s::timestamptz, %s::timestamptz)"


def office_at(url: str, database_url: str, sandbox: Sandbox, **more: str) -> Office:
    return Office(database_url, sandbox.environ | {"SKIPCALL_BASE_URL": url} | more)


def two_hours() -> datetime:
    return datetime.now(UTC) - timedelta(hours=2)


def ask(office: Office) -> Any:
    context = office.run("skipcall").contexts[0]
    return context.client.get("/v1/calls", {}, Tally())


def test_gzip_bomb(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """Two megabytes that unpack to two gigabytes end in words, under 300 MB of memory."""
    relay.intervene = lambda _asked: Reply(200, BOMB, {"content-encoding": "gzip", "content-type": "application/json"})
    environ = json.dumps(sandbox.environ | {"SKIPCALL_BASE_URL": relay.url})
    ended = subprocess.run([sys.executable, "-c", SYNC, database_url, environ], check=True, capture_output=True)
    state, error, megabytes = json.loads(ended.stdout)

    assert state == "failed"
    assert "more than 16 MB" in error
    assert "CALLWEAVE_MAX_ANSWER_BYTES" in error
    assert megabytes < 300


def test_long_page(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """A plain answer of 200 MB is given up at the limit, which is a setting."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 200000000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" " * 1_000_000)

    with (
        wire(endless) as url,
        office_at(url, database_url, sandbox, CALLWEAVE_MAX_ANSWER_BYTES="2000000") as office,
        pytest.raises(AnswerTooLarge, match="more than 2 MB"),
    ):
        ask(office)


def drip(connection: socket.socket, start: bytes, piece: bytes) -> None:
    connection.sendall(start)
    for _ in range(600):
        time.sleep(0.1)
        connection.sendall(piece)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"X-Slow: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
    ],
    ids=["body", "headers", "100 Continue", "chunk"],
)
def test_slow_answer(database_url: str, sandbox: Sandbox, start: bytes, piece: bytes) -> None:
    """An answer that comes byte by byte for ever ends at the limit for the whole of it, wherever it is slow."""
    began = time.monotonic()
    with (
        wire(lambda connection: drip(connection, start, piece)) as url,
        office_at(url, database_url, sandbox, CALLWEAVE_MAX_ANSWER_TIME="PT1S") as office,
        pytest.raises(ProviderUnavailable, match=r"not complete after 1 seconds.*CALLWEAVE_MAX_ANSWER_TIME"),
    ):
        ask(office)

    assert 0.9 < time.monotonic() - began < 40


NOW = 1_790_000_000.0
RESETS: dict[str, float | None] = {
    "NaN": None,
    "-Infinity": None,
    "-5": None,
    "soon": None,
    "": None,
    "1e300": None,
    "30": 30,
    "0": 0,
    str(int(NOW) + 30): 30,
    str(int(NOW * 1000) + 30_000): 30,
    str(int(NOW * 1e6) + 30_000_000): 30,
    str(int(NOW) - 3_600): 0,
    "2026-09-21T14:14:00Z": 40,
    "Mon, 21 Sep 2026 14:14:00 GMT": 40,
    str(int(NOW) + 3_600): 3_600,
    str(int(NOW) + 400_000): None,
}


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(("reset", "right"), RESETS.items(), ids=str)
def test_reset(reset: str, right: float | None, status: int) -> None:
    """A reset is read in whatever unit it comes; one that cannot be meant is not read."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    assert asked_to_wait(httpx.Response(status, headers=headers), NOW) == right


@pytest.mark.parametrize(
    ("value", "right"),
    [("5", 5), ("2.5", 2.5), ("nan", None), ("-1", None), ("999999999", None), ("864000", LONGEST_POSTPONEMENT)],
)
def test_retry_after(value: str, right: float | None) -> None:
    """A pause of more than a day is a day, nonsense is none."""
    assert asked_to_wait(httpx.Response(429, headers={"Retry-After": value}), NOW) == right


def test_milliseconds_on_a_good_answer(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """A reset in epoch milliseconds, or no number, beside a good answer delays no later run."""
    resets = cycle([str(int((time.time() - 1) * 1000)), "NaN", str(int((time.time() + 9e6) * 1000))])
    relay.intervene = lambda asked: spent(relay.fetched(asked), next(resets))
    with office_at(relay.url, database_url, sandbox) as office:
        first, second = (office.sync("skipcall", since=two_hours()) for _ in range(2))
        (budget,) = office.rows(SOON.replace("FROM", ", postponed_until FROM"))

    assert (first.receipt.state, second.receipt.state) == ("completed", "completed")
    assert budget == {"soon": True, "postponed_until": None}


def spent(body: bytes, reset: str) -> Reply:
    """A good answer that says that no further request is allowed until `reset`."""
    headers = {"content-type": "application/json", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    return Reply(200, body, headers)


@pytest.mark.parametrize("poison", ["9999-01-01", "infinity", "58871-01-01"])
def test_poisoned_budget(database_url: str, sandbox: Sandbox, poison: str) -> None:
    """A budget that a wait read wrongly made free in thousands of years is asked at once, and heals."""
    with Office(database_url, sandbox.environ) as office:
        key = office.account("skipcall").key
        office.change(POISONED, *key.values(), poison, poison)
        run = office.sync("skipcall", since=two_hours())
        (budget,) = office.rows(SOON)

    assert run.receipt.state == "completed"
    assert budget["soon"]


def test_postponed(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """A pause of an hour ends the run at once, in words; runs ask nothing until then, and the first after goes on."""
    relay.intervene = lambda _asked: reply(429, {}, retry_after="3600")
    with office_at(relay.url, database_url, sandbox) as office:
        first = office.sync("skipcall", since=two_hours())
        asked = len(relay.asked)
        second = office.sync("skipcall", since=two_hours())
        assert len(relay.asked) == asked
        relay.intervene = lambda _asked: None
        office.change("UPDATE request_budget SET postponed_until = now() - interval '1 second'")
        third = office.sync("skipcall", since=two_hours())

    for run in (first, second):
        assert run.receipt.state == "failed"
        assert "postponed until 20" in (run.receipt.error or "")
        assert "the first run after that goes on" in (run.receipt.error or "")
    assert asked == 1
    assert third.receipt.state == "completed"


def test_spent_budget_postpones_the_next_request(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """A good answer that says that the budget is spent for an hour is kept; the request after it is not sent."""
    later = str(int(time.time()) + 3_600)
    relay.intervene = lambda asked: spent(relay.fetched(asked), later)
    with office_at(relay.url, database_url, sandbox) as office:
        assert ask(office).text.startswith("{")
        with pytest.raises(RateLimited, match="postponed until"):
            ask(office)

    assert len(relay.asked) == 1


def response(body: bytes, encoding: str) -> httpx.Response:
    """An answer as it comes from the transport, not yet read."""

    def stream() -> Iterator[bytes]:
        yield from (body[place : place + 7] for place in range(0, len(body), 7))

    return httpx.Response(200, headers={"Content-Encoding": encoding}, content=stream())


RAW = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(b'{"a":1}' * 500),
    "x-gzip": gzip.compress(b'{"a":1}' * 250) + gzip.compress(b'{"a":1}' * 250) + b"\0" * 40,
    "deflate": zlib.compress(b'{"a":1}' * 500),
    "Deflate": RAW.compress(b'{"a":1}' * 500) + RAW.flush(),
    "identity": b'{"a":1}' * 500,
    "": b'{"a":1}' * 500,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_packed(encoding: str) -> None:
    """Bodies are unpacked whatever of the usual packings is used."""
    assert read_body(response(PACKED[encoding], encoding), Limits()) == b'{"a":1}' * 500


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_cut_short(encoding: str) -> None:
    """A packed body that ends early is a lost connection, to be tried again."""
    with pytest.raises(httpx.RemoteProtocolError):
        read_body(response(PACKED[encoding][:-5], encoding), Limits())


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x" * 500])
def test_unknown_packing(encoding: str) -> None:
    """A packing that was not asked for is named, bounded."""
    with pytest.raises(ContractBroken, match="packed in a way that was not asked for") as error:
        read_body(response(b"{}", encoding), Limits())

    assert len(str(error.value)) < 150


def more_and_more(asked: Asked, records: Callable[[int], list[Json]]) -> Reply:
    """A page of records that were never there before, and a token that was never given before."""
    number = int(asked.query.get("pageToken", ["0"])[0]) + 1
    return reply(200, {"results": records(number), "nextPageToken": str(number)})


def test_scan_without_an_end(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """A list that always holds another page of new records ends at a limit, in words, with what came by then kept."""
    relay.intervene = lambda asked: (
        more_and_more(asked, lambda number: [{"id": f"c{number}"}]) if asked.path.endswith("/contacts") else None
    )
    more = {"BIRD_BASE_URL": relay.url, "CALLWEAVE_MAX_SCAN_REQUESTS": "20"}
    with Office(database_url, sandbox.environ | more, sizes=Sizes(pages=6)) as office:
        run = office.sync("bird", CONTACTS)
        assert office.rows("SELECT FROM v1.sync_status WHERE complete_up_to IS NOT NULL") == []

    assert "CALLWEAVE_MAX_SCAN_REQUESTS" in str(run.receipt.error)
    assert run.receipt.counts.inserted >= 10
    assert run.receipt.requests <= 40


def test_details_without_an_end(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """One record whose second list never ends costs that record its details, and nothing else."""
    endless = list[str]()

    def intervene(asked: Asked) -> Reply | None:
        if asked.path.endswith("/identifiers"):
            endless.append(asked.path)
        return more_and_more(asked, lambda _number: []) if endless[:1] == [asked.path] else None

    relay.intervene = intervene
    more = {"BIRD_BASE_URL": relay.url, "CALLWEAVE_MAX_DETAILS_REQUESTS": "5"}
    with Office(database_url, sandbox.environ | more) as office:
        run = office.sync("bird", CONTACTS)
        assert office.ids("bird", CONTACTS) == set(sandbox.truth()["bird"][CONTACTS])

    assert (run.receipt.state, run.receipt.error) == ("completed", None)
    assert "CALLWEAVE_MAX_DETAILS_REQUESTS" in str(run.receipt.warning)
    assert endless.count(endless[0]) == 5
