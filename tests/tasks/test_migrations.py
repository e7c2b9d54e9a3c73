"""The database as the contract promises it, made by the migrations alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from models.errors import UsageError
from tasks.database import one_engine
from tasks.embedded import EmbeddedPostgres
from tasks.matching.report import calibrations
from tasks.migrate import drift, grant_rights, is_behind, upgrade
from tasks.rights import ROLES, advice, without_rights
from tests.support.patience import PATIENCE
from tests.support.reconciled import reconcile

TEXT, TIME, BIG, BOOL, JSON, TEXTS = "text", "timestamp with time zone", "bigint", "boolean", "jsonb", "text[]"
KEY = {"provider": TEXT, "account": TEXT, "external_id": TEXT}
VIEWS: dict[str, dict[str, str]] = {
    "call": KEY
    | {"direction": TEXT, "outcome": TEXT, "provider_status": TEXT}
    | {"started_at": TIME, "answered_at": TIME, "ended_at": TIME, "duration_seconds": "integer"}
    | {"remote_e164": TEXT, "own_e164": TEXT, "remote_raw": TEXT, "own_raw": TEXT, "remote_person_id": BIG}
    | {"contact_external_id": TEXT, "parent_external_id": TEXT, "agent": TEXT, "is_final": BOOL, "deleted_at": TIME}
    | {"unified_call_id": BIG, "first_seen_at": TIME, "changed_at": TIME, "payload": JSON, "is_leg": BOOL},
    "contact": KEY
    | {"first_name": TEXT, "last_name": TEXT, "email": TEXT, "e164s": TEXTS, "person_id": BIG, "opted_out": BOOL}
    | {"crm_ids": JSON, "deleted_at": TIME, "first_seen_at": TIME, "changed_at": TIME, "payload": JSON}
    | {"opted_out_at": TIME},
    "person": {"person_id": BIG, "display_name": TEXT, "e164s": TEXTS, "emails": TEXTS, "providers": TEXTS}
    | {"contact_count": BIG, "call_count": BIG, "opted_out": BOOL, "provenance": JSON}
    | {"first_call_at": TIME, "last_call_at": TIME},
    "unlinked_phone": {"e164": TEXT, "reason": TEXT, "names": TEXTS, "since": TIME},
    "sync_status": {"provider": TEXT, "account": TEXT, "stream": TEXT, "state": TEXT}
    | {"complete_from": TIME, "complete_up_to": TIME, "covered": "tstzmultirange"}
    | {"last_success_at": TIME, "last_attempt_at": TIME, "open_windows": BIG, "rejected_rows": BIG, "last_error": TEXT},
    "rejected_row": {"provider": TEXT, "account": TEXT, "stream": TEXT, "external_id": TEXT, "reason": TEXT}
    | {"payload": JSON, "first_seen_at": TIME, "last_seen_at": TIME, "resolved_at": TIME},
    "unified_call": {"unified_call_id": BIG, "direction": TEXT, "outcome": TEXT}
    | {"started_at": TIME, "answered_at": TIME, "ended_at": TIME, "remote_e164": TEXT, "own_e164": TEXT}
    | {"person_id": BIG, "providers": TEXTS, "record_count": BIG, "confidence": "double precision"}
    | {"provisional": BOOL, "decided_at": TIME, "leg_count": BIG}
    | dict.fromkeys(["talk_seconds", "total_seconds", "ring_seconds"], "integer")
    | {"agent": TEXT, "agents": TEXTS, "contact_external_ids": TEXTS, "hidden_number": BOOL}
    | {"accounts": TEXTS},
    "call_match": {f"{side}_{name}": TEXT for side in ("left", "right") for name in KEY}
    | {"unified_call_id": BIG, "rule": TEXT, "score": "double precision", "evidence": JSON, "decided_at": TIME},
    "unmatched_call": KEY
    | {"reason": TEXT, "detail": JSON, "started_at": TIME, "unified_call_id": BIG, "direction": TEXT, "outcome": TEXT},
    "sync_run": {"run_id": TEXT, "provider": TEXT, "account": TEXT, "stream": TEXT, "state": TEXT}
    | {"seconds": "double precision", "windows": BIG, "requests": BIG, "fetched": BIG, "inserted": BIG, "updated": BIG}
    | {"unchanged": BIG, "duplicate": BIG, "rejected": BIG, "deleted": BIG, "error": TEXT}
    | {"started_at": TIME, "ended_at": TIME},
    "coverage_by_hour": {"provider": TEXT, "account": TEXT, "hour": TIME, "calls": BIG, "complete": BOOL},
    "missing_in": {"unified_call_id": BIG, "provider": TEXT, "account": TEXT, "started_at": TIME}
    | dict.fromkeys(("direction", "outcome", "remote_e164", "own_e164"), TEXT)
    | {"held_by": "text[]"},
    "call_history": KEY
    | {"direction": TEXT, "outcome": TEXT, "provider_status": TEXT}
    | {"started_at": TIME, "answered_at": TIME, "ended_at": TIME, "duration_seconds": "integer"}
    | dict.fromkeys(["remote_e164", "own_e164", "remote_raw", "own_raw"], TEXT)
    | {"contact_external_id": TEXT, "parent_external_id": TEXT, "agent": TEXT, "is_final": BOOL, "deleted_at": TIME}
    | {"valid_from": TIME, "valid_to": TIME},
    "decision_history": {f"{side}_{name}": TEXT for side in ("left", "right") for name in KEY}
    | {"unified_call_id": BIG, "score": "double precision", "valid_from": TIME, "valid_to": TIME}
    | {"why": TEXT, "why_ended": TEXT},
    "change": {"sequence": BIG, "entity": TEXT} | KEY | {"unified_call_id": BIG, "kind": TEXT, "changed_at": TIME},
}
HOUSE = Path(__file__).parents[2]
UPGRADE = "import sys; from tasks.migrate import upgrade; sys.stdin.read(); upgrade(sys.argv[1])"
COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as connection:
        yield connection


def test_from_nothing(empty_database_url: str) -> None:
    """An empty database is behind, and up to date after one upgrade."""
    assert is_behind(empty_database_url)
    upgrade(empty_database_url)
    assert not is_behind(empty_database_url)


def test_again(database_url: str) -> None:
    """An upgrade of what is up to date changes nothing."""
    upgrade(database_url)
    assert not is_behind(database_url)


def test_no_drift(database_url: str) -> None:
    """The migrated database is the one that the models describe."""
    assert drift(database_url) is None


def test_drift_is_seen(empty_database_url: str) -> None:
    """A column that no model knows is told."""
    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("ALTER TABLE phone ADD COLUMN surprise text")

    assert "surprise" in str(drift(empty_database_url))


def test_two_at_once(empty_database_url: str) -> None:
    """Upgrades that two commands start at the same time wait for each other, and both succeed."""
    command = [sys.executable, "-W", "error", "-c", UPGRADE, empty_database_url]
    commands = [subprocess.Popen(command, cwd=HOUSE, stdin=subprocess.PIPE) for _ in range(2)]
    for each in commands:
        each.communicate(b"go", timeout=PATIENCE)

    assert [each.returncode for each in commands] == [0, 0]
    assert not is_behind(empty_database_url)


def test_after_a_failure(empty_database_url: str) -> None:
    """A failed upgrade leaves a database that the next one completes."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE phone (id bigint)")
    with pytest.raises(Exception, match="phone"):
        upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("DROP TABLE phone")
    upgrade(empty_database_url)

    assert not is_behind(empty_database_url)


@pytest.mark.parametrize("view", VIEWS)
def test_view(connection: psycopg.Connection, view: str) -> None:
    """A view of v1 has the contract's columns, of the contract's types, each with a comment."""
    found = connection.execute(COLUMNS, [f"v1.{view}"]).fetchall()

    assert {name: kind for name, kind, _ in found} == VIEWS[view]
    assert [name for name, _, comment in found if not comment] == []
    (comment,) = connection.execute("SELECT obj_description(%s::regclass)", [f"v1.{view}"]).fetchone() or (None,)
    assert comment
    assert connection.execute(f"SELECT * FROM v1.{view}").fetchall() == []


def test_no_other_view(connection: psycopg.Connection) -> None:
    """Schema v1 holds the contract's views and nothing else."""
    found = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'v1'::regnamespace").fetchall()

    assert {name for (name,) in found} == set(VIEWS)


def test_reader(connection: psycopg.Connection) -> None:
    """`callweave_reader` selects from every view, and nothing else; it cannot log in."""
    (can_login,) = connection.execute(
        "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'callweave_reader'"
    ).fetchone() or (None,)
    assert can_login is False
    connection.execute("SET ROLE callweave_reader")
    for view in VIEWS:
        connection.execute(f"SELECT * FROM v1.{view}")
        assert granted(connection, f"v1.{view}", "INSERT, UPDATE, DELETE, TRUNCATE") is False


def test_reader_and_tables(connection: psycopg.Connection) -> None:
    """The base tables are closed to `callweave_reader`, and so is making new ones."""
    tables = [name for (name,) in connection.execute(TABLES).fetchall()]
    (may_create,) = connection.execute(
        "SELECT has_schema_privilege('callweave_reader', 'v1', 'CREATE')"
        " OR has_schema_privilege('callweave_reader', 'public', 'CREATE')"
    ).fetchone() or (None,)

    assert len(tables) > 5
    assert [name for name in tables if granted(connection, f'public."{name}"', "SELECT, INSERT, UPDATE, DELETE")] == []
    assert may_create is False


def granted(connection: psycopg.Connection, relation: str, rights: str) -> object:
    row = connection.execute("SELECT has_table_privilege('callweave_reader', %s, %s)", [relation, rights]).fetchone()
    return row and row[0]


OLD = "0008"
OLD_RECORDS = """
    INSERT INTO call (id, provider, account, external_id, digest, source_updated_at, observed_at, started_at, direction,
                      outcome, is_final, payload, remote_e164)
    SELECT id, provider, 'a', 'x', '', now(), now(), now() - interval '2 days', 'inbound', 'missed', true, '{}',
           '+12125550123'
    FROM (VALUES (1, 'p'), (2, 'q')) AS record (id, provider);
    INSERT INTO call_member (call_id, unified_call_id, provider, account, speaks, confidence, by_prior, changed_at)
    SELECT id, 1, provider, account, true, 0.99, false, now() FROM call;
    INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
                             support, parameters)
    VALUES ('p', 'a', 'q', 'a', 1, 'learnt', false, 40, '{"offset": -10.3}')
"""


def of_a_humble_owner(cluster: EmbeddedPostgres, url: str) -> str:
    """The same database, owned by a role that may not make roles."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE humble_{name} LOGIN")
        connection.execute(f"ALTER DATABASE {name} OWNER TO humble_{name}")
    return url.replace("postgres@", f"humble_{name}@")


def test_without_the_right_to_make_roles(cluster: EmbeddedPostgres, empty_database_url: str) -> None:
    """An owner who may not make roles migrates all the same."""
    url = of_a_humble_owner(cluster, empty_database_url)
    upgrade(url)

    assert not is_behind(url)


@pytest.mark.usefixtures("database_url")
def test_roles_that_come_later(cluster: EmbeddedPostgres, empty_database_url: str) -> None:
    """Where the owner may not make roles they are named with the cure; made by somebody else, they get their rights."""
    url = of_a_humble_owner(cluster, empty_database_url)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
        for name in ROLES:
            admin.execute(f"ALTER ROLE {name} RENAME TO {name}_aside")
        try:
            upgrade(url)
            assert grant_rights(url) == list(ROLES)
            assert "CREATE ROLE callweave_reader NOLOGIN" in advice(list(ROLES))
            for name in ROLES:
                admin.execute(f"CREATE ROLE {name} NOLOGIN")
            with one_engine(url) as engine, engine.connect() as connection:
                assert without_rights(connection) == list(ROLES)
            assert grant_rights(url) == []
            with one_engine(url) as engine, engine.connect() as connection:
                assert without_rights(connection) == []
            with psycopg.connect(empty_database_url, autocommit=True) as reader:
                reader.execute("SET ROLE callweave_reader")
                reader.execute("SELECT * FROM v1.call, v1.complete_up_to()")
        finally:
            with psycopg.connect(empty_database_url, autocommit=True) as here:
                for name in ROLES:
                    here.execute(f"DROP OWNED BY {name}")
            for name in ROLES:
                admin.execute(f"DROP ROLE {name}")
                admin.execute(f"ALTER ROLE {name}_aside RENAME TO {name}")


def test_from_an_older_version(empty_database_url: str) -> None:
    """An older database, with calls, matches and clocks in their old form, is upgraded, read, and decided anew."""
    upgrade(empty_database_url, OLD)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(OLD_RECORDS)
    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute("SELECT unified_call_id, record_count, providers FROM v1.unified_call").fetchall()
    (clock,) = calibrations(empty_database_url)

    assert found == [(1, 2, ["p", "q"])]
    assert clock["is_prior"]
    reconcile(empty_database_url, full=True)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM v1.call WHERE unified_call_id IS NULL").fetchone() == (0,)


def test_a_table_that_somebody_reads(empty_database_url: str) -> None:
    """A lock that is not given up ends the migration in words, and nothing was changed."""
    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as other:
        other.execute("UPDATE alembic_version SET version_num = '0018'")
        other.execute("DROP VIEW v1.unmatched_call")
        other.commit()
        other.execute("LOCK TABLE unmatched_record IN ACCESS SHARE MODE")
        with pytest.raises(UsageError, match=r"within five seconds: nothing was changed\. Stop it"):
            upgrade(empty_database_url)


def test_a_newer_version_s_database(empty_database_url: str) -> None:
    """A migration that this version does not know is no reason to stop; to migrate it, it says what is needed."""
    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    assert not is_behind(empty_database_url)
    with pytest.raises(UsageError, match="at migration 9999, of a newer version"):
        upgrade(empty_database_url)


def test_deleted_is_final(connection: psycopg.Connection) -> None:
    """Deleted calls are final in the view, whatever the provider's word says."""
    connection.execute(
        "INSERT INTO call (provider, account, external_id, digest, source_updated_at, observed_at, started_at,"
        " direction, outcome, is_final, payload, vanished_at) VALUES"
        " ('p', 'a', 'x', '', now(), now(), now(), 'inbound', 'in_progress', false, '{}', now())"
    )
    row = connection.execute("SELECT is_final, deleted_at IS NULL FROM v1.call").fetchone()

    assert row == (True, False)
