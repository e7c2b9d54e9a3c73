"""Numbering plans, as libphonenumber has them (https://github.com/google/libphonenumber): digits → a number, or None.

Digits here are ASCII and stand for a whole international number, country code first, unless a region is given.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE as REGIONS
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, PhoneNumberType

PLAIN = re.compile(r"\+[1-9][0-9]{6,14}")
MEXICO = 52
ZEROES = "00"
SOME_NUMBER = "+12015550123"
LONGEST_EXTENSION = 5
"""Digits. More may be a second number: libphonenumber takes nine after a comma for an extension."""
DIALLED_BY_WORD = {
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
}


def possible(digits: str) -> str | None:
    """This international number as E.164 if a number can be so long.

    libphonenumber takes a trunk prefix away; where one still stands behind it, the number is none.
    """
    written = "+" + digits
    if stands_as_it_is(written):
        return written
    found = _if(phonenumbers.is_possible_number, _parse(written, None))
    return found if found in {None, written} or possible((found or "")[1:]) == found else None


def valid(digits: str) -> str | None:
    """This international number as E.164 if it is of a range that is in use."""
    written = "+" + digits
    return written if stands_as_it_is(written) and is_line(written) else _if_valid(_parse(written, None))


def national(digits: str, region: str) -> str | None:
    """The valid number that these digits are for a caller in the region."""
    return _if_valid(_parse(digits, region))


def by_word(text: str, region: str | None) -> str | None:
    """A valid number whose letters are its digits on a keypad: of a service, since only these are written so."""
    number = _parse(text, region)
    if number is None or number.extension or phonenumbers.number_type(number) not in DIALLED_BY_WORD:
        return None
    return _if_valid(number)


def is_extension(after: str) -> bool:
    """Whether this follows a number as an extension does, in one of the ways that libphonenumber knows."""
    number = _parse(SOME_NUMBER + after, None)
    extension = (number and number.extension) or ""
    return number is not None and 0 < len(extension) <= LONGEST_EXTENSION and _format(number) == SOME_NUMBER


def ways_out(piece: str, digits: str, region: str | None) -> list[str]:
    """What follows the prefix for calls abroad: first that of the record's own country, then `00`.

    A prefix that is written apart from the rest goes before one that is not.
    """
    own = _way_out(region).match(digits)
    ends = [own.end()] if own else []
    if digits.startswith("00") and ends != [2]:
        ends = sorted([*ends, 2], key=lambda end: not _is_apart(piece, end))
    return [digits[end:] for end in ends if not digits.startswith("0", end)]


def _is_apart(piece: str, length: int) -> bool:
    """Whether the first `length` digits stand together, and apart from the rest."""
    return re.match(rf"\D*\d{{{length}}}\D", piece) is not None


@cache
def _way_out(region: str | None) -> re.Pattern[str]:
    metadata = PhoneMetadata.metadata_for_region(region, None) if region else None
    return re.compile((metadata and metadata.international_prefix) or ZEROES)


@cache
def leaves_by_zeroes(region: str | None) -> bool:
    """Whether `00` is the only prefix for calls abroad there."""
    return _way_out(region).pattern == ZEROES


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


@cache
def country_code(region: str) -> str:
    return str(phonenumbers.country_code_for_region(region))


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _if(accepted: Callable[[PhoneNumber], bool], number: PhoneNumber | None) -> str | None:
    return _format(number) if number and _is(accepted, number) else None


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
