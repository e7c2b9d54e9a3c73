"""Telephone identity: the text a provider wrote → E.164, or null.

Rules by https://github.com/google/libphonenumber (validity and possibility) and the withheld-number codes that
carriers spell on a telephone keypad. Letters are never taken for digits, save in a vanity number.
"""

import re
import string
from collections.abc import Callable
from functools import lru_cache

from models.identity.phone_plan import (
    by_word,
    country_code,
    is_extension,
    leaves_by_zeroes,
    national,
    possible,
    stands_as_it_is,
    valid,
    ways_out,
)
from models.identity.phone_text import ADDRESS, Cut, cut, digits_of, is_vanity, named, readable, without_scheme

HIDDEN_WORDS = frozenset(
    {"anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld", "hidden", "no caller id"}
)
HIDDEN_NUMBERS = frozenset({"266696687", "7378742833", "2562533", "8656696", "86282452253"})
"""anonymous, restricted, blocked, unknown, unavailable, as typed on a keypad."""

ORDINARY = re.compile(r"\+?[0-9 .\-]*(?:\([0-9 ]+\)[0-9 .\-]*)?[0-9]")
"""Digits, their usual punctuation and a pair of brackets that is not at the end: nothing else is in the text."""
PUNCTUATION = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]+")
LONGEST = 250
"""Characters, as for libphonenumber: a longer text is no number with something around it."""
TWO_WAYS = (
    (re.compile(r"\+521?(\d{10})"), "+52{}", "+521{}"),
    (re.compile(r"\+549?(\d{10})"), "+54{}", "+549{}"),
    (re.compile(r"\+55(\d\d)9?([6-9]\d{7})"), "+55{}{}", "+55{}9{}"),
)
"""Lines that are written with and without Mexico's 1, Argentina's 9, Brazil's ninth digit. Not those of Brazil that
would be a fixed line's without it: these begin with 2 to 5."""
WORD_SIGNS = string.ascii_uppercase + " .-"


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
    if not raw or len(raw) > LONGEST:
        return None
    written = "+" + raw[2:] if raw.startswith("00") and leaves_by_zeroes(region) else raw
    if stands_as_it_is(written):
        return None if written[1:] in HIDDEN_NUMBERS else written
    if (raw.isdigit() and raw.isascii()) or ORDINARY.fullmatch(raw):
        return _dialled(raw, region, assume_international=assume_international)
    return _in_text(readable(raw), region, assume_international=assume_international)


def _in_text(text: str, region: str | None, *, assume_international: bool) -> str | None:
    """The number in a text with words, schemes, quotes or odd characters around it."""
    if ADDRESS.search(text) or is_hidden(text):
        return None
    if whose := named(text):
        name, number = whose
        found = e164(number, region, assume_international=assume_international)
        other = e164(name, region, assume_international=assume_international)
        return None if is_hidden(name) or other not in {None, found} else found
    text = without_scheme(text)
    if is_vanity(text) and (found := _vanity(text, region)):
        return found
    found_piece = cut(text)
    if found_piece is None or not _stands_alone(found_piece, region):
        return None
    return _dialled(found_piece.piece, region, assume_international=assume_international)


def _stands_alone(one: Cut, region: str | None) -> bool:
    """Whether the digits are one whole number, with words at most around it, or its extension after it."""
    if _is_list(one.piece, region):
        return False
    return one.is_alone or (one._replace(after="").is_alone and is_extension(one.after))


def _is_list(piece: str, region: str | None) -> bool:
    """Whether a number is complete before a slash, as in `030 901820/21`."""
    heads = (piece[:end] for end, sign in enumerate(piece) if sign == "/")
    found = (_dialled(head, region, assume_international=False) for head in heads)
    return any(number and valid(number[1:]) for number in found)


def _vanity(text: str, region: str | None) -> str | None:
    """The number of a text that may be a vanity number, unless its digits are a number without the word."""
    if any(word.lower() in HIDDEN_WORDS for word in text.split()):
        return None
    bare = _dialled(text.rstrip(WORD_SIGNS), region, assume_international=False)
    return None if bare and valid(bare[1:]) else by_word(text, region)


def _dialled(piece: str, region: str | None, *, assume_international: bool) -> str | None:
    """The number of digits and punctuation: internationally, as a whole one of its own country, or nationally."""
    digits = digits_of(piece)
    if digits.removeprefix("00") in HIDDEN_NUMBERS:
        return None
    if "+" in piece:
        ways = ways_out(piece, digits, region) if digits.startswith("0") else [digits]
        return _first(valid, ways) or _first(possible, ways) if len(ways) > 1 else _first(possible, ways)
    return _without_plus(piece, digits, region, assume_international=assume_international)


def _without_plus(piece: str, digits: str, region: str | None, *, assume_international: bool) -> str | None:
    if assume_international and not digits.startswith("0") and (found := valid(digits)):
        return found
    ways = ways_out(piece, digits, region)
    if digits.startswith("00") and len(ways) == 1:  # no national number begins so
        return _first(possible, ways)
    if found := _first(valid, ways):
        return found
    if region and digits.startswith(country_code(region)) and (found := valid(digits)):
        return found
    return (region and national(digits, region)) or _first(possible, ways)


def _first(reading: Callable[[str], str | None], ways: list[str]) -> str | None:
    """The first of these international numbers that is one and is not a hidden word."""
    for digits in ways:
        if digits not in HIDDEN_NUMBERS and (found := reading(digits)):
            return found
    return None


def spellings(number: str) -> tuple[str, ...]:
    """Every way that the line of this E.164 number is written, the same whichever of them is given."""
    for pattern, *forms in TWO_WAYS if number.startswith("+5") else ():
        if found := pattern.fullmatch(number):
            return tuple(form.format(*found.groups()) for form in forms)
    return (number,)


def line_of(number: str) -> str:
    """One of the ways to write this line, the same for all of them."""
    return spellings(number)[0]
