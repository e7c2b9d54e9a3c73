"""Postgres and a Prefect server for one person's machine, started when first needed and stopped by the last to leave.

    with stack(home) as running:
        psycopg.connect(running.database_url)

What is kept under `home` (`CALLWEAVE_HOME`):

    postgres/        the cluster, with the databases `callweave` and `prefect`; holds the socket too
    prefect/         PREFECT_HOME; a `prefect.toml` put here configures the server
    prefect.key      the password of Prefect's API and UI, readable by its owner only
    *.log            what the two servers had to say
    *.state          pid and whereabouts of each server, locked by the server itself while it lives
    users.lock       locked shared by each command at work
    up.lock          locked by the one `callweave up`
    gate.lock        locked by the process that starts or stops something
"""

from pathlib import Path

from models.errors import StackError
from tasks.embedded.cluster import EmbeddedPostgres, bundled_software
from tasks.embedded.stack import Stack, client_environ, postgres, stack

LEASH = str(Path(__file__).with_name("leash.py"))
"""The script that runs a command for as long as its starter lives."""

__all__ = [
    "LEASH",
    "EmbeddedPostgres",
    "Stack",
    "StackError",
    "bundled_software",
    "client_environ",
    "postgres",
    "stack",
]
