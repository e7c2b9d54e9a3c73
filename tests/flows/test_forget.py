"""An account whose id was mistyped: the error names the variable, and `callweave forget` takes it away again."""

from collections.abc import Iterator

import pytest

from flows.cli.main import main
from sandbox.server import Sandbox
from tests.support.builders import CALLS, Office


@pytest.fixture
def mistyped(database_url: str, own_sandbox: Sandbox) -> Iterator[Office]:
    with Office(database_url, own_sandbox.environ | {"SAKARI_ACCOUNT_ID": "mistyped"}) as office:
        yield office


def test_the_variable_is_named(mistyped: Office) -> None:
    """An address that is denied and holds an account id may be of a mistyped one: which variable that is, is said."""
    assert str(mistyped.sync("sakari").receipt.error).endswith("; is SAKARI_ACCOUNT_ID right?")


def test_forgotten(
    mistyped: Office, own_office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was never read is not waited for any longer, and everything else stays."""
    monkeypatch.setenv("DATABASE_URL", own_office.database_url)
    own_office.sync("sakari")
    complete = own_office.rows("SELECT v1.complete_up_to() AS at")
    mistyped.sync("sakari")
    assert own_office.rows("SELECT v1.complete_up_to() AS at") == [{"at": None}]

    assert main(["forget", "sakari:mistyped"]) == 0
    assert capsys.readouterr().out == "Forgotten: sakari:mistyped\n"
    assert own_office.rows("SELECT v1.complete_up_to() AS at") == complete
    assert [one["account"] for one in own_office.rows("SELECT account FROM v1.sync_status")] == ["sandbox-account"]
    assert own_office.rows("SELECT count(*) AS runs FROM v1.sync_run WHERE account = 'mistyped'") == [{"runs": 0}]


@pytest.mark.parametrize("account", ["sakari:sandbox-account", "sakari:nobody", "sakari"])
def test_refused(
    own_office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], account: str
) -> None:
    """An account of which records are held is kept, and one that nothing is known of is no success."""
    monkeypatch.setenv("DATABASE_URL", own_office.database_url)
    own_office.sync("sakari")
    held = own_office.ids("sakari", CALLS)

    assert main(["forget", account]) == 2
    assert account in capsys.readouterr().err
    assert own_office.ids("sakari", CALLS) == held
