"""Telephone identity: number, kind and region however it is written, or the reason why there is none."""

import pytest

from models.identity import Identity, NoIdentity, PhoneKind, identify
from models.phone import HIDDEN_NUMBERS, HIDDEN_WORDS, e164, line_of, spellings
from tests.test_phone import REGIONS, examples
from tests.test_phone import spellings as written_ways


@pytest.mark.parametrize("region", REGIONS)
def test_every_example(region: str) -> None:
    """Each example of a region and type, in five spellings, is one identity with a kind and a region."""
    for number in examples(region):
        found = {identify(text, region) for text in written_ways(number).values()}

        assert len(found) == 1
        (identity,) = found
        assert identity.e164
        assert identity.reason is None
        assert identity.kind is not PhoneKind.OTHER
        assert identity.region


@pytest.mark.parametrize("text", sorted(HIDDEN_WORDS | HIDDEN_NUMBERS | {f"+{digits}" for digits in HIDDEN_NUMBERS}))
def test_hidden(text: str) -> None:
    """A withheld caller has no identity, in any region and spelling."""
    for region in (None, "US", "FR"):
        for spelling in (text, text.upper(), f" {text} "):
            hidden = Identity(None, NoIdentity.HIDDEN, PhoneKind.HIDDEN, None)
            assert identify(spelling, region) == hidden
            assert identify(spelling, region, assume_international=True) == hidden


@pytest.mark.parametrize(
    ("raw", "region", "number", "kind", "reason"),
    [
        ("+33612345678", None, "+33612345678", PhoneKind.MOBILE, None),
        ("01 42 68 53 00", "FR", "+33142685300", PhoneKind.FIXED, None),
        ("(212) 555-0142", "US", "+12125550142", PhoneKind.FIXED_OR_MOBILE, None),
        ("+1 800 234 5678", None, "+18002345678", PhoneKind.TOLL_FREE, None),
        ("011 33 6 12 34 56 78", "US", "+33612345678", PhoneKind.MOBILE, None),
        ("0033 6 12 34 56 78", "US", "+33612345678", PhoneKind.MOBILE, None),
        ("(212) 555-0142 ext. 7", "US", "+12125550142", PhoneKind.FIXED_OR_MOBILE, None),
        ("+1 212 555 0142 x99", None, "+12125550142", PhoneKind.FIXED_OR_MOBILE, None),
        ("+33612345678;ext=12", None, "+33612345678", PhoneKind.MOBILE, None),
        ("+5215512345678", None, "+5215512345678", PhoneKind.FIXED_OR_MOBILE, None),
        ("5215512345678", "MX", "+5215512345678", PhoneKind.FIXED_OR_MOBILE, None),
        ("", "US", None, PhoneKind.ABSENT, NoIdentity.ABSENT),
        (None, "US", None, PhoneKind.ABSENT, NoIdentity.ABSENT),
        ("sip:+33612345678@pbx.example.com", "FR", None, PhoneKind.SIP, NoIdentity.ADDRESS),
        ("client:0612345678", "FR", None, PhoneKind.CLIENT, NoIdentity.ADDRESS),
        ("32665", "US", None, PhoneKind.SHORT_CODE, NoIdentity.SHORT_CODE),
        ("*100#", "FR", None, PhoneKind.SHORT_CODE, NoIdentity.SHORT_CODE),
        ("ACME", "US", None, PhoneKind.ALPHANUMERIC, NoIdentity.ALPHANUMERIC),
        ("212-555-0142", None, None, PhoneKind.UNPARSEABLE, NoIdentity.NO_REGION),
        ("123-456-7890", "US", None, PhoneKind.UNPARSEABLE, NoIdentity.NOT_VALID),
        ("+999123456789", None, None, PhoneKind.UNPARSEABLE, NoIdentity.NOT_VALID),
        ("alice@example.com", "US", None, PhoneKind.UNPARSEABLE, NoIdentity.UNPARSEABLE),
    ],
)
def test_kinds(
    raw: str | None, region: str | None, number: str | None, kind: PhoneKind, reason: NoIdentity | None
) -> None:
    """What is no telephone number says what it is instead, and why."""
    found = identify(raw, region)

    assert (found.e164, found.kind, found.reason) == (number, kind, reason)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+525512345678", "+5215512345678"),
        ("+541123456789", "+5491123456789"),
        ("+551161234567", "+5511961234567"),
        ("+551191234567", "+5511991234567"),
    ],
)
def test_one_line_written_in_two_ways(one: str, other: str) -> None:
    """Both spellings of a line stand as they were written, and lead to each other (chatwoot#14048, #14264)."""
    assert (e164(one), e164(other)) == (one, other)
    assert set(spellings(one)) == set(spellings(other)) == {one, other}
    assert line_of(one) == line_of(other)


@pytest.mark.parametrize(
    "number", ["+5511931234567", "+551131234567", "+33612345678", "+12125550142", "+5255123456789"]
)
def test_one_line_written_in_one_way(number: str) -> None:
    """A Brazilian fixed line is not the mobile that has a nine before the same digits."""
    assert spellings(number) == (number,)
