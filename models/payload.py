"""Building blocks for providers' payload types: lenient fields, vendor times, and small readers."""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from models.rows import Rejected

T = TypeVar("T")

MAX_ID_LENGTH = 1_000
MAX_INTEGER = 2**31 - 1
FIRST_YEAR = 1970


class _Lenient:
    """A value of another type than documented reads as None: one odd field never costs the record."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


Maybe = Annotated[T | None, _Lenient()]
Text = Maybe[str]
Flag = Annotated[bool | None, Field(strict=True), _Lenient()]
Number = Annotated[float | None, Field(strict=True), _Lenient()]
Time = Annotated[datetime | None, Field(strict=True), _Lenient()]
Items = Annotated[list[Maybe[T]] | None, _Lenient()]
"""A list in which an item of another type reads as None."""

Identifier = Annotated[str, Field(coerce_numbers_to_str=True)]


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Label = Annotated[str | None, BeforeValidator(_as_text), _Lenient()]
"""An id of another system, which some vendors send as a number."""


def part(value: Any) -> Any:
    """An embedded object, or an empty one where it is missing: `part(call.get("contact")).get("id")`."""
    return value or {}


def required_id(value: str) -> str:
    if not value:
        raise Rejected("the record has no id")
    if len(value) > MAX_ID_LENGTH:
        raise Rejected(f"the id is longer than {MAX_ID_LENGTH:,} characters")
    return value


def moment(value: datetime | None) -> datetime | None:
    """Aware UTC. Times before 1970 are a vendor's way of saying none; a missing zone is UTC, as vendors document."""
    if value is None:
        return None
    if value.tzinfo is UTC:
        return value if value.year >= FIRST_YEAR else None
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    try:
        utc = aware.astimezone(UTC)
    except OverflowError:
        return None
    return utc if utc.year >= FIRST_YEAR else None


def required_start(*candidates: datetime | None) -> datetime:
    """The first readable time of `candidates`."""
    for candidate in candidates:
        if found := moment(candidate):
            return found
    raise Rejected("the record has no readable start time")


def whole_seconds(value: float | None) -> int | None:
    """Seconds rounded half up; None for a value that is negative, not finite or beyond the column."""
    if value is None or not math.isfinite(value) or not 0 <= value <= MAX_INTEGER:
        return None
    return min(math.floor(value + 0.5), MAX_INTEGER)


@lru_cache(maxsize=1_000)
def word(value: str | None) -> str:
    """A vendor's status word as the tables spell it."""
    return "" if value is None else value.strip().lower().replace("_", "-").replace(" ", "-")


def person_name(first: str | None, last: str | None, *fallbacks: str | None) -> str | None:
    """First and last name, else the first fallback that says something."""
    full = f"{(first or '').strip()} {(last or '').strip()}".strip()
    return full or next((text for text in fallbacks if text), None)


@lru_cache(maxsize=1_000)
def country(value: str | None, default: str | None) -> str | None:
    """An ISO 3166 code as the phone rules take it, the account's default where there is none."""
    code = (value or "").strip().upper()
    return code if len(code) == 2 and code.isalpha() else default
