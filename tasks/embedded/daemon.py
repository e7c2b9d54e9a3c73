"""A process that outlives the command which started it, and that any other command can find and stop."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import StackError
from tasks.embedded.locks import try_lock

# Its standard output, the locked state file, goes to the process as descriptor 3, which nothing but the end of the
# process closes. A shell in between, so that the process belongs to init and never becomes a zombie of ours.
_DETACH = '"$@" 3>&1 1>&2 & echo pid=$!'
_STATE = 3
_LOG_LIMIT = 10_000_000
_TAIL = 1500


@dataclass(frozen=True)
class Daemon:
    """A process known by the lock on its state file.

    The process itself holds the lock, from before it exists until the last of its children is gone. So a state file
    left by `kill -9` or by a reboot is never believed, whoever has its pid by now, and a process whose starter was
    killed is still found.
    """

    folder: Path
    name: str

    @property
    def state(self) -> Path:
        return self.folder / f"{self.name}.state"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def running(self) -> bool:
        with self.state.open("a") as file:
            return not try_lock(file)

    def facts(self) -> dict[str, str]:
        """What the process, or its starter, wrote down about it; nothing when it does not run."""
        return self.last_facts() if self.running() else {}

    def last_facts(self) -> dict[str, str]:
        """The same, also of one that has ended."""
        pairs = (line.partition("=") for line in self.state.read_text().splitlines())
        return {name: value for name, _, value in pairs}

    def launch(self, command: Sequence[str], facts: Mapping[str, str], **options: Any) -> None:
        """Starts `command` in a session of its own; `options` are those of `subprocess.run`."""
        self._rotate_log()
        with self.state.open("a") as state, self.log.open("a") as log:
            if not try_lock(state):
                raise StackError(f"{self.name} runs already. Its log: {self.log}")
            state.truncate(0)
            state.writelines(f"{name}={value}\n" for name, value in facts.items())
            state.flush()
            shell = ["/bin/sh", "-c", _DETACH, "sh", *command]
            subprocess.run(shell, check=True, stdout=state, stderr=log, start_new_session=True, **options)  # noqa: S603

    @staticmethod
    def resign() -> None:
        """To be called within the process, when it is about to end: from now on it counts as not running."""
        fcntl.flock(_STATE, fcntl.LOCK_UN)

    def wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Whether the process became ready before it ended and before `seconds` were over."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            if ready():
                return True
            time.sleep(0.05)
        return False

    def stop(self, *signals: signal.Signals, patience: float = 20) -> None:
        """Sends one signal after the other until the process is gone."""
        for sign in signals:
            if self.running():
                os.kill(int(self.facts()["pid"]), sign)
                self.wait(lambda: False, patience)
        if self.running():
            raise StackError(f"{self.name} (pid {self.facts()['pid']}) does not end. Its log: {self.log}")

    def complaint(self) -> str:
        """The end of the log, for a message."""
        return f"{self.name} did not start. Its log, {self.log}, ends with:\n{self.log.read_text()[-_TAIL:].strip()}"

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
