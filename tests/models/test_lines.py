"""Lines of which each number is written in two ways, as in Mexico, Argentina and Brazil."""

import pytest

from models.identity.phone import e164, line_of, spellings


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
