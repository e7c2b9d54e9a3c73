"""What a text that stands for a telephone is: its identity in E.164, or why it has none; its kind; its region.

https://github.com/google/libphonenumber tells kind and region of a number.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType

from models.phone import ADDRESS, PUNCTUATION, e164, is_hidden, spellings


class PhoneKind(StrEnum):
    """What answers there; of what is no telephone number, what it is instead."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"  # one numbering for both, as in North America
    TOLL_FREE = "toll_free"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    COMPANY = "company"  # universal access numbers
    VOICEMAIL = "voicemail"
    OTHER = "other"  # written internationally and possible, of no known range
    ABSENT = "absent"
    HIDDEN = "hidden"
    SIP = "sip"
    CLIENT = "client"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"  # a sender's name in a number's place
    UNPARSEABLE = "unparseable"


class NoIdentity(StrEnum):
    """Why a text has no E.164."""

    ABSENT = "absent"
    HIDDEN = "hidden"
    ADDRESS = "address"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    NO_REGION = "no_region"  # perhaps national, and no country is known for it
    NOT_VALID = "not_valid"  # no number of the country it would be read in
    UNPARSEABLE = "unparseable"


class Identity(NamedTuple):
    """Either `e164` or `reason` is set. `region`: ISO 3166 code, None for what belongs to none."""

    e164: str | None
    reason: NoIdentity | None
    kind: PhoneKind
    region: str | None


KINDS = {
    PhoneNumberType.MOBILE: PhoneKind.MOBILE,
    PhoneNumberType.FIXED_LINE: PhoneKind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: PhoneKind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: PhoneKind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: PhoneKind.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: PhoneKind.SHARED_COST,
    PhoneNumberType.VOIP: PhoneKind.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: PhoneKind.PERSONAL,
    PhoneNumberType.PAGER: PhoneKind.PAGER,
    PhoneNumberType.UAN: PhoneKind.COMPANY,
    PhoneNumberType.VOICEMAIL: PhoneKind.VOICEMAIL,
}
DIGITS = re.compile(r"\+?[\d*#]+")
SHORT = range(2, 7)
"""Digits of a short code: emergency numbers have three, senders of messages five or six."""


@lru_cache(maxsize=50_000)
def identify(raw: str | None, region: str | None = None, *, assume_international: bool = False) -> Identity:
    """The identity of what a provider wrote; arguments as for `e164`, whose number it gives."""
    if number := e164(raw, region, assume_international=assume_international):
        return Identity(number, None, *_kind_and_region(number))
    kind, reason = _without_number((raw or "").strip(), region)
    return Identity(None, reason, kind, None)


def _kind_and_region(number: str) -> tuple[PhoneKind, str | None]:
    """Of a line that is written in two ways, the way that libphonenumber knows tells."""
    forms = [phonenumbers.parse(form) for form in (number, *spellings(number))]
    known = next((form for form in forms if phonenumbers.is_valid_number(form)), forms[0])
    region = phonenumbers.region_code_for_number(known) or phonenumbers.region_code_for_country_code(
        known.country_code or 0
    )
    return KINDS.get(phonenumbers.number_type(known), PhoneKind.OTHER), region


def _without_number(raw: str, region: str | None) -> tuple[PhoneKind, NoIdentity]:
    bare = PUNCTUATION.sub("", raw)
    if not raw:
        return PhoneKind.ABSENT, NoIdentity.ABSENT
    if is_hidden(raw):
        return PhoneKind.HIDDEN, NoIdentity.HIDDEN
    if address := ADDRESS.match(raw):
        is_sip = address[1].lower().startswith("sip")
        return PhoneKind.SIP if is_sip else PhoneKind.CLIENT, NoIdentity.ADDRESS
    if DIGITS.fullmatch(bare):
        return _digits(bare, region)
    if any(letter.isalpha() for letter in raw) and "@" not in raw:
        return PhoneKind.ALPHANUMERIC, NoIdentity.ALPHANUMERIC
    return PhoneKind.UNPARSEABLE, NoIdentity.UNPARSEABLE


def _digits(bare: str, region: str | None) -> tuple[PhoneKind, NoIdentity]:
    if len(bare) in SHORT and not bare.startswith("+"):
        return PhoneKind.SHORT_CODE, NoIdentity.SHORT_CODE
    written_nationally = not bare.startswith(("+", "00"))
    return PhoneKind.UNPARSEABLE, NoIdentity.NO_REGION if written_nationally and not region else NoIdentity.NOT_VALID
