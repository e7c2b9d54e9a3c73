"""Configuration: the environment and `.env` → accounts and values, or one clear sentence on what is wrong."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

import phonenumbers
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    SecretStr,
    ValidationError,
)

from models.errors import UsageError
from models.provider import Provider, Stream
from models.vocabulary import StreamName
from tasks.providers import PROVIDERS

M = TypeVar("M", bound=BaseModel)

BLOCK = "block:"


def _region(value: str) -> str:
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value} is no ISO 3166 country code such as US or FR")
    return value.upper()


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("the duration must be positive")
    return value


def _pair(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Duration = Annotated[timedelta, AfterValidator(_positive)]


class _Tuning(BaseModel):
    """What may be set for each provider, whatever it is."""

    model_config = ConfigDict(extra="ignore")

    base_url: str | None = None
    requests_per_second: Rate | None = None
    lookback: Duration | None = None
    default_region: Annotated[str, AfterValidator(_region)] | None = None


WORKERS = 3
"""Threads of a flow. They fill the providers' budgets; a fourth only contends with them for the interpreter."""


class _General(BaseModel):
    model_config = ConfigDict(extra="ignore")

    database_url: str | None = None
    prefect_api_url: str | None = None
    callweave_history: Duration = timedelta(days=90)
    callweave_home: Path = Path(".callweave")
    callweave_workers: Annotated[int, Field(ge=1, le=64)] = WORKERS
    callweave_alert_url: SecretStr | None = None
    callweave_heartbeat_url: SecretStr | None = None
    callweave_delete_brake: Annotated[tuple[NonNegativeInt, Share], BeforeValidator(_pair)] = (100, 0.02)


@dataclass(frozen=True)
class Account:
    """One account at one provider, ready to be synced."""

    provider: Provider
    credentials: Any
    base_url: str
    requests_per_second: float
    lookback: timedelta
    region: str | None

    @cached_property
    def name(self) -> str:
        return self.provider.account(self.credentials)

    @property
    def key(self) -> dict[str, str]:
        return {"provider": self.provider.name, "account": self.name}

    def scope(self, stream: Stream) -> str:
        """The channels or workspaces this account is narrowed to, '' for everything."""
        return ",".join(sorted(listing.scope for listing in stream.listings(self.credentials)))

    def secrets(self) -> list[str]:
        values = (getattr(self.credentials, name) for name in type(self.credentials).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    def streams(self, names: Iterable[StreamName]) -> list[Stream]:
        return [self.provider.stream(name) for name in names]


class Settings:
    """All of the configuration. Reading a part that is wrong raises `UsageError` naming the variable."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self._environ = {
            name: text for name, text in (environment() if environ is None else environ).items() if text != ""
        }
        values = {name.lower(): text for name, text in self._environ.items()}
        self.general = _validated(_General, values, "")

    @property
    def home(self) -> Path:
        return self.general.callweave_home.expanduser().resolve()

    @property
    def uses_blocks(self) -> bool:
        """Whether a value stands in a Prefect Secret block, so that a Prefect server is needed to read it."""
        return any(text.startswith(BLOCK) for text in self._environ.values())

    @property
    def alert_url(self) -> str | None:
        """An Apprise URL; a Prefect block is loaded. Raises `UsageError` where there is no such block."""
        return self._secret("CALLWEAVE_ALERT_URL", self.general.callweave_alert_url)

    @property
    def heartbeat_url(self) -> str | None:
        return self._secret("CALLWEAVE_HEARTBEAT_URL", self.general.callweave_heartbeat_url)

    def _secret(self, variable: str, value: SecretStr | None) -> str | None:
        return None if value is None else _block(variable, value.get_secret_value())

    @property
    def configured(self) -> list[str]:
        """Names of the providers of which at least one credential is set."""
        return [name for name, provider in PROVIDERS.items() if self._given(provider)]

    def account(self, name: str, *, with_secrets: bool = True) -> Account:
        """The account of provider `name` (or `provider:account`); secrets in Prefect blocks are loaded if wanted."""
        provider_name, _, wanted = name.partition(":")
        if (provider := PROVIDERS.get(provider_name)) is None:
            raise UsageError(f"There is no provider {provider_name!r}; known are {', '.join(PROVIDERS)}.")
        account = self._account(provider, with_secrets=with_secrets)
        if wanted and wanted != account.name:
            raise UsageError(f"{provider.title}'s configured account is {account.name!r}, not {wanted!r}.")
        return account

    def _account(self, provider: Provider, *, with_secrets: bool) -> Account:
        values = self._values(provider)
        required = _required(provider)
        if missing := [name for name in required if name not in values]:
            names = " and ".join(_variable(provider, field) for field in missing)
            state = "is half configured" if self._given(provider) else "is not configured"
            raise UsageError(f"{provider.title} {state}: set {names}.")
        given = _with_blocks(provider, values) if with_secrets else values
        credentials = _validated(provider.credentials, given, f"{provider.name}_")
        tuning = _validated(_Tuning, values, f"{provider.name}_")
        return Account(
            provider=provider,
            credentials=credentials,
            base_url=tuning.base_url or provider.base_url,
            requests_per_second=tuning.requests_per_second or provider.requests_per_second,
            lookback=tuning.lookback or provider.lookback,
            region=tuning.default_region,
        )

    def _values(self, provider: Provider) -> dict[str, str]:
        prefix = f"{provider.name.upper()}_"
        return {key.removeprefix(prefix).lower(): text for key, text in self._environ.items() if key.startswith(prefix)}

    def _given(self, provider: Provider) -> bool:
        return any(name in self._values(provider) for name in _required(provider))


def environment() -> dict[str, str]:
    """`.env` under the real environment."""
    return {name: text for name, text in dotenv_values(".env").items() if text is not None} | dict(os.environ)


def workers() -> int:
    """Threads per flow, as far as it can be told before the configuration is checked."""
    try:
        return Settings().general.callweave_workers
    except UsageError:
        return WORKERS


def credential_variables(provider: Provider) -> list[str]:
    """The environment variables that hold secrets."""
    fields = provider.credentials.model_fields.items()
    return [_variable(provider, name) for name, field in fields if field.annotation is SecretStr]


def _required(provider: Provider) -> list[str]:
    return [name for name, field in provider.credentials.model_fields.items() if field.is_required()]


def _variable(provider: Provider, field: str) -> str:
    return f"{provider.name}_{field}".upper()


def _validated(model: type[M], values: dict[str, str], prefix: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UsageError(f"{prefix.upper()}{str(first['loc'][0]).upper()}: {first['msg']}.") from None


def _with_blocks(provider: Provider, values: dict[str, str]) -> dict[str, str]:
    return {name: _block(_variable(provider, name), text) for name, text in values.items()}


def _block(variable: str, text: str) -> str:
    """The value of a Prefect Secret block, where `text` names one."""
    if not text.startswith(BLOCK):
        return text
    from prefect.blocks.system import Secret  # noqa: PLC0415 - a second of import, only where a block is named

    name = text.removeprefix(BLOCK)
    try:
        block = Secret.load(name, _sync=True)  # type: ignore[call-arg]  # added by a decorator
        assert isinstance(block, Secret)
        return str(block.get())
    except ValueError:
        raise UsageError(f"{variable} names the Prefect Secret block {name!r}, and there is none: create it.") from None
