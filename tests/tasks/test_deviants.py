"""Providers that are not as we assume: what is said to be proven is equal to the truth, whatever they do."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import uuid4
from zlib import crc32

import psycopg
import pytest

from models.coverage import Sizes
from models.errors import CallweaveError
from models.vocabulary import StreamName
from sandbox.deviations.deviations import DEVIATIONS
from sandbox.server import Sandbox
from sandbox.simulation.promises import Promises
from tasks.extract.stream_run import StreamRun
from tests.support.builders import CALLS, CONTACTS, Office, decoded, drained

FEW = 7
"""Records a page."""
UNKNOWABLE = {"list-omits", "suddenly-empty"}
"""Deviations that nobody can see who never held what the lists leave out."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=90, seed=4, until=datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)) as running:
        numbers = running.deviations.numbers
        numbers.default_size, numbers.limit_cap, numbers.offset_cap, numbers.omits_every = 5, 4, 12, 6
        numbers.empty_pages, numbers.longest_range = 1, timedelta(days=200)
        yield running


@pytest.fixture
def office(database_url: str, sandbox: Sandbox) -> Iterator[Office]:
    with Office(database_url, sandbox.environ, sizes=Sizes(pieces=4, pages=6)) as office:
        yield office


def read(office: Office, provider: str, stream: StreamName) -> StreamRun:
    run = office.run(provider, stream, limit=FEW, **({"full": True} if stream is CALLS else {}))
    run.begin()
    run.open()
    drained(run)
    try:
        run.confirm_deletions()
    except CallweaveError as error:
        run.failed(error)
    run.end()
    return run


def assert_kept(promises: Promises, office: Office) -> None:
    """Reads the stream: what is claimed afterwards is true, and what is not equal to the truth is admitted."""
    run = read(office, promises.provider, promises.stream)

    assert promises.broken() == []
    assert run.receipt.error or any(promises.admitted()) or promises.difference() is None


def move(promises: Promises) -> Promises:
    """Two records are new, one changed, one is gone."""
    sandbox, where = promises.sandbox, (promises.provider, promises.stream)
    bodies = [decoded(body) for body in sandbox.truth()[promises.provider][promises.stream].values()]
    written = [like | {"id": shown_id(sandbox)} for like in bodies[-4:-2]] + [bodies[-5] | {"revision": 2}]
    for record in written:
        sandbox.put(*where, record)
    sandbox.remove(*where, bodies[-6]["id"])
    return replace(promises, written={record["id"]: promises.now() for record in written})


def shown_id(sandbox: Sandbox) -> str:
    """An id that no list leaves out: of one that was never shown nobody can know."""
    every = sandbox.deviations.numbers.omits_every
    return next(id_ for id_ in iter(lambda: str(uuid4()), "") if crc32(id_.encode()) % every)


def marks(name: str, provider: str, stream: str) -> list[pytest.MarkDecorator]:
    """On contacts all providers are tried only where every fault is."""
    is_rare = stream == CONTACTS and provider != DEVIATIONS[name].providers[0]
    return [pytest.mark.faults] if is_rare else []


def cases(names: Iterable[str]) -> list[Any]:
    """Each deviation at each of its providers, on each list."""
    return [
        pytest.param(name, provider, stream, marks=marks(name, provider, stream))
        for name in names
        for provider in DEVIATIONS[name].providers
        for stream in DEVIATIONS[name].streams
    ]


@pytest.fixture
def promises(database_url: str, sandbox: Sandbox, provider: str, stream: str) -> Iterator[Promises]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Promises(connection, sandbox, provider, StreamName(stream))


@pytest.mark.parametrize(("name", "provider", "stream"), cases(name for name in DEVIATIONS if name not in UNKNOWABLE))
def test_from_the_start(office: Office, promises: Promises, name: str) -> None:
    """A provider that always was otherwise: proven is equal to the truth, and what is not equal is admitted."""
    promises.sandbox.deviations.add(name)
    assert_kept(promises, office)
    assert_kept(move(promises), office)


@pytest.mark.parametrize(("name", "provider", "stream"), cases(DEVIATIONS))
def test_later(office: Office, promises: Promises, name: str) -> None:
    """A provider that becomes otherwise once all is stored: the same, and nothing that exists is buried."""
    read(office, promises.provider, promises.stream)
    promises = move(promises)
    promises.sandbox.deviations.add(name)
    assert_kept(promises, office)


@pytest.mark.parametrize(("provider", "stream"), [("bird", CALLS)])
def test_a_range_that_is_passed_over_later(office: Office, promises: Promises) -> None:
    """Calls from far outside of the range that was asked for end the run, and the next one tries why and reads all."""
    read(office, promises.provider, promises.stream)
    promises = move(promises)
    promises.sandbox.deviations.add("range-ignored")
    run = read(office, promises.provider, promises.stream)
    assert "were asked for and those of" in str(run.receipt.error)
    assert promises.broken() == []

    assert "a range of time is ignored" in str(read(office, promises.provider, promises.stream).receipt.warning)
    assert (promises.broken(), promises.difference()) == ([], None)


PAIRS = [
    (one, other, provider)
    for one, other in combinations([name for name in DEVIATIONS if name not in UNKNOWABLE | {"denied-by-id"}], 2)
    for provider in DEVIATIONS[one].providers
    if provider in DEVIATIONS[other].providers
]


@pytest.mark.faults
@pytest.mark.parametrize("stream", [CALLS])
@pytest.mark.parametrize(("one", "other", "provider"), PAIRS)
def test_in_pairs(office: Office, promises: Promises, one: str, other: str) -> None:
    """Two deviations at once, while every tenth request fails and the lists change between two runs: the same."""
    promises.sandbox.deviations.update([one, other])
    promises.sandbox.faults.add("errors")
    assert_kept(promises, office)
    assert_kept(move(promises), office)
