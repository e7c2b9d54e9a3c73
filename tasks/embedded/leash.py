"""Runs a command for as long as its starter lives, however that one ends.

Run as a script, with the command as its arguments and a pipe as its standard input: when the pipe's other end closes,
as it does when the starter is killed with `kill -9`, the command is ended. Imports nothing of ours.
"""

import contextlib
import os
import subprocess
import sys
from threading import Thread

_SECONDS_TO_END = 8.0
"""Seconds that the command has to end in good order."""


def main() -> int:
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603
    Thread(target=_end_with_starter, args=[process], daemon=True).start()
    return process.wait()


def _end_with_starter(process: subprocess.Popen[bytes]) -> None:
    os.read(sys.stdin.fileno(), 1)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_END)
    process.kill()


if __name__ == "__main__":
    sys.exit(main())
