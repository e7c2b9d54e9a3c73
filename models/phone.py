"""Telephone identity: the text a provider wrote → E.164, or null.

Rules by https://github.com/google/libphonenumber (validity and possibility) and the withheld-number codes that
carriers spell on a telephone keypad.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE as REGIONS
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

HIDDEN_WORDS = frozenset(
    {"anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld", "hidden", "no caller id"}
)
HIDDEN_NUMBERS = frozenset({"266696687", "7378742833", "2562533", "8656696", "86282452253"})
"""anonymous, restricted, blocked, unknown, unavailable, as typed on a keypad."""

ADDRESS = re.compile(r"\s*(sips?|client|webrtc)\s*:", re.IGNORECASE)
PLAIN = re.compile(r"\+[1-9][0-9]{6,14}")
PUNCTUATION = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]+")
TWO_WAYS = (
    (re.compile(r"\+521?(\d{10})"), "+52{}", "+521{}"),
    (re.compile(r"\+549?(\d{10})"), "+54{}", "+549{}"),
    (re.compile(r"\+55(\d\d)9?([6-9]\d{7})"), "+55{}{}", "+55{}9{}"),
)
"""Lines that are written with and without Mexico's 1, Argentina's 9, Brazil's ninth digit. Not those of Brazil that
would be a fixed line's without it: these begin with 2 to 5."""
MEXICO = 52


def is_hidden(raw: str) -> bool:
    """Whether the caller withheld the number, whatever digits stand in its place."""
    bare = PUNCTUATION.sub("", raw).lower()
    return (
        raw.strip().lower() in HIDDEN_WORDS
        or bare in HIDDEN_WORDS
        or bare.lstrip("+").removeprefix("00") in HIDDEN_NUMBERS
    )


@lru_cache(maxsize=200_000)
def e164(raw: str | None, region: str | None = None, *, assume_international: bool = False) -> str | None:
    """`raw` as E.164, or None where it is no telephone number, hidden or not to be trusted.

    Args:
        raw: the number as the provider wrote it.
        region: ISO 3166 code of the record's own country, for numbers written nationally.
        assume_international: digits without a plus are a whole international number at this provider.
    """
    raw = (raw or "").strip().removeprefix("tel:")
    written = _international(raw)
    if written and stands_as_it_is(written) and written[1:] not in HIDDEN_NUMBERS:
        return written
    if not raw or is_hidden(raw) or ADDRESS.match(raw):
        return None
    if written:
        return _if_possible(_parse(written, None))
    if _is_bare(raw) and (found := _bare(PUNCTUATION.sub("", raw), region, assume_international)):
        return found
    return _if_valid(_parse(raw, region)) if region else None


def _international(raw: str) -> str | None:
    """The number with a plus where it was written internationally (`+`, `00`)."""
    text = raw.strip()
    if text.startswith(("+", "\uff0b")):
        return text
    return "+" + text[2:] if text.startswith("00") else None


def stands_as_it_is(written: str) -> bool:
    """Whether libphonenumber would take these digits unchanged and call them possible: a tenth of the work of asking.

    It would change what begins with the country's own trunk prefix.
    """
    if not PLAIN.fullmatch(written):
        return False
    code, national = _split(written)
    plan = _plan(code)
    return len(national) in plan.lengths and not (plan.trunk and plan.trunk.match(national))


def _split(written: str) -> tuple[int, str]:
    """Country code, 0 where there is none such, and the rest."""
    for end in (2, 3, 4):
        if (code := int(written[1:end])) in REGIONS:
            return code, written[end:]
    return 0, written[1:]


class Plan(NamedTuple):
    """How the numbers of a country are made, as far as it answers at once what libphonenumber is asked most."""

    lengths: frozenset[int] = frozenset()
    """The possible ones."""
    trunk: re.Pattern[str] | None = None
    """What they do not begin with."""
    lines: tuple[re.Pattern[str], ...] = ()
    """Fixed lines and mobiles of the country that gives its code to a plan."""


@cache
def _plan(code: int) -> Plan:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, REGIONS[code][0]) if code else None
    if metadata is None or metadata.general_desc is None:
        return Plan()
    trunk = metadata.national_prefix_for_parsing
    kinds = [] if metadata.leading_digits else [metadata.mobile, metadata.fixed_line]
    patterns = [kind.national_number_pattern for kind in kinds if kind]
    return Plan(
        frozenset(metadata.general_desc.possible_length),
        re.compile(trunk) if trunk else None,
        tuple(map(re.compile, filter(None, patterns))),
    )


def is_line(written: str) -> bool:
    """Whether this E.164 number is a fixed line or a mobile, which is the least that makes it valid."""
    code, national = _split(written)
    plan = _plan(code)
    return len(national) in plan.lengths and any(pattern.fullmatch(national) for pattern in plan.lines)


def _is_bare(raw: str) -> bool:
    return raw.strip().isascii() and PUNCTUATION.sub("", raw).isdigit()


def _bare(digits: str, region: str | None, assume_international: bool) -> str | None:
    """Digits without a plus: first as an international number, of the record's own country unless told otherwise."""
    if not assume_international and not (region and digits.startswith(_country_code(region))):
        return None
    written = "+" + digits
    return written if stands_as_it_is(written) and is_line(written) else _if_valid(_parse(written, None))


@cache
def _country_code(region: str) -> str:
    return str(phonenumbers.country_code_for_region(region))


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _if_possible(number: PhoneNumber | None) -> str | None:
    return _format(number) if number and _is(phonenumbers.is_possible_number, number) else None


def _if_valid(number: PhoneNumber | None) -> str | None:
    written = _format(number) if number else None
    return written if number and written and (is_line(written) or _is(phonenumbers.is_valid_number, number)) else None


def _is(accepted: Callable[[PhoneNumber], bool], number: PhoneNumber) -> bool:
    """Whether libphonenumber accepts it, or its newer spelling: it has forgotten Mexico's 1, senders have not."""
    return accepted(number) or (number.country_code == MEXICO and accepted(_without_one(number)))


def _without_one(number: PhoneNumber) -> PhoneNumber:
    digits = str(number.national_number)
    newer = digits[1:] if len(digits) == 11 and digits[0] == "1" else ""
    return PhoneNumber(country_code=MEXICO, national_number=int(newer or 0))


def _format(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def spellings(number: str) -> tuple[str, ...]:
    """Every way that the line of this E.164 number is written, the same whichever of them is given."""
    for pattern, *forms in TWO_WAYS if number.startswith("+5") else ():
        if found := pattern.fullmatch(number):
            return tuple(form.format(*found.groups()) for form in forms)
    return (number,)


def line_of(number: str) -> str:
    """One of the ways to write this line, the same for all of them."""
    return spellings(number)[0]
