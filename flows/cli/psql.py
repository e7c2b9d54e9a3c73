"""The command `psql`: the terminal of Postgres, on the database that every other command works on."""

import os
import signal
import subprocess
import sys
from argparse import Namespace

from tasks.embedded import bundled_software
from tasks.home import database
from tasks.libpq import DEFAULTS, environment_of
from tasks.settings import Settings


def psql(options: Namespace) -> int:
    """Its exit status is psql's. Ctrl-C belongs to psql, which stops the query and not itself."""
    with database(Settings()) as url:
        connection, rest = environment_of(url)
        command = [str(bundled_software() / "bin" / "psql"), *rest, *options.arguments]
        sys.stdout.flush()
        usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            environ = DEFAULTS | os.environ | connection
            # No other thread runs here that a function between fork and exec could disturb.
            done = subprocess.run(command, check=False, env=environ, preexec_fn=_hear_ctrl_c)  # noqa: S603
            return done.returncode
        finally:
            signal.signal(signal.SIGINT, usual)


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
