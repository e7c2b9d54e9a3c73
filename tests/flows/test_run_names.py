"""What the runs of a flow are called, by what they were asked."""

from typing import Any

import pytest

from flows import run_names

DAYS = {"since": "2026-11-03T00:00:00Z", "until": "2026-11-10T00:00:00Z"}


class Asked:
    """Stands for the run that Prefect is about to begin."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"streams": ["calls"]}, "Bird calls, what is new"),
        ({"streams": ["contacts"]}, "Bird contacts"),
        ({}, "Bird calls and contacts, what is new"),
        ({"streams": ["calls"], **DAYS}, "Bird calls 3 to 9 November 2026"),
        ({"streams": ["calls"], "since": DAYS["since"]}, "Bird calls since 2026-11-03 00:00Z"),
        ({"streams": ["calls"], "full": True, **DAYS}, "Bird calls 3 to 9 November 2026, all again"),
        ({"call_ids": ["a", "b"]}, "Bird, 2 calls by id"),
        ({"streams": ["calls"], "since": "tomorrow"}, "Bird calls"),
    ],
)
def test_sync(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], name: str) -> None:
    """Provider, streams and range; a parameter that means nothing never stops the run here."""
    monkeypatch.setattr(run_names, "flow_run", Asked(**asked))
    assert run_names.of_sync("Bird")() == name


@pytest.mark.parametrize(
    ("asked", "name"),
    [({}, "What has changed"), ({"verify": True}, "All calls"), ({"full": True, **DAYS}, "Calls 3 to 9 November 2026")],
)
def test_reconcile(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], name: str) -> None:
    monkeypatch.setattr(run_names, "flow_run", Asked(**asked))
    assert run_names.of_reconcile() == name


def test_backfill(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backfill names the provider that the form chose."""
    monkeypatch.setattr(run_names, "flow_run", Asked(provider="bird", **DAYS))
    assert run_names.of_backfill() == "Bird calls 3 to 9 November 2026"
