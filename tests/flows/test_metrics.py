"""`callweave metrics`: OpenMetrics that Prometheus's own parser takes, and the dashboard that asks for them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from flows.cli.main import main
from tests.support.builders import CONTACTS, Office
from tests.support.patience import PATIENCE

HOUSE = Path(__file__).parents[2]
DASHBOARD = HOUSE / "docs" / "grafana-dashboard.json"
INCIDENT = "INSERT INTO incident (cause, since, times, detail) VALUES ('odd', now(), 1, 'call +33612345678')"
Key = tuple[str, tuple[tuple[str, str], ...]]


def parsed(text: str) -> dict[Key, float]:
    families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def synced(own_office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    own_office.sync("skipcall")
    own_office.sync("skipcall", CONTACTS)
    own_office.change(INCIDENT)
    monkeypatch.setenv("DATABASE_URL", own_office.database_url)
    return own_office


def of(found: dict[Key, float], name: str, **labels: str) -> list[float]:
    wanted = set(labels.items())
    return [value for (sample, has), value in found.items() if sample == name and wanted <= set(has)]


def test_values(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers are those of the database: freshness, backlog, requests, incidents, budget, per account."""
    assert main(["metrics"]) == 0
    found = parsed(capsys.readouterr().out)
    (status,) = synced.rows("SELECT * FROM v1.sync_status WHERE stream = 'calls'")
    (runs,) = synced.rows("SELECT sum(requests) AS requests, sum(inserted) AS inserted FROM v1.sync_run")

    place = {"provider": "skipcall", "account": status["account"], "stream": "calls"}
    assert of(found, "callweave_complete_up_to_seconds", **place) == [status["complete_up_to"].timestamp()]
    assert 0 < of(found, "callweave_behind_seconds", **place)[0] < 86_400
    assert of(found, "callweave_open_windows", **place) == [status["open_windows"]]
    assert of(found, "callweave_stream_state", callweave_stream_state="ok", **place) == [1]
    assert of(found, "callweave_stream_state", callweave_stream_state="failed", **place) == [0]
    assert sum(of(found, "callweave_requests_total")) == runs["requests"]
    assert sum(of(found, "callweave_records_total", fate="inserted")) == runs["inserted"]
    assert of(found, "callweave_incidents", cause="odd") == [1]
    assert len(of(found, "callweave_budget_queue_seconds", provider="skipcall")) == 1
    assert of(found, "callweave_change_sequence")[0] >= runs["inserted"]


def test_discreet(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    """No key, no telephone number and no error text is among the metrics."""
    synced.change("UPDATE sync_run SET error = 'the key abc was refused for +33612345678'")
    main(["metrics"])
    out = capsys.readouterr().out

    assert [secret for secret in synced.account("skipcall").secrets() if secret in out] == []
    assert re.findall(r"\+\d{7,}", out) == []
    assert "refused" not in out


def test_odd_names(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    """An account's name with quotes, backslashes and line breaks is one label."""
    synced.change("UPDATE request_budget SET account = %s", 'a"b\\c\nd')
    main(["metrics"])

    assert of(parsed(capsys.readouterr().out), "callweave_budget_queue_seconds", account='a"b\\c\nd')


def test_before_anything_was_synced(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty database has metrics too."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert main(["metrics"]) == 0
    assert parsed(capsys.readouterr().out) == {("callweave_change_sequence", ()): 0}


@pytest.fixture
def served(synced: Office) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "flows", "metrics", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=HOUSE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        (address,) = re.findall(r"http://\S+", process.stderr.readline())
        yield address
        process.terminate()


def test_scraped(served: str) -> None:
    """A scraper finds the same at /metrics, with the content type of OpenMetrics, and nothing elsewhere."""
    with urlopen(served, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert of(parsed(answer.read().decode()), "callweave_requests_total")
    with pytest.raises(HTTPError, match="404"):
        urlopen(served.replace("/metrics", "/"), timeout=PATIENCE)


@pytest.mark.parametrize("address", ["9464", "localhost:", "localhost:port", "localhost:70000", "256.1.1.1:0"])
def test_usage(synced: Office, capsys: pytest.CaptureFixture[str], address: str) -> None:
    """An address that cannot be listened on is refused, the option named."""
    assert main(["metrics", "--listen", address]) == 2
    assert "--listen" in capsys.readouterr().err


def queries(panel: Any) -> Iterator[str]:
    yield from (target["expr"] for target in panel.get("targets", []))
    for inner in panel.get("panels", []):
        yield from queries(inner)


def test_the_dashboard(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    """Every query of the Grafana dashboard asks for metrics and labels that exist."""
    main(["metrics"])
    out = capsys.readouterr().out
    labels = set(re.findall(r'(\w+)="', out))
    names = {name for name, _ in parsed(out)} | {f"{name}" for name in re.findall(r"# TYPE (\w+)", out)}
    found = [expr for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] for expr in queries(panel)]

    assert len(found) >= 8
    for expr in found:
        assert set(re.findall(r"callweave_\w+(?=[{\[\s)]|$)", expr)) <= names | labels, expr
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)", expr)) <= labels, expr
