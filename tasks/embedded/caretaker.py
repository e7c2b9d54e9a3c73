"""Ends the embedded servers once they had no user for a while, however their last user went.

Whoever leaves in good order stops the servers at once. One that is killed cannot: its lock on `users.lock` goes with
it, and this process, which outlives every command, sees that. It is started with the servers and ends with them.

Run as a module, with the home and the seconds that it waits as its arguments.
"""

import fcntl
import signal
import sys
import time
from pathlib import Path

from tasks.embedded.daemon import Daemon
from tasks.embedded.environ import inherited_environ
from tasks.embedded.locks import locked, try_lock

IDLE_SECONDS = 60.0
"""Without a user, before the servers are stopped."""
_LOOKS = 12
"""While it waits."""


def look_after(home: Path, idle_seconds: float) -> None:
    """Starts the caretaker of the servers of `home`, if there is none. To be called under the gate."""
    caretaker = _caretaker(home)
    if not caretaker.running():
        house = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tasks.embedded.caretaker", str(home), str(idle_seconds)]
        caretaker.launch(command, {}, cwd=house, env=inherited_environ())


def dismiss(home: Path) -> None:
    """Ends it, with the servers."""
    _caretaker(home).stop(signal.SIGTERM, signal.SIGKILL, patience=5)


def _caretaker(home: Path) -> Daemon:
    return Daemon(home, "caretaker")


def main(home: Path, idle_seconds: float) -> None:
    unused_since: float | None = None
    while True:
        time.sleep(idle_seconds / _LOOKS)
        with locked(home / "gate.lock"):
            if not _is_unused(home):
                unused_since = None
                continue
            unused_since = unused_since or time.monotonic()
            if time.monotonic() - unused_since >= idle_seconds:
                _stop(home)
                # Before the gate opens, so that whoever comes next starts another caretaker: the kernel, left to
                # itself, may open the gate first.
                Daemon.resign()
                return


def _is_unused(home: Path) -> bool:
    with (home / "users.lock").open("a") as users:
        is_unused = try_lock(users)
        fcntl.flock(users, fcntl.LOCK_UN)
    return is_unused


def _stop(home: Path) -> None:
    from tasks.embedded.cluster import EmbeddedPostgres  # noqa: PLC0415 - seldom, and some 20 MB
    from tasks.embedded.prefect_server import PrefectServer  # noqa: PLC0415 - as above

    PrefectServer(home).stop()
    EmbeddedPostgres(home).stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
