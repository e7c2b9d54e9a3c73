"""Every setting with what it is, made from the models that read them: for `callweave settings` and docs/settings.md."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from models.provider import Provider
from tasks.client.redaction import outward
from tasks.providers import PROVIDERS
from tasks.settings import BLOCK, General, Tuning, variable

_ISO = TypeAdapter(timedelta)


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment."""

    variable: str
    default: str
    is_secret: bool
    is_needed: bool
    """Where its provider is to be read at all."""
    what: str


def settings() -> Iterator[Setting]:
    for name, field in General.model_fields.items():
        yield _setting(name.upper(), field, field.default, is_needed=False)
    for provider in PROVIDERS.values():
        yield from _of(provider)


def _of(provider: Provider) -> Iterator[Setting]:
    model: type[BaseModel] = provider.credentials
    for name, field in model.model_fields.items():
        yield _setting(variable(provider, name), field, field.default, is_needed=field.is_required())
    usual = {
        "base_url": provider.base_url,
        "requests_per_second": provider.requests_per_second,
        "lookback": provider.lookback,
    }
    for name, field in Tuning.model_fields.items():
        yield _setting(variable(provider, name), field, usual.get(name), is_needed=False)


def _setting(name: str, field: FieldInfo, default: Any, *, is_needed: bool) -> Setting:
    is_secret = SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    shown = "" if is_needed or default is None else written(default)
    return Setting(name, shown, is_secret, is_needed, field.description or "")


def written(value: Any) -> str:
    """A value as people set it."""
    if isinstance(value, timedelta):
        return str(_ISO.dump_python(value, mode="json"))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class InForce:
    """A setting as it is at work."""

    variable: str
    value: str
    """As it may be shown: `***` for a secret."""
    source: str
    """environment, .env or default."""


def in_force() -> list[InForce]:
    """Each setting that has a value, as a command would find it now."""
    file = {name: text for name, text in dotenv_values(".env").items() if text}
    return [_in_force(one, file) for one in settings() if one.default or one.variable in file | dict(os.environ)]


def _in_force(one: Setting, file: dict[str, str]) -> InForce:
    for source, texts in (("environment", dict(os.environ)), (".env", file)):
        # A variable of the environment that is set to nothing hides the one of the file.
        if one.variable in texts:
            text = texts[one.variable].strip()
            return InForce(
                one.variable, _shown(one, text) if text else one.default or "-", source if text else "default"
            )
    return InForce(one.variable, one.default, "default")


def _shown(one: Setting, text: str) -> str:
    if text.startswith(BLOCK):
        return text
    return "***" if one.is_secret else outward(text)
