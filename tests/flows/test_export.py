"""`callweave export`: files that other programs read with the right types, written in memory that does not grow."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pytest

from flows.cli.main import main
from tests.support.builders import CONTACTS, Office, at, sakari_call, skipcall_call, skipcall_contact, take_in

PEAK = """
import sys
from flows.cli.main import main
from tests.support.memory import peak_megabytes
status = main(sys.argv[1:])
sys.stderr.write(f"peak {round(peak_megabytes())}")
sys.exit(status)
"""
HOUSE = Path(__file__).parents[2]


@pytest.fixture
def loaded(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Office:
    """Calls a minute apart and one odd contact, in the database that the command line works on."""
    monkeypatch.setenv("DATABASE_URL", office.database_url)
    monkeypatch.chdir(tmp_path)
    take_in(office.context("sakari"), [sakari_call(id=f"s{n}", created={"at": at(n).isoformat()}) for n in range(50)])
    odd = skipcall_contact(id="k", firstName='Ann "A",\nB', lastName="", email=None)
    take_in(office.context("skipcall", CONTACTS), [odd])
    take_in(office.context("skipcall"), [skipcall_call(id="c")])
    return office


def held(office: Office, view: str) -> list[dict[str, Any]]:
    return office.rows(f"SELECT * FROM v1.{view} ORDER BY provider, external_id")


def asked(query: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers."""
    return duckdb.execute(query).fetchall()


def exported(path: Path, *words: str) -> Path:
    assert main(["export", *words, "--output", str(path)]) == 0
    assert not path.with_name(f"{path.name}.part").exists()
    return path


def test_parquet_for_duckdb(loaded: Office, tmp_path: Path) -> None:
    """DuckDB reads every call with its time as a time with zone, its numbers as numbers and its payload as JSON."""
    file = exported(tmp_path / "calls.parquet", "call", "--format", "parquet")
    types = dict(asked(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{file}')"))
    read = "external_id, epoch_us(started_at), duration_seconds, payload::json ->> 'id'"
    rows = asked(f"SELECT {read} FROM '{file}' ORDER BY provider, 1")

    assert types["started_at"] == "TIMESTAMP WITH TIME ZONE"
    assert (types["duration_seconds"], types["is_final"], types["remote_person_id"]) == ("INTEGER", "BOOLEAN", "BIGINT")
    expected = held(loaded, "call")
    assert len(expected) == 51
    assert rows == [
        (one["external_id"], micros(one["started_at"]), one["duration_seconds"], one["payload"]["id"])
        for one in expected
    ]


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


def test_parquet_for_pandas(loaded: Office, tmp_path: Path) -> None:
    """Pandas reads times as UTC, lists as lists, and nothing as nothing, not as an empty text."""
    calls = pd.read_parquet(exported(tmp_path / "calls.parquet", "v1.call", "--format", "parquet"))
    contacts = pd.read_parquet(exported(tmp_path / "contacts.parquet", "contact", "--format", "parquet"))
    (contact,), (expected,) = contacts.to_dict("records"), held(loaded, "contact")

    assert str(calls["started_at"].dtype) == "datetime64[us, UTC]"
    assert calls["started_at"].min() == min(one["started_at"] for one in held(loaded, "call"))
    assert list(contact["e164s"]) == expected["e164s"]
    assert contact["first_name"] == expected["first_name"] == 'Ann "A",\nB'
    assert pd.isna(contact["email"])


def test_csv(loaded: Office, tmp_path: Path) -> None:
    """CSV holds every column and record; lists and objects are JSON, null is nothing, an empty text is quoted."""
    file = exported(tmp_path / "contacts.csv", "contact", "--format", "csv")
    (row,), (expected,) = csv.DictReader(io.StringIO(file.read_text("utf-8"), newline="")), held(loaded, "contact")

    assert list(row) == list(expected)
    assert (row["first_name"], json.loads(row["e164s"])) == (expected["first_name"], expected["e164s"])
    assert json.loads(row["payload"]) == expected["payload"]
    assert datetime.fromisoformat(row["first_seen_at"]) == expected["first_seen_at"]
    types = asked(f"SELECT typeof(changed_at), typeof(email) FROM read_csv('{file}')")
    assert types == [("TIMESTAMP WITH TIME ZONE", "VARCHAR")]


def test_csv_on_stdout(loaded: Office, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without --output the file goes to stdout, and nothing else does."""
    assert main(["export", "change", "--format", "csv"]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()

    assert lines[0].startswith("sequence,entity,provider")
    assert len(lines) == 1 + 52


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_range(loaded: Office, tmp_path: Path, form: str) -> None:
    """--since and --until choose calls by their start, the end left out."""
    bounds = ["--since", at(10).isoformat(), "--until", at(20).isoformat()]
    file = exported(tmp_path / f"calls.{form}", "call", "--format", form, *bounds)
    ids = asked(f"SELECT external_id FROM '{file}' WHERE provider = 'sakari'")

    assert {id_ for (id_,) in ids} == {f"s{n}" for n in range(10, 20)}


VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = 'v1'::regnamespace AND relkind = 'v'"


def test_every_view(loaded: Office, tmp_path: Path) -> None:
    """Every view of v1 can be exported in both formats, empty ones and odd types included."""
    views = [row["relname"] for row in loaded.rows(VIEWS)]
    assert len(views) > 10
    for view in views:
        (size,) = loaded.rows(f"SELECT count(*) AS rows FROM v1.{view}")
        for form in ("csv", "parquet"):
            file = exported(tmp_path / f"{view}.{form}", view, "--format", form)
            read = f"read_csv('{file}', header = true)" if form == "csv" else f"'{file}'"
            assert asked(f"SELECT count(*) FROM {read}") == [(size["rows"],)], (view, form)


WRONG = [
    (["nothing", "--format", "csv"], "there are call, "),
    (["pg_class", "--format", "csv"], "no view"),
    (["person", "--format", "csv", "--since", "2026-01-01T00:00Z"], "--since"),
    (["call", "--format", "csv", "--since", "2026-01-02T00:00Z", "--until", "2026-01-02T00:00Z"], "--since"),
    (["call", "--format", "csv", "--since", "2026-01-02"], "--since"),
    (["call"], "--format"),
]


@pytest.mark.parametrize(
    ("words", "named"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_usage(loaded: Office, capfd: pytest.CaptureFixture[str], words: list[str], named: str) -> None:
    """What cannot be exported is refused with 2, the option or the views named, and stdout is empty."""
    assert main(["export", *words]) == 2
    out, err = capfd.readouterr()

    assert out == ""
    assert named in err


def test_a_place_that_cannot_be_written(loaded: Office, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is an error in one sentence, and status 1."""
    assert main(["export", "call", "--format", "csv", "--output", "nowhere/calls.csv"]) == 1
    assert "nowhere/calls.csv cannot be written" in capfd.readouterr().err


MANY = """
    INSERT INTO record_change (entity, provider, account, external_id, kind)
    SELECT 'call', 'x', 'main', n || repeat(md5(n::text), 30), 'inserted' FROM generate_series(1, %s) AS n
"""


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_memory(loaded: Office, tmp_path: Path, form: str) -> None:
    """A hundred megabytes leave in the memory that a few kilobytes need, and some buffers."""
    peaks = []
    for count in (1, 100_000):
        loaded.change(MANY, count)
        words = ["export", "change", "--format", form, "--output", str(tmp_path / "many")]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *words], cwd=HOUSE, check=True, capture_output=True, text=True
        )
        peaks.append(int(done.stderr.rpartition("peak ")[2]))

    assert peaks[1] < peaks[0] + 60


def test_the_database_is_closed_again(loaded: Office, tmp_path: Path) -> None:
    """An export leaves no connection behind."""
    exported(tmp_path / "calls.parquet", "call", "--format", "parquet")
    with psycopg.connect(loaded.database_url) as connection:
        query = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found = [said for (said,) in connection.execute(query) if 'v1."call"' in said]

    assert found == []
