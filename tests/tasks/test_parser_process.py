"""The process that prepares records beside the one that asks."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from models.arrivals import Arrival
from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tasks.load import parser_process
from tasks.load.parser import Parser
from tasks.providers import PROVIDERS
from tests.support.builders import STREAMS

streams = pytest.mark.parametrize(("provider", "stream"), STREAMS)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[parser_process.ParserProcess]:
    """A process of the test's own, asked for every batch."""
    made = parser_process.ParserProcess()
    monkeypatch.setattr(parser_process, "_process", made)
    monkeypatch.setattr(parser_process, "FEWEST", 1)
    yield made
    made.close()


def arrivals_of(sandbox: Sandbox, provider: str, stream: StreamName) -> tuple[Parser, dict[str, str], list[Arrival]]:
    """Every record of a list, and one that cannot be read."""
    parser = Parser(PROVIDERS[provider].stream(stream), "DE")
    records = [body.decode() for body in sandbox.truth()[provider][stream].values()] + ['{"id": ""}']
    now = datetime.now(UTC)
    arrivals = [Arrival(str(i), record, str(i).encode(), now) for i, record in enumerate(records)]
    return parser, {"provider": provider, "account": "account"}, arrivals


@streams
def test_same_as_here(sandbox: Sandbox, other: parser_process.ParserProcess, provider: str, stream: StreamName) -> None:
    """What is prepared beside is what would have been prepared here, refusals included."""
    parser, key, arrivals = arrivals_of(sandbox, provider, stream)
    prepared = parser_process.prepare(parser, key, arrivals)

    assert other._process is not None
    assert not other._is_lost
    assert prepared == parser.prepare(key, arrivals)
    assert isinstance(prepared[-1], str)


def test_killed(sandbox: Sandbox, other: parser_process.ParserProcess) -> None:
    """Where the other process dies, its work is done here, from then on too."""
    parser, key, arrivals = arrivals_of(sandbox, *STREAMS[0])
    expected = parser_process.prepare(parser, key, arrivals)
    assert other._process is not None
    other._process.kill()

    assert parser_process.prepare(parser, key, arrivals) == expected
    assert parser_process.prepare(parser, key, arrivals) == expected
    assert other._is_lost


def test_cannot_be_started(
    sandbox: Sandbox, other: parser_process.ParserProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no process can be started, the work is done here."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    parser, key, arrivals = arrivals_of(sandbox, *STREAMS[0])

    assert parser_process.prepare(parser, key, arrivals) == parser.prepare(key, arrivals)
    assert other._is_lost
