"""A process beside this one that prepares records: reading them is most of what a first sync computes.

It lives as long as this process, is started by the first large batch, and keeps nothing between two jobs. Where it
cannot be had, or dies, the same is done here.
"""

import atexit
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from struct import Struct
from threading import Lock
from typing import IO, Any, get_args

import msgspec

from models.arrivals import Arrival, Prepared
from models.vocabulary import StreamName
from tasks.load.parser import Parser
from tasks.providers import PROVIDERS

FEWEST = 500
"""Records, below which they are prepared here."""
LENGTH = Struct(">Q")


Unread = tuple[str, str, bytes, datetime, str, bool, bytes | None]
"""The first fields of an arrival that was not parsed yet."""
UNREAD = len(get_args(Unread))


class Job(msgspec.Struct, array_like=True):
    key: dict[str, str]
    stream: StreamName
    region: str | None
    arrivals: list[Unread]


class ParserProcess:
    """The other process, asked by one thread at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_lost = (os.cpu_count() or 1) == 1

    def ask(self, job: Job) -> list[Prepared | str] | None:
        """None where there is no other process."""
        # Written out by one thread at a time: a job is as large as its batch.
        with self._lock:
            try:
                answer = None if self._is_lost else self._exchange(msgspec.msgpack.encode(job))
            except (OSError, EOFError):
                self._is_lost, answer = True, None
        return None if answer is None else msgspec.msgpack.decode(answer, type=list[Prepared | str])

    def _exchange(self, body: bytes) -> bytes:
        if self._process is None:
            self._process = _started()
            atexit.register(self.close)
        assert self._process.stdin
        assert self._process.stdout
        _send(self._process.stdin, body)
        return _receive(self._process.stdout)

    def close(self) -> None:
        """Ends the other process, which ends by itself where this one is killed."""
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


_process = ParserProcess()


def prepare(parser: Parser, key: dict[str, str], arrivals: Sequence[Arrival]) -> list[Prepared | str]:
    """`Parser.prepare`, in the other process for a large batch of records that are still to be read."""
    answer = None
    if len(arrivals) >= FEWEST and all(arrival.row is None for arrival in arrivals):
        unread: Any = [arrival[:UNREAD] for arrival in arrivals]
        answer = _process.ask(Job(key, parser.stream.name, parser.region, unread))
    return parser.prepare(key, arrivals) if answer is None else answer


def main() -> None:
    # Ctrl-C is for those who ask; this process ends with them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    decoder, encoder = msgspec.msgpack.Decoder(Job), msgspec.msgpack.Encoder()
    while True:
        try:
            job = decoder.decode(_receive(sys.stdin.buffer))
        except EOFError:
            return
        parser = Parser(PROVIDERS[job.key["provider"]].stream(job.stream), job.region)
        _send(sys.stdout.buffer, encoder.encode(parser.prepare(job.key, [Arrival(*one) for one in job.arrivals])))


def _send(pipe: IO[bytes], body: bytes) -> None:
    pipe.write(LENGTH.pack(len(body)))
    pipe.write(body)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Raises `EOFError` where the other side has gone."""
    return _exactly(pipe, LENGTH.unpack(_exactly(pipe, LENGTH.size))[0])


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    body = pipe.read(size)
    if len(body) < size:
        raise EOFError
    return body


if __name__ == "__main__":
    main()
