"""Locks of the kernel's, which a `kill -9` cannot leave behind."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")


def try_lock(file: IO[Any]) -> bool:
    """Whether `file` is now locked by us alone; a shared lock held before is lost if not."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Not left to close(): a child forked meanwhile holds the same lock open.
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def shared(gate: Path, users: Path, start: Callable[[], T], stop: Callable[[], None]) -> Iterator[T]:
    """What `start` gave, counted among its users; the last of them to leave calls `stop`.

    `start` must be content with what is running already. It and `stop` are called by one process at a time.
    """
    with users.open("a") as membership:
        try:
            with locked(gate):
                fcntl.flock(membership, fcntl.LOCK_SH)
                started = start()
            yield started
        finally:
            with locked(gate):
                _leave(membership, stop)


def _leave(membership: IO[Any], stop: Callable[[], None]) -> None:
    try:
        if try_lock(membership):
            stop()
    finally:
        fcntl.flock(membership, fcntl.LOCK_UN)
