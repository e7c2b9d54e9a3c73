"""The one rule for text that leaves the house: secrets, people, markup, then the cut."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.client.redaction import LONGEST_MESSAGE, LONGEST_QUOTE, outward, quoted
from tasks.providers import PROVIDERS

SECRET = "s3cr/et+&ke'y\"=1"
SPELLINGS = {
    "as it is": SECRET,
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON with slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "HTML": html.escape(SECRET),
    "HTML twice": html.escape(html.escape(SECRET)),
    "URL": quote(SECRET, safe=""),
    "URL in lower case": quote(SECRET, safe="").replace("%2F", "%2f"),
    "form": quote_plus(SECRET),
    "hexadecimal": SECRET.encode().hex(),
    "Basic": b64encode(b"user:" + SECRET.encode()).decode(),
    "Base64": b64encode(SECRET.encode()).decode(),
    "Base64 within": urlsafe_b64encode(b"ab" + SECRET.encode() + b"xyz").decode(),
    "with an escape within": f"{SECRET[:4]}\x1b[1m{SECRET[4:]}",
    "with a tag within": f"{SECRET[:4]}\u200b{SECRET[4:]}",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_secret(name: str) -> None:
    """A secret leaves in none of its spellings."""
    spelt = SPELLINGS[name]
    found = outward(f"before {spelt} after", [SECRET])

    assert found.startswith("before ")
    assert found.endswith(" after")
    assert "***" in found
    assert not any(part in found for part in (SECRET[:6], spelt[:8], spelt[-6:], "s3cr"))


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-123456",
        "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXRleHQ",
        '{"access_token": "abcdef123456"}',
        "client_secret=abcdef123456&grant_type=x",
        'password: "abcdef123456"',
        "postgresql://user:abcdef123456@db.example.com/x",
    ],
)
def test_unknown_secret(text: str) -> None:
    """A token that no setting holds is known by what stands before it, or by its form."""
    found = outward(text)
    assert not any(part in found for part in ("abcdef", "abc.def", "eyJ", "c2ln"))


NUMBERS = [
    "+33 6 12 34 56 78",
    "+33612345678",
    "33612345678",
    "0612345678",
    "06/12/34/56/78",
    "06_12_34_56_78",
    "06,12,34,56,78",
    "06.12.34.56.78",
    "06-12-34-56-78",
    "06\u00a012\u202f34\u200956 78",
    "06\u201112\u201134\u201156\u201178",
    "(0)6 12 34 56 78",
    "(206) 123-4578",
    "206.123.4578",
    "+1\u200e206\u200f1234578",
    "tel:+33612345678",
    "%2B33612345678",
    "+33%20612%20345678",
    "&#43;33612345678",
    "00 33 6 12 34 56 78",
    "+4930901878",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_number(number: str) -> None:
    """Of a telephone number, however it is written, two digits leave."""
    found = outward(f"caller {number}, and no other")

    assert "…78, and no other" in found
    assert sum(mark.isdigit() for mark in found) == 2


def test_mail() -> None:
    """E-mail addresses do not leave."""
    assert outward("to zoe.roux+x@example.co.uk, now") == "to …@…, now"


@pytest.mark.parametrize(
    "text",
    [
        "at 127.0.0.1:54321, 10.0.0.12 and https://api.example.com:4200/v1",
        "from 2026-11-20 12:00Z to 2026-11-20T13:00:00.123456Z, 12:34:56, 20/11/2026",
        "account 12345678, window 4711, 1,234,567 records in 2 of 3 windows (500)",
        "call 71180b3e-1234-4567-8901-123456789012 and 5f3b0612345678aabbcc0011",
        "free at 1790000000, or 1790000000123",
        f"of {next(iter(PROVIDERS))}:5551234567",
        "answered 429 to /v1/accounts/64f1c2/calls; 16 MB; 36044 requests",
    ],
)
def test_not_people(text: str) -> None:
    """Ports, times, ids and counts are no telephone numbers and stay."""
    assert outward(text) == text


def test_markup() -> None:
    """Markup, escapes and invisible characters go; what is left stands in one line."""
    text = "a\x00b \x1b[31mred\x1b[0m\x1b]8;;http://x\x07link\r\n<script>alert(1)</script> &lt;b&gt;\u202eevil 1 < 2"
    assert outward(text) == "a b redlink alert(1) evil 1 < 2"


@given(st.integers(0, 400))
def test_cut_comes_last(before: int) -> None:
    """Wherever a text is cut, no head of a secret or number stays."""
    found = quoted("x" * before + " " + SECRET + " 0612345678", [SECRET])

    assert len(found) <= LONGEST_QUOTE + 2
    assert not any(part in found for part in (SECRET[:4], "0612", "061"))


@given(st.text(max_size=400) | st.from_regex(r"[\d +().,/_:-]{0,60}", fullmatch=True))
def test_again(text: str) -> None:
    """What may leave is the same when it passes again: errors are quoted by errors."""
    once = outward(text)
    assert outward(once) == once


def test_bounded() -> None:
    """A message of ours has a longest length too."""
    assert len(outward("word " * 5_000)) == LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"success": False, "error": {"code": "CONT-001", "message": "too late"}}, "“CONT-001; too late”"),
        ({"message": "no", "contact": {"firstName": "Zoé", "email": "z@x.fr"}, "request": {"key": "k"}}, "“no”"),
        ({"errors": [{"title": "one"}, {"detail": "two"}]}, "“one; two”"),
        ({"firstName": "Zoé", "lastName": "Roux"}, "“an object with firstName, lastName”"),
        ([], "no explanation"),
        ([{"firstName": "Zoé"}], "“a list”"),
    ],
)
def test_quoted(body: object, said: str) -> None:
    """Of an error in JSON its messages are quoted, not what it repeats of our request or its records."""
    assert quoted(json.dumps(body)) == said
