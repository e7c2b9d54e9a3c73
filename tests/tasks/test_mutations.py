"""Spoilt payloads through real syncs: no crash, each record stored or set aside with a reason, and no other harmed."""

import json
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from models.coverage import Sizes
from models.json_text import clean
from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tests.support.builders import STREAMS, Office, decoded
from tests.support.mutations import randoms, spoilt
from tests.support.relay import Asked, Relay, Reply

MOST_SPOILT = 6
STORED = "SELECT external_id, payload FROM v1.{}"
streams = pytest.mark.parametrize("which", STREAMS, ids=str)


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    with Sandbox(calls=60, seed=9) as running:
        yield running


@pytest.fixture(scope="module")
def relay(world: Sandbox) -> Iterator[Relay]:
    with Relay(world.url) as relay:
        yield relay


def spoiling(relay: Relay, changes: dict[bytes, bytes]) -> Callable[[Asked], Reply | None]:
    """Answers with records exchanged, wherever they stand in an answer."""

    def intervene(asked: Asked) -> Reply | None:
        body = relay.fetched(asked) if asked.method == "GET" else b""
        if not any(original in body for original in changes):
            return None
        for original, change in changes.items():
            body = body.replace(original, change)
        return Reply(200, body)

    return intervene


def taken(url: str, world: Sandbox, relay: Relay, which: tuple[str, StreamName], random: Random) -> None:
    """A sync in which some records are spoilt; every record is found again."""
    provider, stream = which
    truth = world.truth()[provider][stream]
    environ = world.environ | {f"{provider.upper()}_BASE_URL": relay.url}
    view = "call" if stream.value == "calls" else "contact"
    chosen = random.sample(sorted(truth), min(MOST_SPOILT, len(truth)))
    changes = {truth[id_]: spoilt(decoded(truth[id_]), random).encode() for id_ in chosen}
    relay.intervene = spoiling(relay, changes)
    with Office(url, environ, sizes=Sizes(pieces=4)) as office:
        run = office.sync(provider, stream)
        stored = {row["external_id"]: row["payload"] for row in office.rows(STORED.format(view))}
        aside = {bytes(row["content"]).decode(): row["reason"] for row in office.rows("SELECT * FROM rejected_row")}
    untouched = truth.keys() - set(chosen) - {one for one in stored if one in chosen}

    assert run.receipt.state in {"completed", "partial"}, (run.receipt.error, changes)
    assert {id_ for id_ in untouched if stored.get(id_) != decoded(truth[id_])} == set(), changes
    for original, change in changes.items():
        text = clean(change)
        assert aside.get(text) or json.loads(text) in stored.values() or is_shadowed(text, original, stored), change


def is_shadowed(text: str, original: bytes, stored: dict[str, object]) -> bool:
    """Whether another spoilt record of the same id came after it: then that one is stored."""
    held = stored.get(str(json.loads(text).get("id")))
    return held is not None and held != decoded(original)


@streams
@given(random=randoms())
@hypothesis_settings(max_examples=6)
def test_spoilt(
    emptied: Callable[[], str], world: Sandbox, relay: Relay, which: tuple[str, StreamName], random: Random
) -> None:
    """A record with spoilt fields is stored or set aside with a reason, and costs no other."""
    taken(emptied(), world, relay, which, random)


@pytest.mark.faults
@streams
@given(random=randoms())
@hypothesis_settings(max_examples=300)
def test_spoilt_at_length(
    emptied: Callable[[], str], world: Sandbox, relay: Relay, which: tuple[str, StreamName], random: Random
) -> None:
    """The same, three hundred times each."""
    taken(emptied(), world, relay, which, random)
