"""Connections as databases of others give them: roles and databases with settings, poolers, few connections, limits."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from models.errors import DatabaseUnavailable, UsageError
from sandbox.server import Sandbox
from tasks.client.rate_limit import Budget
from tasks.database import connect, database_errors, engine_for, in_transaction, one_engine, scalar
from tasks.embedded import EmbeddedPostgres
from tasks.matching.run import Ask, Reconciliation
from tasks.migrate import upgrade
from tasks.providers import PROVIDERS
from tasks.session import PINNED
from tests.support.builders import Office, sakari_call, take_in
from tests.support.patience import PATIENCE

ODD = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "standard_conforming_strings": "off",
    "search_path": "elsewhere",
    "default_transaction_read_only": "on",
    "timezone": "Asia/Kathmandu",
    "default_transaction_isolation": "serializable",
    "client_encoding": "LATIN1",
    "statement_timeout": "20ms",
}
LEFT_BEHIND = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s"
HOURS = timedelta(hours=2)


def as_role(url: str, role: str) -> str:
    """The same database as another role."""
    return url.replace("//postgres@", f"//{role}@")


@pytest.fixture
def role(cluster: EmbeddedPostgres) -> Iterator[str]:
    """A role that may all, to be altered by the test."""
    name = f"odd_{time.monotonic_ns()}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN SUPERUSER".encode())
        yield name
        connection.execute(LEFT_BEHIND, [name])
        connection.execute(f"DROP ROLE {name}".encode())


def alter(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def zoe(office: Office) -> list[Any]:
    """What is stored of a name with letters beyond ASCII."""
    take_in(office.context("sakari"), [sakari_call(user={"firstName": "Zoë", "lastName": "Łuczak 王"})])
    return [row["agent"] for row in office.rows("SELECT agent FROM v1.call WHERE external_id = 's1'")]


def test_settings_of_a_role(cluster: EmbeddedPostgres, database_url: str, sandbox: Sandbox, role: str) -> None:
    """A role with settings of its own changes nothing of what is stored (psycopg#571, peerdb#2399)."""
    alter(cluster.url("postgres"), *(f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in ODD.items()))
    with Office(as_role(database_url, role), sandbox.environ) as office:
        run = office.sync("sakari", since=datetime.now(UTC) - HOURS)
        office.database_url = database_url
        assert zoe(office) == ["Zoë Łuczak 王"]

    assert (run.receipt.state, run.receipt.error) == ("completed", None)


def test_settings_are_pinned(cluster: EmbeddedPostgres, database_url: str, role: str) -> None:
    """Each connection has the settings that the program relies on, whatever the role says."""
    alter(cluster.url("postgres"), *(f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in ODD.items()))
    with connect(as_role(database_url, role)) as connection:
        found = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in PINNED}
        encoding = connection.execute("SHOW client_encoding").fetchone()

    assert {name: value[0] for name, value in found.items() if value} == PINNED
    assert encoding == ("UTF8",)


@pytest.mark.parametrize("how", ["environment", "address"])
def test_client_encoding(database_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """PGCLIENTENCODING, or an encoding in the address, changes no text."""
    url = database_url
    if how == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    else:
        url += "&client_encoding=LATIN1"
    with Office(url, sandbox.environ) as office:
        monkeypatch.undo()
        office.database_url = database_url
        assert zoe(office) == ["Zoë Łuczak 王"]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_database_of_another_encoding(cluster: EmbeddedPostgres, encoding: str) -> None:
    """A database that cannot hold every text is refused, with what to do (buildbot#4189)."""
    name = f"narrow_{encoding.lower()}"
    made = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    alter(cluster.url("postgres"), f"DROP DATABASE IF EXISTS {name}", made)
    with pytest.raises(DatabaseUnavailable, match=rf"encoded in {encoding}.*ENCODING 'UTF8' TEMPLATE template0"):
        connect(cluster.url(name))


def test_few_connections(cluster: EmbeddedPostgres, database_url: str, sandbox: Sandbox, role: str) -> None:
    """A limit of five connections makes three providers' runs slower, not failed."""
    alter(cluster.url("postgres"), f"ALTER ROLE {role} NOSUPERUSER CONNECTION LIMIT 5")
    alter(database_url, *(f"GRANT ALL ON ALL {what} IN SCHEMA public TO {role}" for what in ("TABLES", "SEQUENCES")))
    alter(database_url, f"GRANT TEMPORARY ON DATABASE {name_of(database_url)} TO {role}")

    def run(provider: str) -> tuple[str, str | None]:
        with Office(as_role(database_url, role), sandbox.environ) as office:
            receipt = office.sync(provider, threads=3, since=datetime.now(UTC) - HOURS).receipt
            return receipt.state, receipt.error

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(run, PROVIDERS))
    alter(database_url, f"DROP OWNED BY {role}")

    assert ended == [("completed", None)] * 3


def test_no_connection(
    cluster: EmbeddedPostgres, database_url: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is none for a minute, the error says what to do."""
    monkeypatch.setattr("tasks.session.PATIENCE", 0.5)
    alter(cluster.url("postgres"), f"ALTER ROLE {role} NOSUPERUSER CONNECTION LIMIT 0")
    with pytest.raises(DatabaseUnavailable, match=r"no connection to give .*too many connections.*CALLWEAVE_WORKERS"):
        connect(as_role(database_url, role))


@pytest.mark.parametrize(
    ("setting", "statement", "words"),
    [
        ("lock_timeout", "LOCK TABLE sync_stream", "held a lock in Postgres"),
        ("statement_timeout", "SELECT pg_sleep(5)", "statement was stopped"),
    ],
)
def test_limits(database_url: str, setting: str, statement: str, words: str) -> None:
    """A lock or a statement that takes too long ends in words."""
    with connect(database_url) as holder, one_engine(database_url) as engine:
        holder.execute("LOCK TABLE sync_stream")

        def work(connection: Any) -> None:
            connection.execute(text(f"SET LOCAL {setting} = '50ms'"))
            connection.execute(text(statement))

        with pytest.raises(DatabaseUnavailable, match=words):
            in_transaction(engine, work)


def test_sleeper_loses_its_locks(database_url: str) -> None:
    """Who sleeps in a transaction loses its locks, and writes nothing when it wakes."""
    with one_engine(database_url) as sleeping, one_engine(database_url) as waiting:

        def sleep(connection: Any) -> None:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
            connection.execute(text("LOCK TABLE sync_stream"))
            time.sleep(1)
            connection.execute(text("DELETE FROM sync_stream"))

        with pytest.raises(DatabaseUnavailable, match=r"lost its locks|went away"):
            in_transaction(sleeping, sleep)
        in_transaction(waiting, lambda connection: connection.execute(text("LOCK TABLE sync_stream NOWAIT")))


@pytest.mark.parametrize("around", ["'{}'", '"{}"', " {}\n"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_address(database_url: str, scheme: str, around: str) -> None:
    """An address with quotes, blanks or a driver's name in it leads to the same database."""
    with connect(around.format(database_url.replace("postgresql:", f"{scheme}:"))) as connection:
        assert connection.info.dbname == name_of(database_url)


@pytest.mark.parametrize(
    "url",
    [
        "postgre://someone:hush-hush@127.0.0.1/x",
        "postgresql://someone:hush-hush%zz@127.0.0.1/x",
        "postgresql://someone:hush-hush@127.0.0.1:1/x",
        "postgresql://someone:hush-hush@[127.0.0.1/x",
        "mysql+driver://someone:hush-hush@localhost/x",
    ],
)
def test_password_is_not_shown(url: str) -> None:
    """An address that leads nowhere is told without its password."""
    with pytest.raises(DatabaseUnavailable) as error:
        connect(url)

    assert "hush" not in str(error.value)
    assert "DATABASE_URL" in str(error.value)


BOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pooled = pytest.mark.skipif(BOUNCER is None, reason="PgBouncer is not installed: apt-get install pgbouncer")
INI = """
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6543
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 60
{account}
pidfile = {folder}/pid
"""


@pytest.fixture
def through_pooler(cluster: EmbeddedPostgres) -> Iterator[Callable[[str], str]]:
    """Leads addresses of the cluster's databases through PgBouncer in transaction mode, with four connections."""
    with bouncer(cluster) as folder:
        yield lambda url: f"postgresql://postgres@/{name_of(url)}?host={folder}&port=6543"


def name_of(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@contextmanager
def bouncer(cluster: EmbeddedPostgres) -> Iterator[Path]:
    info = psycopg.conninfo.conninfo_to_dict(cluster.url("postgres"))
    with tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o777)
        file = folder / "pgbouncer.ini"
        owner = pwd.getpwuid(Path(str(info["host"])).stat().st_uid).pw_name
        account = f"user = {owner}" if os.geteuid() == 0 else ""  # it refuses to be root
        file.write_text(INI.format(folder=folder, host=info["host"], port=info.get("port", 5432), account=account))
        process = subprocess.Popen([str(BOUNCER), str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + PATIENCE
            while not (folder / ".s.PGSQL.6543").exists():
                assert process.poll() is None, process.communicate()[0].decode()
                assert time.monotonic() < until
                time.sleep(0.05)
            yield folder
        finally:
            process.terminate()
            process.communicate()


@pooled
def test_transaction_pooler(
    database_url: str, sandbox: Sandbox, cluster: EmbeddedPostgres, through_pooler: Callable[[str], str]
) -> None:
    """Behind PgBouncer in transaction mode with four connections three providers sync at once (psycopg#280, #1151)."""
    alter(cluster.url("postgres"), f"ALTER DATABASE {name_of(database_url)} SET search_path = elsewhere")
    try:

        def run(provider: str) -> tuple[str, str | None, int]:
            with Office(through_pooler(database_url), sandbox.environ) as office:
                receipts = [office.sync(provider, threads=3, since=datetime.now(UTC) - HOURS).receipt for _ in range(2)]
                return receipts[-1].state, receipts[-1].error, receipts[0].counts.rejected

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(run, PROVIDERS)) == [("completed", None, 0)] * 3
    finally:
        alter(cluster.url("postgres"), f"ALTER DATABASE {name_of(database_url)} RESET search_path")


@pooled
def test_pooler_is_recognised(database_url: str, through_pooler: Callable[[str], str]) -> None:
    """Behind a pooler every transaction has the pinned settings, whichever session it is given."""
    engine = engine_for(through_pooler(database_url))
    with database_errors(), engine.connect() as one, engine.connect() as other:
        one.exec_driver_sql("SELECT 1")
        found = [other.exec_driver_sql(f"SHOW {name}").scalar_one() for name in PINNED]
    engine.dispose()
    with connect(database_url) as direct, connect(through_pooler(database_url)) as led:
        assert (direct.is_pooled, led.is_pooled) == (False, True)
    with psycopg.connect(through_pooler(database_url)) as others:
        left_behind = [scalar(others, f"SHOW {name}") for name in ("lock_timeout", "idle_session_timeout")]

    assert found == list(PINNED.values())
    assert left_behind == ["0", "0"]


@pooled
def test_single_statements_behind_a_pooler(
    database_url: str, cluster: EmbeddedPostgres, through_pooler: Callable[[str], str]
) -> None:
    """Also a statement that stands alone finds our tables, in whichever session, whatever the database's settings."""
    alter(cluster.url("postgres"), f"ALTER DATABASE {name_of(database_url)} SET search_path = elsewhere")
    try:
        with one_engine(through_pooler(database_url)) as engine:
            budget = Budget(engine, {"provider": "bird", "account": "one"}, 100)
            budget.push(0.01)
            assert budget.wait_for_slot() <= budget.wait_for_slot()
    finally:
        alter(cluster.url("postgres"), f"ALTER DATABASE {name_of(database_url)} RESET search_path")


@pooled
def test_migration_wants_postgres_itself(empty_database_url: str, through_pooler: Callable[[str], str]) -> None:
    """A migration through a pooler is refused with the setting to change."""
    with pytest.raises(UsageError, match=r"`callweave migrate` let it lead to Postgres itself"):
        upgrade(through_pooler(empty_database_url))


@pooled
def test_reconciliation_behind_a_pooler(
    database_url: str, sandbox: Sandbox, through_pooler: Callable[[str], str]
) -> None:
    """Calls are reconciled behind a pooler as they are without, and two runs at once take turns."""
    with Office(database_url, sandbox.environ) as office:
        for provider in PROVIDERS:
            office.sync(provider, since=datetime.now(UTC) - HOURS)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: decided(through_pooler(database_url)), range(2)))
        through = office.rows("SELECT external_id, unified_call_id IS NULL AS lone FROM v1.call ORDER BY 1")
        states = office.rows("SELECT state FROM reconcile_run")
    alter(database_url, "TRUNCATE call_member, call_match, call_rival CASCADE", "DELETE FROM reconcile_run")
    decided(database_url)

    assert [row["state"] for row in states] == ["completed", "completed"]
    assert through == office.rows("SELECT external_id, unified_call_id IS NULL AS lone FROM v1.call ORDER BY 1")


def decided(url: str) -> None:
    """One whole reconciliation in this process."""
    run = Reconciliation(url, Ask(full=True))
    with run.begun():
        run.calibrate()
        pieces, touched = run.pieces()
        for piece in pieces:
            run.written += run.work(piece, touched, run.knowledge())
