"""Programs of ours that run beside a command, and end with it even where it is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.embedded import LEASH

SECONDS_TO_END = 10.0


@contextmanager
def beside(words: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Python run with `words`, out of reach of a terminal's Ctrl-C, ended in good order when we are."""
    command = [sys.executable, "-P", LEASH, sys.executable, *words]
    process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, start_new_session=True, **options)
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()


def say(what: str) -> None:
    sys.stderr.write(what + "\n")
