"""`callweave settings` and docs/settings.md: what is in force, where it came from, and no secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.rendering.settings_page import page
from tasks.settings_reference import settings

HOUSE = Path(__file__).parents[2]
SECRET = "s3cret-of-mine"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an empty folder, with an environment in which nothing of ours is set."""
    monkeypatch.chdir(tmp_path)
    for one in settings():
        monkeypatch.delenv(one.variable, raising=False)


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return {one.pop("variable"): one for one in found}


def test_the_reference() -> None:
    """docs/settings.md is what the settings say of themselves; `callweave settings --markdown` makes it again."""
    assert (HOUSE / "docs" / "settings.md").read_text("utf-8") == page(settings())


def test_every_setting_says_what_it_does() -> None:
    found = list(settings())
    assert [one.variable for one in found if not one.what] == []
    assert len({one.variable for one in found}) == len(found)


def test_the_example_names_settings_that_there_are() -> None:
    """.env.example sets nothing that nobody reads."""
    lines = (HOUSE / ".env.example").read_text("utf-8").splitlines()
    named = {line.lstrip("# ").partition("=")[0] for line in lines if "=" in line}
    assert named - {one.variable for one in settings()} == {"PREFECT_API_AUTH_STRING"}  # of Prefect


def test_where_each_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment wins over .env, which wins over the default; secrets are ***, blocks are named."""
    (tmp_path / ".env").write_text(f"CALLWEAVE_HISTORY=30d\nCALLWEAVE_WORKERS=2\nSAKARI_CLIENT_SECRET={SECRET}\n")
    monkeypatch.setenv("CALLWEAVE_WORKERS", "5")
    monkeypatch.setenv("SAKARI_ACCOUNT_ID", "acme")
    monkeypatch.setenv("SAKARI_CLIENT_ID", "block:sakari-id")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{SECRET}@db.example/calls")
    monkeypatch.setenv("CALLWEAVE_ALERT_URL", f"slack://{SECRET}")
    assert main(["settings", "--json"]) == 0
    text = capsys.readouterr().out
    found = {one.pop("variable"): one for one in json.loads(text)}

    assert SECRET not in text
    assert found["CALLWEAVE_HISTORY"] == {"value": "30d", "source": ".env"}
    assert found["CALLWEAVE_WORKERS"] == {"value": "5", "source": "environment"}
    assert found["CALLWEAVE_MATCH"] == {"value": "careful", "source": "default"}
    assert found["SAKARI_CLIENT_SECRET"] == {"value": "***", "source": ".env"}
    assert found["SAKARI_CLIENT_ID"] == {"value": "block:sakari-id", "source": "environment"}
    assert found["CALLWEAVE_ALERT_URL"]["value"] == "***"
    assert "db.example" in found["DATABASE_URL"]["value"]


def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be read, or a provider that is half configured: shown, and exit status 2."""
    monkeypatch.setenv("BIRD_ACCESS_KEY", SECRET)
    assert main(["settings"]) == 2
    printed = capsys.readouterr()
    assert "BIRD_ACCESS_KEY" in printed.out
    assert "BIRD_WORKSPACE_ID" in printed.err
    monkeypatch.setenv("CALLWEAVE_HISTORY", "ninety")
    assert main(["settings"]) == 2
    assert "90d" in capsys.readouterr().err
