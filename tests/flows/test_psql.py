"""`callweave psql` opens Postgres's own terminal on the database in force, with the program that came with it."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.cli.main import main
from tasks.libpq import environment_of


def test_a_query(database_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Arguments are psql's: a query is answered by the configured database, in UTC."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("PGTZ", raising=False)
    query = "SELECT current_database(), current_setting('timezone'), count(*) FROM v1.call"
    assert main(["psql", "-X", "-At", "-c", query]) == 0
    name = conninfo_to_dict(database_url)["dbname"]

    assert capfd.readouterr().out == f"{name}|UTC|0\n"


def test_its_status(database_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The status is psql's own: 1 for a query that failed."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert main(["psql", "-X", "-c", "SELECT nothing"]) == 1
    assert "nothing" in capfd.readouterr().err


def test_a_view(database_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    r"""`\d+` shows what a column means."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert main(["psql", "-X", "-c", r"\d+ v1.change"]) == 0
    assert "in the order of the commits" in capfd.readouterr().out


def test_no_password_on_the_command_line() -> None:
    """What a URL says is handed over in the environment, where a list of processes does not show it."""
    url = "postgresql://ann:s3cret@db.example:5433/calls?sslmode=require&keepalives_idle=30"
    variables, arguments = environment_of(url)

    assert variables == {
        "PGUSER": "ann",
        "PGPASSWORD": "s3cret",
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGDATABASE": "calls",
        "PGSSLMODE": "require",
    }
    assert arguments == ["--dbname", "keepalives_idle='30'"]


def test_the_embedded_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without DATABASE_URL the embedded Postgres is started for it, migrated, and stopped behind it."""
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("CALLWEAVE_HOME", str(tmp_path / "home"))
    assert main(["psql", "-X", "-At", "-c", "SELECT count(*) FROM v1.call"]) == 0
    assert capfd.readouterr().out == "0\n"
    assert not (tmp_path / "home" / "postgres" / "postmaster.pid").exists()
