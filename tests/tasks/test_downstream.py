"""Programs of others on a synced database: dbt with our package, and the contract as data by its own command line."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types

from bench.peers import HOUSE, PeerUnavailable, install
from sandbox.server import Sandbox
from tasks.embedded import EmbeddedPostgres
from tasks.identity.linker import link_people
from tasks.migrate import upgrade
from tests.support.builders import Json, Office
from tests.support.data_contract import FILE, REFERENCES
from tests.support.fixtures import new_database
from tests.support.reconciled import reconcile

DBT = ("dbt-core==1.11.*", "dbt-postgres==1.10.*")
"""Later ones fetch a part of themselves from elsewhere while they are installed."""
DATACONTRACT = ("datacontract-cli[postgres]==1.2.*",)


class Dbt(NamedTuple):
    """The package, on one database."""

    program: Path
    folder: Path
    url: str

    def run(self, *words: str) -> Json:
        """What dbt says of each thing it did. Nothing of it leaves the machine."""
        own = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_TARGET_PATH": str(self.folder)}
        places = ["--project-dir", str(HOUSE / "dbt"), "--profiles-dir", str(self.folder)]
        logs = ["--log-path", str(self.folder)]
        done = subprocess.run(
            [self.program, *logs, *words, *places], env=os.environ | own, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        name = "sources.json" if words[0] == "source" else "run_results.json"
        document: Json = json.loads((self.folder / name).read_text("utf-8"))
        return document

    def value(self, query: str) -> Any:
        with psycopg.connect(self.url) as connection:
            (row,) = connection.execute(query.encode()).fetchall()
            return row[0]


def installed(name: str, *packages: str) -> Path:
    """The folder of its programs."""
    try:
        return install(*packages, folder=HOUSE / f".venv-{name}")
    except PeerUnavailable as error:
        pytest.skip(f"{name} cannot be installed here: {error}")


@pytest.fixture(scope="module")
def loaded(cluster: EmbeddedPostgres, sandbox: Sandbox) -> str:
    """The address of a database that is synced, linked and reconciled."""
    url = new_database(cluster)
    upgrade(url)
    with Office(url, sandbox.environ) as office:
        office.sync_all()
        link_people(office.context("skipcall").engine)
    reconcile(url)
    return url


@pytest.fixture(scope="module")
def dbt(loaded: str, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    programs = installed("dbt", *DBT)
    folder = tmp_path_factory.mktemp("dbt")
    at = psycopg.conninfo.conninfo_to_dict(loaded)
    place = {"host": at["host"], "port": int(at["port"] or 5432), "user": at["user"], "dbname": at["dbname"]}
    output = {"type": "postgres", "schema": "analytics", "password": "", "threads": 2} | place
    (folder / "profiles.yml").write_text(yaml.safe_dump({"callweave": {"target": "t", "outputs": {"t": output}}}))
    return Dbt(programs / "dbt", folder, loaded)


@pytest.mark.parametrize(("view", "column"), REFERENCES)
def test_references(loaded: str, view: str, column: str) -> None:
    """A column that names a row of another view names one that is there."""
    other, _, key = REFERENCES[view, column].partition(".")
    query = f"""
        SELECT count({column}) > 0, count(*) FILTER (
            WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT FROM v1.{other} o WHERE o.{key} = t.{column}))
        FROM v1.{view} t
    """
    with psycopg.connect(loaded) as connection:
        assert connection.execute(query.encode()).fetchall() == [(True, 0)]


def test_builds_and_passes(dbt: Dbt) -> None:
    """Every model is built, every test of the sources and models passes."""
    results = dbt.run("build", "--profile", "callweave")["results"]

    assert {one["status"] for one in results} == {"success", "pass"}
    assert len([one for one in results if one["status"] == "success"]) == 4
    assert len([one for one in results if one["status"] == "pass"]) > 10

    real = dbt.value("SELECT count(*) FROM v1.unified_call")
    assert dbt.value("SELECT sum(calls) FROM analytics.real_calls_per_day") == real > 100
    talked = dbt.value("SELECT sum(talk_seconds) FROM v1.unified_call WHERE agent IS NOT NULL")
    assert dbt.value("SELECT sum(talk_seconds) FROM analytics.agents") == talked
    missed = "SELECT count(*) FROM v1.unified_call WHERE person_id > 0 AND (direction, outcome) = ('inbound', 'missed')"
    assert dbt.value("SELECT count(*) FROM analytics.response_times") == dbt.value(missed)
    lacking = dbt.value("SELECT count(*) FROM v1.missing_in")
    assert dbt.value("SELECT sum(not_held) FROM analytics.system_differences") == lacking > 0
    assert dbt.value("SELECT bool_or(is_complete) AND NOT bool_and(is_complete) FROM analytics.real_calls_per_day")


def test_freshness_is_proven_completeness(dbt: Dbt) -> None:
    """Sources are as fresh as everything is complete, whenever a row was last written."""
    (found,) = dbt.run("source", "freshness", "--profile", "callweave")["results"]

    assert found["status"] == "pass"
    complete = dbt.value("SELECT extract(epoch FROM now() - v1.complete_up_to())")
    assert abs(found["max_loaded_at_time_ago_in_s"] - float(complete)) < 120


def checked(url: str, document: Json, folder: Path) -> tuple[int, list[Json]]:
    """What the command line of others says of a contract and a database: its exit status and each of its checks."""
    at = psycopg.conninfo.conninfo_to_dict(url)
    document["servers"][0] |= {"host": at["host"], "port": int(at["port"] or 5432), "database": at["dbname"]}
    file, results = folder / "callweave.odcs.yaml", folder / "results.json"
    file.write_text(yaml.safe_dump(document), "utf-8")
    program = installed("datacontract", *DATACONTRACT) / "datacontract"
    who = {"DATACONTRACT_POSTGRES_USERNAME": str(at["user"]), "DATACONTRACT_POSTGRES_PASSWORD": "-"}
    words = ["test", str(file), "--output", str(results), "--output-format", "json"]
    done = subprocess.run([program, *words], env=os.environ | who, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(results.read_text("utf-8"))["checks"]


def test_contract_as_data(loaded: str, tmp_path: Path) -> None:
    """Every view of docs/callweave.odcs.yaml is in a loaded database, with its columns, types and keys."""
    document = yaml.safe_load(FILE.read_text("utf-8"))
    status, checks = checked(loaded, document, tmp_path)

    assert (status, {one["result"] for one in checks}) == (0, {"passed"})
    assert len(checks) > 2 * sum(len(view["properties"]) for view in document["schema"])


def test_a_broken_contract_is_seen(loaded: str, tmp_path: Path) -> None:
    """A column that is not there, or of another type, fails."""
    document = yaml.safe_load(FILE.read_text("utf-8"))
    (calls,) = [view for view in document["schema"] if view["name"] == "unified_call"]
    calls["properties"][0]["physicalType"] = "text"
    calls["properties"][1]["name"] = "nowhere"
    status, checks = checked(loaded, document | {"schema": [calls]}, tmp_path)

    assert status == 1
    assert {one["field"] for one in checks if one["result"] == "failed"} == {"unified_call_id", "nowhere"}
