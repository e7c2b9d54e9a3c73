"""Configuration: one clear sentence on what is wrong, naming the variable, and never a secret."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from models.errors import UsageError
from models.vocabulary import StreamName
from tasks.providers import PROVIDERS
from tasks.settings import Settings, credential_variables, workers

SECRET = "hush-7f3a"
CONFIGURED = {
    "SAKARI_ACCOUNT_ID": "acc1",
    "SAKARI_CLIENT_ID": "client1",
    "SAKARI_CLIENT_SECRET": SECRET,
    "BIRD_WORKSPACE_ID": "ws1",
    "BIRD_ACCESS_KEY": SECRET,
    "SKIPCALL_API_KEY": SECRET,
}
REQUIRED = {"sakari": 3, "bird": 2, "skipcall": 1}


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the machine's environment nor its `.env` plays a part."""
    for name in CONFIGURED:
        monkeypatch.delenv(name, raising=False)
    for name in ("DATABASE_URL", "PREFECT_API_URL", "CALLWEAVE_WORKERS", "CALLWEAVE_HISTORY", "CALLWEAVE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def settings(**own: str) -> Settings:
    return Settings(CONFIGURED | own)


def without(*names: str) -> Settings:
    return Settings({name: value for name, value in CONFIGURED.items() if name not in names} | {"PATH": "/bin"})


def test_configured() -> None:
    """A provider with its credentials set is configured; the account's name comes from them."""
    whole = settings()

    assert whole.configured == list(PROVIDERS)
    assert [whole.account(name).name for name in PROVIDERS] == ["acc1", "ws1", "default"]
    assert without(*CONFIGURED).configured == []


@pytest.mark.parametrize("name", [name for name in CONFIGURED if not name.startswith("SKIPCALL")])
def test_half_set(name: str) -> None:
    """A provider with some of its credentials is an error that names what is missing, and no secret."""
    provider = name.partition("_")[0].lower()
    found = without(name)

    assert provider in found.configured
    with pytest.raises(UsageError, match=f"half configured: set {name}") as error:
        found.account(provider)
    assert SECRET not in str(error.value)


def test_blank_is_not_set() -> None:
    """An empty variable is as good as none."""
    with pytest.raises(UsageError, match="SAKARI_CLIENT_SECRET"):
        settings(SAKARI_CLIENT_SECRET="").account("sakari")
    assert "skipcall" not in settings(SKIPCALL_API_KEY="").configured


@pytest.mark.parametrize("provider", PROVIDERS)
def test_not_configured(provider: str) -> None:
    """Naming a provider that is not configured is an error that names every variable to set."""
    names = [name for name in CONFIGURED if name.startswith(provider.upper())]
    with pytest.raises(UsageError, match="is not configured") as error:
        without(*names).account(provider)

    assert all(name in str(error.value) for name in names)
    assert len(names) == REQUIRED[provider]


def test_unknown_provider() -> None:
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(UsageError, match="sakari, bird, skipcall"):
        settings().account("twilio")


def test_named_account() -> None:
    """`provider:account` is that account or an error."""
    assert settings().account("bird:ws1").name == "ws1"
    assert settings(SKIPCALL_ACCOUNT="lyon").account("skipcall:lyon").name == "lyon"
    with pytest.raises(UsageError, match="ws2"):
        settings().account("bird:ws2")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_defaults(provider: str) -> None:
    """What is not set is as the provider declares it."""
    account, declared = settings().account(provider), PROVIDERS[provider]

    assert account.base_url == declared.base_url
    assert account.requests_per_second == declared.requests_per_second
    assert account.lookback == declared.lookback
    assert account.region is None


def test_tuning() -> None:
    """Rate, look-back, region and base URL are each provider's own."""
    account = settings(
        SAKARI_REQUESTS_PER_SECOND="2.5",
        SAKARI_LOOKBACK="PT12H",
        SAKARI_DEFAULT_REGION="fr",
        SAKARI_BASE_URL="http://x",
    ).account("sakari")

    assert (account.requests_per_second, account.lookback) == (2.5, timedelta(hours=12))
    assert (account.region, account.base_url) == ("FR", "http://x")
    assert settings(SAKARI_LOOKBACK="P2D").account("bird").lookback == PROVIDERS["bird"].lookback


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("REQUESTS_PER_SECOND", value) for value in ("0", "-1", "fast", "nan", "inf")),
        *(("LOOKBACK", value) for value in ("soon", "-PT1H", "PT0S", "P")),
        *(("DEFAULT_REGION", value) for value in ("XX", "FRA", "France", "+33")),
    ],
)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_wrong_tuning(provider: str, name: str, value: str) -> None:
    """A value that makes no sense is an error that names its variable."""
    variable = f"{provider.upper()}_{name}"
    with pytest.raises(UsageError, match=variable):
        settings(**{variable: value}).account(provider)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLWEAVE_HISTORY", "ninety days"),
        ("CALLWEAVE_HISTORY", "-P1D"),
        ("CALLWEAVE_WORKERS", "0"),
        ("CALLWEAVE_WORKERS", "many"),
    ],
)
def test_wrong_general(name: str, value: str) -> None:
    """A general value that makes no sense is an error that names its variable."""
    with pytest.raises(UsageError, match=name):
        settings(**{name: value})


def test_general_defaults() -> None:
    """History is ninety days and home `.callweave` below where the command runs."""
    whole = settings()

    assert whole.general.callweave_history == timedelta(days=90)
    assert whole.home == Path.cwd() / ".callweave"
    assert whole.general.database_url is None
    assert settings(CALLWEAVE_HISTORY="P1Y").general.callweave_history >= timedelta(days=365)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_blocks_are_left_alone(provider: str) -> None:
    """Without secrets wanted, `block:NAME` is read as it stands and nothing is loaded."""
    blocks = {name: f"block:{name.lower()}" for name in CONFIGURED if name.startswith(provider.upper())}
    account = settings(**blocks).account(provider, with_secrets=False)

    assert set(account.secrets()) <= set(blocks.values())
    assert account.secrets()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_secrets_are_not_shown(provider: str) -> None:
    """No secret stands in what is printed of an account or of the settings."""
    whole = settings()
    account = whole.account(provider)

    assert SECRET in account.secrets()
    for shown in (repr(account), str(account), repr(account.credentials), repr(whole), repr(whole.general)):
        assert SECRET not in shown


def test_alert_url_is_a_secret() -> None:
    """The alert address is a secret too."""
    general = settings(CALLWEAVE_ALERT_URL=f"slack://{SECRET}").general

    assert isinstance(general.callweave_alert_url, SecretStr)
    assert SECRET not in repr(general)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("sakari", ["SAKARI_CLIENT_ID", "SAKARI_CLIENT_SECRET"]),
        ("bird", ["BIRD_ACCESS_KEY"]),
        ("skipcall", ["SKIPCALL_API_KEY"]),
    ],
)
def test_credential_variables(provider: str, expected: list[str]) -> None:
    """The variables that hold secrets are known by name."""
    assert credential_variables(PROVIDERS[provider]) == expected


def test_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` is read, and the real environment wins over it."""
    Path(".env").write_text("SKIPCALL_API_KEY=from-file\nSKIPCALL_ACCOUNT='named in file'\n# a comment\nEMPTY=\n")
    assert Settings().account("skipcall").secrets() == ["from-file"]
    assert Settings().account("skipcall").name == "named in file"

    monkeypatch.setenv("SKIPCALL_API_KEY", "from-environment")
    assert Settings().account("skipcall").secrets() == ["from-environment"]


def test_an_empty_environment_is_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings made from nothing do not look around for something."""
    monkeypatch.setenv("SKIPCALL_API_KEY", "from-environment")

    assert Settings({}).configured == []


def test_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of threads is the configured one, and a default where the configuration is wrong."""
    monkeypatch.setenv("CALLWEAVE_WORKERS", "3")
    assert workers() == 3
    monkeypatch.setenv("CALLWEAVE_WORKERS", "none")
    assert workers() >= 1


@pytest.mark.parametrize(
    ("own", "scope", "paths"),
    [
        ({}, "", ["/workspaces/ws1/channels/calls"]),
        (
            {"BIRD_CHANNEL_IDS": " c2, c1,,c2 "},
            "c1,c2",
            ["/workspaces/ws1/channels/c1/calls", "/workspaces/ws1/channels/c2/calls"],
        ),
    ],
    ids=["whole log", "channels"],
)
def test_bird_channels(own: dict[str, str], scope: str, paths: list[str]) -> None:
    """With channels named, calls are read per channel; else from the log of the workspace."""
    account = settings(**own).account("bird")
    calls = account.provider.stream(StreamName.CALLS)

    assert account.scope(calls) == scope
    assert [listing.path for listing in calls.listings(account.credentials)] == paths


def test_skipcall_workspaces() -> None:
    """Named workspaces narrow both of Skipcall's lists."""
    account = settings(SKIPCALL_WORKSPACE_IDS="w2,w1").account("skipcall")
    for stream in account.provider.streams:
        (listing,) = stream.listings(account.credentials)

        assert listing.params == {"workspaceIds": ["w1", "w2"]}
        assert account.scope(stream) == "w1,w2"


def test_ids_are_quoted() -> None:
    """An account id with a slash or a space stays one segment of the path."""
    odd: dict[str, Any] = {"SAKARI_ACCOUNT_ID": "a/../b c"}
    account = settings(**odd).account("sakari")
    calls = account.provider.stream(StreamName.CALLS)

    assert calls.listings(account.credentials)[0].path == "/v1/accounts/a%2F..%2Fb%20c/calls"
    assert calls.lookups(account.credentials, "x/y?z")[0].path.endswith("/calls/x%2Fy%3Fz")


@pytest.mark.parametrize(("text", "expected"), [("90d", 90), ("P90D", 90), ("36h", 1.5), ("2w", 14), ("PT12H", 0.5)])
def test_durations_as_people_write_them(text: str, expected: float) -> None:
    """A number with its unit and ISO 8601 are both understood."""
    assert settings(CALLWEAVE_HISTORY=text).general.callweave_history == timedelta(days=expected)


@pytest.mark.parametrize("text", ["90", "90 days", "1:30", "P90X"])
def test_a_duration_without_unit_is_refused_with_an_example(text: str) -> None:
    """The refusal names the variable and shows the right form."""
    with pytest.raises(UsageError, match=r"^CALLWEAVE_HISTORY: .* 90d, 36h or P90D\.$"):
        settings(CALLWEAVE_HISTORY=text)
