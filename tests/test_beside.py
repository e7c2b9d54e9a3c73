"""The process that prepares records beside the one that asks."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tasks import beside
from tasks.providers import PROVIDERS
from tasks.reader import Arrival, Reader
from tests.builders import STREAMS

streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[beside.Beside]:
    """A process of the test's own, asked for every batch."""
    made = beside.Beside()
    monkeypatch.setattr(beside, "_beside", made)
    monkeypatch.setattr(beside, "WORTH_IT", 1)
    yield made
    made.close()


def arrivals_of(sandbox: Sandbox, provider: str, stream: StreamName) -> tuple[Reader, dict[str, str], list[Arrival]]:
    """Every record of a list, and one that cannot be read."""
    reader = Reader(PROVIDERS[provider].stream(stream), "DE")
    records = [body.decode() for body in sandbox.truth()[provider][stream].values()] + ['{"id": ""}']
    now = datetime.now(UTC)
    arrivals = [Arrival(str(i), record, reader.digest(record), now) for i, record in enumerate(records)]
    return reader, {"provider": provider, "account": "account"}, arrivals


@streams
def test_same_as_here(sandbox: Sandbox, other: beside.Beside, provider: str, stream: StreamName) -> None:
    """What is prepared beside is what would have been prepared here, refusals included."""
    reader, key, arrivals = arrivals_of(sandbox, provider, stream)
    prepared = beside.prepare(reader, key, arrivals)

    assert other._process is not None
    assert not other._is_lost
    assert prepared == reader.prepare(key, arrivals)
    assert isinstance(prepared[-1], str)


def test_killed(sandbox: Sandbox, other: beside.Beside) -> None:
    """Where the other process dies, its work is done here, from then on too."""
    reader, key, arrivals = arrivals_of(sandbox, *STREAMS[0])
    expected = beside.prepare(reader, key, arrivals)
    assert other._process is not None
    other._process.kill()

    assert beside.prepare(reader, key, arrivals) == expected
    assert beside.prepare(reader, key, arrivals) == expected
    assert other._is_lost


def test_cannot_be_started(sandbox: Sandbox, other: beside.Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started, the work is done here."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    reader, key, arrivals = arrivals_of(sandbox, *STREAMS[0])

    assert beside.prepare(reader, key, arrivals) == reader.prepare(key, arrivals)
    assert other._is_lost
