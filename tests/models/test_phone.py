"""Telephone identity: the contract's rule, tried on every example libphonenumber has of every region."""

import re
import unicodedata
from functools import cache
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from models.identity.phone import HIDDEN_NUMBERS, HIDDEN_WORDS, e164, is_hidden
from models.identity.phone_plan import is_line, stands_as_it_is
from tests.support.records import bird_call, bird_client, bird_party
from tests.support.rows import call_of

E164 = re.compile(r"\+[1-9]\d{3,16}")
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TYPES = [kind for name, kind in vars(PhoneNumberType).items() if isinstance(kind, int) and name != "UNKNOWN"]


@cache
def examples(region: str) -> list[PhoneNumber]:
    """Libphonenumber's own example of each type that the region has."""
    found = [phonenumbers.example_number_for_type(region, kind) for kind in TYPES]
    return [number for number in found if number is not None and phonenumbers.is_valid_number(number)]


def written(number: PhoneNumber, style: int) -> str:
    return phonenumbers.format_number(number, style)


def spellings(number: PhoneNumber) -> dict[str, str]:
    plus = written(number, PhoneNumberFormat.E164)
    return {
        "e164": plus,
        "international": written(number, PhoneNumberFormat.INTERNATIONAL),
        "double zero": "00" + plus[1:],
        "without plus": plus[1:],
        "national": written(number, PhoneNumberFormat.NATIONAL),
    }


@pytest.mark.parametrize("region", REGIONS)
def test_every_example(region: str) -> None:
    """Each example number of a region, in five spellings and with that region given, is that number."""
    wrong = [
        (spelling, text, found)
        for number in examples(region)
        for spelling, text in spellings(number).items()
        if (found := e164(text, region)) != written(number, PhoneNumberFormat.E164)
    ]

    assert wrong == []


def test_examples_are_many() -> None:
    """The examples above are not by accident a handful."""
    assert len(REGIONS) >= 240
    assert sum(len(examples(region)) for region in REGIONS) > 1_000


AROUND = [
    *("{} (Max)", "{} fax", "{} privat", "{} MAX", "{} - B\u00fcro", "Tel. {}", "MOBILE {}", "Sales- {}"),
    *("\u202a{}\u202c", "{}\u200e", "\ufeff{}\n", "\U0001f4de {}", "({}", "{},", "{}."),
    *('"{}"', "'{}", "\u00ab{}\u00bb", "<{}>", '"Max" <{}>'),
    *("tel:{}", "TEL:{}", "whatsapp:{}", "callto:{}", "sms:{}?body=hi", "{};ext=12", "{} x12", "{} ext. 12", "{} #3"),
]
"""Ways in which something else stands around a number."""
ABROAD = ["US", "RU", "JP", "AU", "SG", "HK", "KR", "BR", "FI", "MX"]
"""Countries with ways out of their own."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("region", REGIONS)
def test_something_around(region: str) -> None:
    """Each example is found where something stands around it, also as it is dialled abroad (libphonenumber#1302)."""
    wrong = []
    for i, number in enumerate(examples(region)):
        plus = written(number, PhoneNumberFormat.E164)
        own = [(region, text) for text in spellings(number).values()]
        for j, (home, text) in enumerate([*own, *((other, dialled_from(number, other)) for other in ABROAD)]):
            for around in AROUND[(i + j) % 3 :: 3]:
                found = e164(around.format(text), home)
                wrong += [(home, around.format(text), found)] if found != plus else []

    assert wrong == []


def dialled_from(number: PhoneNumber, region: str) -> str:
    return phonenumbers.format_out_of_country_calling_number(number, region)


NOT_ONE = ["{} / {}", "{}\n{}", "{} XXX", "{} **", "{} \u2022\u2022", "{}...", "{} (2)", "a{}", "#31#{}"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("around", NOT_ONE)
def test_not_one_whole_number(around: str) -> None:
    """Two numbers in one text are none, nor is one of which digits are left out or stand elsewhere."""
    for region in REGIONS:
        for number in examples(region):
            assert e164(around.format(*[written(number, PhoneNumberFormat.NATIONAL)] * 2), region) is None


INVISIBLE = st.text(st.characters(categories=["Cf", "Mn", "Me"]), max_size=2)
WORDS = st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=8), max_size=3)
EVERY_EXAMPLE = [(region, number) for region in REGIONS for number in examples(region)]


@given(st.sampled_from(EVERY_EXAMPLE), st.sampled_from(ABROAD), st.data())
def test_never_another_number(which: tuple[str, PhoneNumber], abroad: str, data: st.DataObject) -> None:
    """Whatever words and invisible characters stand around and in a number, it is that number or none."""
    region, number = which
    plus = written(number, PhoneNumberFormat.E164)
    ways = [*((region, text) for text in spellings(number).values()), (abroad, dialled_from(number, abroad))]
    home, text = data.draw(st.sampled_from(ways))
    blank = data.draw(st.characters(categories=["Zs"]))
    text = "".join(data.draw(INVISIBLE) + sign for sign in text.replace(" ", blank))
    before, after = (" ".join(data.draw(WORDS)) for _ in range(2))
    joint = data.draw(st.sampled_from([" ", ": ", " - ", " (", '"', ""]))

    assert e164(f"{before}{joint}{text}{joint}{after}", home) in {None, plus}


@given(st.text(st.sampled_from("+0123456789 ()-./ab XxZ*#,;:<>\u200e\u0663"), max_size=24), st.sampled_from(REGIONS))
def test_every_digit_is_written(raw: str, region: str) -> None:
    """A number found in a text without a vanity word ends in digits that stand in the text, in this order."""
    found = e164(raw, region)
    digits = "".join(str(unicodedata.decimal(sign)) for sign in raw if sign.isdecimal())

    assert found is None or any(word.isupper() for word in re.findall(r"[A-Za-z]{3,}", raw)) or found[-4:] in digits


@pytest.mark.parametrize("region", REGIONS)
def test_international_by_default(region: str) -> None:
    """Where digits without a plus are international at a provider, no region is needed for them."""
    for number in examples(region):
        plus = written(number, PhoneNumberFormat.E164)

        assert e164(plus[1:], assume_international=True) == plus
        assert e164(plus, "US", assume_international=True) == plus


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("4915123456789", "DE", "+4915123456789"),  # plain parsing reads it as a German national number
        ("+1 (212) 555-0142", None, "+12125550142"),
        ("(212) 555-0142", "US", "+12125550142"),
        ("212-555-0142", None, None),
        ("123-456-7890", "US", None),  # national and not valid
        ("+11234567890", None, "+11234567890"),  # international and possible
        ("0011234567890", None, "+11234567890"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("06.12.34.56.78", "FR", "+33612345678"),
        ("0612345678", "US", None),
        ("33612345678", "FR", "+33612345678"),
        ("tel:+33612345678", None, "+33612345678"),
        ("\uff0b33612345678", None, "+33612345678"),
        ("+33 6\u00a012\u00a034\u00a056\u00a078", None, "+33612345678"),
        ("  +33612345678 ", None, "+33612345678"),
        ("+52 55 1234 5678", None, "+525512345678"),
        ("+54 9 11 2345 6789", None, "+5491123456789"),
        ("+55 11 91234-5678", None, "+5511912345678"),
        ("+999123456789", None, None),
        ("+1", None, None),
        ("112", "FR", None),
        ("12345", "US", None),
        ("ACME", "US", None),
        ("", "US", None),
        (None, "US", None),
        ("+", None, None),
        ("00", None, None),
    ],
)
def test_rule(raw: str | None, region: str | None, expected: str | None) -> None:
    """International spellings must be possible, national ones valid, everything else is null."""
    assert e164(raw, region) == expected


@pytest.mark.parametrize(
    "number", ["+5215512345678", "+525512345678", "+541123456789", "+5491123456789", "+551191234567", "+5511991234567"]
)
def test_variants_are_not_rewritten(number: str) -> None:
    """A country's older spelling is never taken for another number (chatwoot#14048, phonelib#254)."""
    for region in (None, "MX", "AR", "BR"):
        assert e164(number, region) in {None, number}


@pytest.mark.parametrize("word", sorted(HIDDEN_WORDS))
def test_hidden_words(word: str) -> None:
    """A withheld caller is nobody, however the word is written (kazoo#5261, Simple-Dialer#442)."""
    for spelling in (word, word.upper(), word.title(), f"  {word} "):
        assert is_hidden(spelling)
        assert e164(spelling, "US") is None
        assert e164(spelling, assume_international=True) is None


@pytest.mark.parametrize(
    "word", ["anonymous", "restricted", "unknown", "unavailable", "private", "withheld", "blocked"]
)
def test_hidden_words_are_listed(word: str) -> None:
    """Every word that vendors are known to use is hidden."""
    assert word in HIDDEN_WORDS


@pytest.mark.parametrize("digits", ["266696687", "7378742833", "2562533", "8656696", "86282452253"])
def test_hidden_numbers(digits: str) -> None:
    """Words typed on a keypad are no numbers, though libphonenumber calls some of them possible."""
    assert digits in HIDDEN_NUMBERS
    for spelling in (f"+{digits}", digits, f"+{digits[:3]} {digits[3:]}", f" +{digits[:2]}-{digits[2:]} "):
        assert e164(spelling, "US") is None
        assert e164(spelling, "FR", assume_international=True) is None


@pytest.mark.parametrize("digits", ["266696687", "7378742833", "2562533", "8656696", "86282452253"])
def test_hidden_numbers_after_double_zero(digits: str) -> None:
    """A keypad number written with `00` in the plus's place is hidden too."""
    assert e164(f"00{digits}", "US") is None
    assert e164(f"tel:+{digits}", "US") is None


@pytest.mark.parametrize(
    "address",
    [
        *("sip:+33612345678@pbx.example.com", "SIP:33612345678@10.0.0.1", "sips:+33612345678@x", " sip: +33612345678"),
        *("client:+33612345678", "Client:0612345678", "client:fc0be2c4-d3a2-458b-9a98-69ff811ee306"),
    ],
)
def test_addresses(address: str) -> None:
    """An address is no telephone number, whatever digits it holds."""
    assert e164(address, "FR") is None
    assert e164(address, "FR", assume_international=True) is None


@pytest.mark.parametrize(
    "address", ["33612345678@pbx.example.com", "+33612345678@10.0.0.1", "alice@example.com", "+33612345678;ext=2@x"]
)
def test_addresses_without_scheme(address: str) -> None:
    """An address is none without its scheme either."""
    assert e164(address, "FR") is None


@given(st.text(max_size=40), st.sampled_from([None, "US", "FR", "DE", "MX", "XX", "us", ""]), st.booleans())
@example("+" * 300, None, False)
@example("0" * 300, "US", True)
@example("+" * 250, "FR", False)
@example("(+" * 125, "FR", False)
@example("1 " * 125 + "x", "FR", False)
@example("A1-" * 80, "US", False)
@example(" " * 10**6 + "+33612345678", "FR", False)
@example("\x00+33612345678", "FR", True)
@example("\ud800", "FR", True)
@example("٣٣٦١٢٣٤٥٦٧٨", "FR", True)
@example("²" * 10, "FR", True)
def test_total(raw: str, region: str | None, international: bool) -> None:
    """Whatever is written, the answer is E.164 or null, never an error."""
    found = e164(raw, region, assume_international=international)

    assert found is None or E164.fullmatch(found)


@given(st.from_regex(r"[+0]?[0-9() ./-]{3,25}", fullmatch=True), st.sampled_from(["US", "FR", "DE", "MX", "IT", "AR"]))
@example("00310000000", "US")
def test_stable(raw: str, region: str) -> None:
    """A number that was found is found again from its own E.164, in every region."""
    found = e164(raw, region)

    if found is not None:
        assert E164.fullmatch(found)
        assert e164(found) == e164(found, "US") == found


def test_bird_parties() -> None:
    """A Bird party is its number, or its identity where that is none; anonymous hides both."""

    def remote(**own: Any) -> str | None:
        return call_of("bird", bird_call(originator=bird_party(**own))).remote_e164

    assert remote(number="351910648518") == "+351910648518"
    assert remote(number="sip:x@example.com", type="sip", identity="+351910648518") == "+351910648518"
    assert remote(number=None, identity="351910648518") == "+351910648518"
    assert remote(number="anonymous", identity="+351910648518", anonymous=True) is None
    assert remote(number="+351910648518", anonymous=False) == "+351910648518"
    assert remote(number="sip:351910648518@example.com", type="sip") is None


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("phonenumber", "351910648518", "+351910648518"),
        ("phonenumber", "+266696687", None),
        ("emailaddress", "351910648518", None),
    ],
)
def test_bird_number_of_the_linked_contact(key: str, value: str, found: str | None) -> None:
    """A caller who hides the number, or shows none, is known by the number that the linked contact was found by."""
    linked = {"contact": {"id": "c", "identifierKey": key, "identifierValue": value}}
    for shown in (bird_party(number="anonymous", anonymous=True), bird_party(number=None)):
        assert call_of("bird", bird_call(originator=shown | linked)).remote_e164 == found
    other = bird_call(originator=bird_party(number="+351910648519") | linked)
    assert call_of("bird", other).remote_e164 == "+351910648519"


def test_bird_client_numbers() -> None:
    """A client is known by its caller id, never by digits of its own name."""
    call = bird_call(originator=bird_client("33612345678", identity="+3197004499437"))

    assert call_of("bird", call).own_e164 == "+3197004499437"
    assert call_of("bird", bird_call(originator=bird_client("33612345678"))).own_e164 is None


def asked_libphonenumber(written: str) -> str | None:
    """What e164 says without its short way."""
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if possible else None


def assert_short_ways_agree(written: str) -> None:
    if stands_as_it_is(written):
        assert asked_libphonenumber(written) == written
        assert not is_line(written) or phonenumbers.is_valid_number(phonenumbers.parse(written, None))


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_short_way(written: str) -> None:
    """Digits that are taken as they stand are those that libphonenumber leaves as they are."""
    assert_short_ways_agree(written)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_short_way_by_region(region: str) -> None:
    """The same around every country's example numbers, also with a trunk prefix, or a digit too many or too few."""
    code = phonenumbers.country_code_for_region(region)
    for kind in phonenumbers.PhoneNumberType.values():
        example = phonenumbers.example_number_for_type(region, kind)
        digits = phonenumbers.national_significant_number(example) if example else "0"
        for national in (digits, "0" + digits, "1" + digits, "8" + digits, digits[:-1], digits + "0", digits[1:]):
            assert_short_ways_agree(f"+{code}{national}")
