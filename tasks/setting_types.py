"""The types of settings: how people write a value, and the sentence that refuses it."""

import re
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter


def _region(value: str) -> str:
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value} is no ISO 3166 country code such as US or FR")
    return value.upper()


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("the duration must be positive")
    return value


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_ISO = TypeAdapter(timedelta)


def _duration(value: Any) -> Any:
    """`90d`, `36h` and the like, beside ISO 8601 (`P90D`)."""
    if not isinstance(value, str):
        return value
    if short := _SHORT.fullmatch(value):
        return timedelta(**{_UNITS[short[2]]: float(short[1])})
    with suppress(ValueError):
        if value.lstrip("+-")[:1].upper() == "P":
            return _ISO.validate_python(value)
    raise ValueError(f"{value!r} is no duration: write a number with its unit, 90d, 36h or P90D")


def pair(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


Region = Annotated[str, AfterValidator(_region)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
