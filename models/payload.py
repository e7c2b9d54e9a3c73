"""Building blocks for providers' payload types: lenient fields, vendor times, and small readers."""

import math
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from models.errors import Rejected
from models.moments import moment

T = TypeVar("T")

MAX_ID_LENGTH, MAX_ID_BYTES = 1_000, 2_000
"""Characters, and bytes in UTF-8: a row of an index holds 2,704 bytes, the account's name among them."""
MAX_INTEGER = 2**31 - 1
MOST_DIGITS = 10**15
"""E.164 has at most fifteen."""


class _Lenient:
    """A value of another type than documented reads as None: one odd field never costs the record."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


Maybe = Annotated[T | None, _Lenient()]
Text = Maybe[str]
Flag = Annotated[bool | None, Field(strict=True), _Lenient()]
Number = Annotated[float | None, Field(strict=True), _Lenient()]
_STRICT = Field(strict=True)
Time = Annotated[Annotated[str, _STRICT] | Annotated[int, _STRICT] | Annotated[float, _STRICT] | None, _Lenient()]
"""As it stands, for `models.moments.moment` to read."""
Items = Annotated[list[Maybe[T]] | None, _Lenient()]
"""A list in which an item of another type reads as None."""


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Identifier = Annotated[str, BeforeValidator(_as_text)]
Label = Annotated[str | None, BeforeValidator(_as_text), _Lenient()]
"""An id of another system, which some vendors send as a number."""


def _as_digits(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if 0 < value < MOST_DIGITS and value % 1 == 0 else None


PhoneText = Annotated[str, BeforeValidator(_as_digits)]
"""A telephone number, which some vendors send as a JSON number."""
Phone = Annotated[str | None, BeforeValidator(_as_digits), _Lenient()]


class Reference(TypedDict, total=False):
    """Another record, embedded, of which only the id is read."""

    id: Label


def part(value: Any) -> Any:
    """An embedded object, or an empty one where it is missing: `part(call.get("contact")).get("id")`."""
    return value or {}


def distinct(numbers: Iterable[str | None]) -> list[str]:
    """Those that could be read, each once, in the provider's order."""
    return list(dict.fromkeys(number for number in numbers if number))


def required_id(value: str) -> str:
    """An id that the tables can hold. Raises `Rejected`."""
    if not value:
        raise Rejected("the record has no id")
    if len(value) > MAX_ID_LENGTH:
        raise Rejected(f"the id is longer than {MAX_ID_LENGTH:,} characters")
    if len(value) * 4 > MAX_ID_BYTES and len(value.encode()) > MAX_ID_BYTES:
        raise Rejected(f"the id is longer than {MAX_ID_BYTES:,} bytes")
    return value


def required_start(*candidates: str | float | None) -> datetime:
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
