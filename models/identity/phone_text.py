"""The telephone number that stands in a text, without what stands around it. Pure; knows no country's rules.

Characters are sorted by Unicode's general categories (https://www.unicode.org/reports/tr44/#General_Category_Values),
not by lists: format characters and marks vanish, every blank is a blank, every dash a hyphen, every digit a digit.
"""

import re
from functools import cache
from typing import NamedTuple
from unicodedata import category, decimal, normalize

ADDRESS = re.compile(r"\b(sips?|client|webrtc|h323|xmpp|mailto|https?)\s*:", re.IGNORECASE)
"""Schemes of what is no telephone number, whatever digits it holds."""
SCHEME = re.compile(r"(?:tel|fax|callto|sms|smsto|mms|whatsapp|viber|facetime)\s*:/*([^?]*)(?:\?.*)?", re.IGNORECASE)
"""Schemes of telephone numbers. A query, such as the text of a message, is no part of the number."""
NAMED = re.compile(r"([^<>]*)<([^<>]+)>")
"""A caller's name and number: https://www.rfc-editor.org/rfc/rfc3261#section-20.10."""
PIECE = re.compile(r"(?:[+(\[][+(\[ ]*)?[0-9](?:[ ().\-/\[\]~]*[0-9])*")
"""Digits that belong together: a line break, a comma or a word parts two numbers."""
UNKNOWN_DIGITS = re.compile(r"[*#_@=?%&$|^\\\ufffd\u2022\u2580-\u25ff]|\.\.|(?<![a-z])x{2,}(?![a-z])", re.IGNORECASE)
"""What may stand for digits that were left out (`+49 151 XXX`, `**`, `...`), or makes the text an address or a code."""
JOINED = re.compile(r"[-_/]")
VANITY = re.compile(r"\+?[0-9][0-9(). \-]*[A-Z]+(?:[ .\-][A-Z]+)*(?:[ .\-][0-9]+)?")
"""Digits, then words in capitals, and nothing else."""
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Blanks that Unicode counts as letters or symbols."""
POINTS = "\u00b7\u2219\u30fb\u2027"
QUOTES = "`\u00b4"
NO_PUNCTUATION = str.maketrans("", "", "+ ().-/[]~")


class Cut(NamedTuple):
    """A text around its first digits, each part as `readable` spells it."""

    before: str
    piece: str
    """From the plus or the first digit to the last digit before a word."""
    after: str

    @property
    def has_plus(self) -> bool:
        return "+" in self.piece

    @property
    def digits(self) -> str:
        return digits_of(self.piece)

    @property
    def is_alone(self) -> bool:
        """Whether nothing around the digits denies that they are a number."""
        around = f"{self.before}\n{self.after}"
        return not (
            UNKNOWN_DIGITS.search(around)
            or any(sign.isdigit() or sign == "+" for sign in around)
            or (not self.has_plus and _is_glued(self.before[::-1]))
            or _is_glued(self.after)
            or self.piece.rfind("(") > max(self.piece.rfind(")"), 1)
        )


def _is_glued(rest: str) -> bool:
    """Whether the text goes on with a letter, as in `vms460` and `RG-600`. Scripts without case put no blank there."""
    found = JOINED.sub("", rest[:1]) or rest[1:2]
    return found.lower() != found.upper()


def digits_of(text: str) -> str:
    """The digits of a piece."""
    return text if text.isdigit() else text.translate(NO_PUNCTUATION)


def readable(raw: str) -> str:
    """The text in plain characters: see the module. Marks of unknown meaning are U+FFFD."""
    text = raw if raw.isascii() and raw.isprintable() else "".join(map(_plain, raw))
    return text.strip()


@cache
def _plain(sign: str) -> str:
    kind = category(sign)
    if kind == "Nd":
        return str(decimal(sign))
    if sign in "\n\r\v\f\x85" or kind in {"Zl", "Zp"}:
        return "\n"
    if kind == "Zs" or sign == "\t" or sign in FILLERS:
        return " "
    if kind in {"Cc", "Cf", "Mn", "Mc", "Me"}:
        return ""
    return _symbol(sign, kind)


def _symbol(sign: str, kind: str) -> str:
    if kind == "Pd" or sign == "\u2212":
        return "-"
    if kind in {"Pi", "Pf"} or sign in QUOTES:
        return '"'
    if sign in POINTS:
        return "."
    if kind in {"No", "Nl", "Cn", "Co", "Cs"}:
        return "\ufffd"
    plain = normalize("NFKC", sign)
    return plain if len(plain) == 1 else sign


def cut(text: str) -> Cut | None:
    """The first digits of a readable text; None where there are none, or where they are cut off from a second plus."""
    found = PIECE.search(text)
    return Cut(text[: found.start()], found[0], text[found.end() :]) if found else None


def without_scheme(text: str) -> str:
    found = SCHEME.fullmatch(text)
    return found[1] if found else text


def named(text: str) -> tuple[str, str] | None:
    """What stands before `<…>`, and in it."""
    found = NAMED.fullmatch(text)
    return (found[1].strip(" \"'"), found[2]) if found else None


def is_vanity(text: str) -> bool:
    """Whether the whole text has the form of digits and a word to be dialled, as `1-800-FLOWERS`."""
    return sum(map(str.isalpha, text)) > 2 and VANITY.fullmatch(text) is not None and not UNKNOWN_DIGITS.search(text)
