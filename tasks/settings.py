"""Configuration: the environment and `.env` → accounts and values, or one clear sentence on what is wrong."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
)

from models.errors import UsageError
from models.provider import Provider, Stream, separated
from models.vocabulary import StreamName
from tasks.client.limits import Limits
from tasks.providers import PROVIDERS
from tasks.setting_types import Duration, Rate, Region, Share, pair

M = TypeVar("M", bound=BaseModel)

BLOCK = "block:"


class Tuning(BaseModel):
    """What may be set for each provider, whatever it is."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    base_url: str | None = None
    """Where the provider's API is asked."""
    requests_per_second: Rate | None = None
    """The most that is asked of it; the provider's own limit by default."""
    lookback: Duration | None = None
    """How long after its start a call may still change: calls younger than this are read again."""
    default_region: Region | None = None
    """The country, as ISO 3166 code, of numbers written nationally without one."""


JOIN = {"careful": 0.95, "balanced": 0.75}
WORKERS = 3
"""Threads of a flow. They fill the providers' budgets; a fourth only contends with them for the interpreter."""


MINIMUM_BYTES = 100_000
"""A limit below the size of an ordinary page would stop everything."""


class General(BaseModel):
    """What is set once for an installation."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    database_url: str | None = None
    """Postgres 15 or newer, as libpq writes it; unset: the embedded one."""
    prefect_api_url: str | None = None
    """A Prefect server or Cloud; unset: one of our own on the embedded Postgres."""
    callweave_history: Duration = timedelta(days=90)
    """How far back the first sync of calls reads."""
    callweave_home: Path = Path(".callweave")
    """Where the embedded Postgres and Prefect server are kept."""
    callweave_workers: Annotated[int, Field(ge=1, le=64)] = WORKERS
    """Threads of a flow."""
    callweave_alert_url: SecretStr | None = None
    """An Apprise URL: who hears when something goes wrong, and when it is over."""
    callweave_heartbeat_url: SecretStr | None = None
    """Asked every five minutes while all works: a dead-man's switch."""
    callweave_max_answer_bytes: Annotated[int, Field(ge=MINIMUM_BYTES)] = Limits().answer_bytes
    """Bytes of one answer of a provider, unpacked."""
    callweave_max_answer_time: Duration = timedelta(seconds=Limits().answer_seconds)
    """The whole of one answer, from the request to its last byte."""
    callweave_max_pause: Duration = timedelta(seconds=Limits().pause_seconds)
    """The longest pause that a run waits where a provider asks for one; a longer one postpones the run."""
    callweave_max_scan_requests: PositiveInt = Limits().scan_requests
    """Requests of one reading of a list that cannot be bounded by time."""
    callweave_max_details_requests: PositiveInt = Limits().details_requests
    """Requests of the second list of one record, such as the identifiers of a contact."""
    callweave_change_retention: Duration = timedelta(days=30)
    """How long `v1.change` keeps changes."""
    callweave_keep_history: Literal["0", "1"] = "0"
    """With `1`, what each record of a call said before is kept in `v1.call_history`."""
    callweave_log: Literal["text", "json"] = "text"
    """How logs are written on stderr: for people, or one JSON object a line."""
    callweave_match: Literal["careful", "balanced"] = "careful"
    """How sure two records must be one call to be joined: from .95 (careful) or from .75 (balanced)."""
    callweave_delete_brake: Annotated[tuple[NonNegativeInt, Share], BeforeValidator(pair)] = (100, 0.02)
    """The most records, and the largest share of a stream, that a run marks as deleted unless it is allowed to."""


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

    def variables_of(self, path: str) -> list[str]:
        """The environment variables whose values are a part of an address."""
        parts, given = set(unquote(path).split("/")), self.credentials.model_dump()
        return [variable(self.provider, name) for name, value in given.items() if parts & _named(value)]

    def streams(self, names: Iterable[StreamName]) -> list[Stream]:
        return [self.provider.stream(name) for name in names]


class Settings:
    """All of the configuration. Reading a part that is wrong raises `UsageError` naming the variable."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        given = environment() if environ is None else environ
        # A line break at the end comes with every key that a file holds.
        self._environ = {name: text.strip() for name, text in given.items() if text.strip()}
        values = {name.lower(): text for name, text in self._environ.items()}
        self.general = _validated(General, values, "")

    @property
    def home(self) -> Path:
        return self.general.callweave_home.expanduser().resolve()

    @property
    def limits(self) -> Limits:
        """What one provider may cost."""
        return Limits(
            answer_bytes=self.general.callweave_max_answer_bytes,
            answer_seconds=self.general.callweave_max_answer_time.total_seconds(),
            pause_seconds=self.general.callweave_max_pause.total_seconds(),
            scan_requests=self.general.callweave_max_scan_requests,
            details_requests=self.general.callweave_max_details_requests,
        )

    @property
    def join(self) -> float:
        """The probability from which records are held to be one call."""
        return JOIN[self.general.callweave_match]

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
            names = " and ".join(variable(provider, field) for field in missing)
            state = "is half configured" if self._given(provider) else "is not configured"
            raise UsageError(f"{provider.title} {state}: set {names}.")
        given = _with_blocks(provider, values) if with_secrets else values
        for name in required:
            _refuse_odd(variable(provider, name), given[name])
        credentials = _validated(provider.credentials, given, f"{provider.name}_")
        tuning = _validated(Tuning, values, f"{provider.name}_")
        return Account(
            provider=provider,
            credentials=credentials,
            base_url=tuning.base_url or provider.base_url,
            requests_per_second=tuning.requests_per_second or provider.requests_per_second,
            lookback=tuning.lookback or provider.lookback,
            region=tuning.default_region,
        )

    def given(self, variable: str) -> str | None:
        """The text that a variable was set to."""
        return self._environ.get(variable)

    def _values(self, provider: Provider) -> dict[str, str]:
        prefix = f"{provider.name.upper()}_"
        return {key.removeprefix(prefix).lower(): text for key, text in self._environ.items() if key.startswith(prefix)}

    def _given(self, provider: Provider) -> bool:
        return any(name in self._values(provider) for name in _required(provider))


def environment() -> dict[str, str]:
    """`.env` under the real environment."""
    return {name: text for name, text in dotenv_values(".env").items() if text is not None} | dict(os.environ)


def workers() -> int:
    """Threads per flow, the default where the configuration is wrong, which is reported later."""
    try:
        return Settings().general.callweave_workers
    except UsageError:
        return WORKERS


def credential_variables(provider: Provider) -> list[str]:
    """The environment variables that hold secrets."""
    fields = provider.credentials.model_fields.items()
    return [variable(provider, name) for name, field in fields if field.annotation is SecretStr]


def _required(provider: Provider) -> list[str]:
    return [name for name, field in provider.credentials.model_fields.items() if field.is_required()]


def variable(provider: Provider, field: str) -> str:
    return f"{provider.name}_{field}".upper()


def _named(value: object) -> set[str]:
    return set(separated(value)) if isinstance(value, str) else set()


def _validated(model: type[M], values: dict[str, str], prefix: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        words = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{prefix.upper()}{str(first['loc'][0]).upper()}: {words}.") from None


def _refuse_odd(variable: str, text: str) -> None:
    """Credentials travel in addresses and headers: a line break there, or a typographic quote, cannot be sent."""
    if not text.isascii() or not text.isprintable():
        raise UsageError(
            f"{variable} holds a line break, or a character that no key has: copy it again, alone and in one line."
        )


def _with_blocks(provider: Provider, values: dict[str, str]) -> dict[str, str]:
    return {name: _block(variable(provider, name), text) for name, text in values.items()}


def _block(variable: str, text: str) -> str:
    """The value of a Prefect Secret block, where `text` names one."""
    if not text.startswith(BLOCK):
        return text
    from prefect.blocks.system import Secret  # noqa: PLC0415 - a second of import, only where a block is named

    name = text.removeprefix(BLOCK)
    try:
        block = Secret.load(name, _sync=True)  # type: ignore[call-arg]  # added by a decorator
        assert isinstance(block, Secret)
        return str(block.get()).strip()
    except ValueError:
        raise UsageError(f"{variable} names the Prefect Secret block {name!r}, and there is none: create it.") from None
