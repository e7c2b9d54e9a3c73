"""JSON as text: records are cut out of their page as they stand, whatever stands in them."""

import json
import re
from collections.abc import Callable, Sized
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.json_text import clean, fields, items, shallow, value
from tests.support.records import Json

DEEP = 10_000
TOO_DEEP = 1_100
"""Just beyond what the quick way reads."""
LONE = re.compile("[\ud800-\udfff]")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
layouts = st.sampled_from([None, 1, "\t"])


def written(document: Any, indent: Any, *, plain: bool) -> str:
    return json.dumps(document, indent=indent, ensure_ascii=plain)


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


def as_held(text: str) -> str:
    """What becomes of a text on its way into Postgres."""
    return LONE.sub("\ufffd", text).replace("\x00", "\ufffd")


def assert_refused(cut: Callable[[str], Sized], text: str) -> None:
    try:
        found = cut(text)
    except ValueError:
        return
    pytest.fail(f"{text[:20]} … {text[-20:]} was cut in {len(found)} parts")


@given(st.dictionaries(st.text(), documents, max_size=5), layouts, st.booleans())
def test_fields(document: Json, indent: Any, plain: bool) -> None:
    """An object cut in its fields is the same object."""
    text = clean(written(document, indent, plain=plain).encode("utf-8", "surrogatepass"))
    expected = json.loads(text)

    assert {name: json.loads(part) for name, part in fields(text).items()} == expected


@given(st.lists(documents, max_size=5), layouts, st.booleans())
def test_items(document: list[Any], indent: Any, plain: bool) -> None:
    """An array cut in its items is the same array."""
    text = clean(written(document, indent, plain=plain).encode("utf-8", "surrogatepass"))

    assert [json.loads(part) for part in items(text)] == json.loads(text)


@given(st.dictionaries(st.text(), documents, max_size=4), st.lists(documents, max_size=4), layouts)
def test_deep_pages_are_cut_alike(document: Json, records: list[Any], indent: Any) -> None:
    """One endlessly nested neighbour changes nothing for the others."""
    rest = {name: part for name, part in document.items() if name not in {"deep", "data"}}
    text = written(rest | {"data": records, "deep": "@"}, indent, plain=True).replace('"@"', nested(TOO_DEEP))
    found = fields(clean(text.encode()))

    assert found.pop("deep") == nested(TOO_DEEP)
    assert {name: json.loads(part) for name, part in found.items()} == json.loads(
        clean(json.dumps(rest | {"data": records}).encode())
    )
    assert [json.loads(part) for part in items(found["data"])] == json.loads(found["data"])


@given(st.lists(documents, max_size=4), st.integers(0, 4))
def test_deep_items_are_cut_alike(records: list[Any], place: int) -> None:
    """An array with one endlessly nested item is cut in the same items."""
    parts = [json.dumps(record) for record in records]
    parts.insert(place, nested(TOO_DEEP))

    assert items(" [ " + " , ".join(parts) + " ]\n") == parts


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc"])), st.booleans())
def test_clean(text: str, plain: bool) -> None:
    """NULs and lone surrogates become U+FFFD, everything else stays, whole pairs included."""
    arrived = json.dumps([text, "end"], ensure_ascii=plain)
    if not plain and LONE.search(text):
        return
    cleaned = clean(arrived.encode())

    assert json.loads(cleaned) == [as_held(json.loads(arrived)[0]), "end"]
    assert "\\u0000" not in cleaned.replace("\\\\", "")


@pytest.mark.parametrize(
    ("arrived", "held"),
    [
        (rb'"a\u0000b"', "a\ufffdb"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\uD83D\uDE00"', "\U0001f600"),
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\ud83d\ude00\ude00"', "\U0001f600\ufffd"),
        (rb'"\ud83d\u0041"', "\ufffdA"),
        (rb'"\\u0000"', "\\u0000"),
        (rb'"\\\u0000"', "\\\ufffd"),
        (rb'"\\\\u0000 \\ud83d"', "\\\\u0000 \\ud83d"),
        (b'"\xff\xfe"', "\ufffd\ufffd"),
        (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
        (rb'"\ud83d\n\ude00"', "\ufffd\n\ufffd"),
    ],
)
def test_clean_example(arrived: bytes, held: str) -> None:
    """Escapes that Postgres cannot hold are replaced, look-alikes are not (airbyte#3476, steampipe#292)."""
    assert json.loads(clean(arrived)) == held


def test_raw_surrogate_bytes() -> None:
    """Half a pair written as bytes is no UTF-8 and becomes replacement characters."""
    assert "\ud83d" not in json.loads(clean(b'"\xed\xa0\xbd"'))


def test_clean_leaves_the_bytes() -> None:
    """What needs no cleaning is not touched, spaces and number spellings included."""
    text = '{ "a":1e2 ,"b" : "\\u00e9", "c":1.50}'

    assert clean(text.encode()) == text
    assert fields(text) == {"a": "1e2", "b": '"\\u00e9"', "c": "1.50"}


@pytest.mark.parametrize("depth", [1, 100, TOO_DEEP, DEEP, 100_000])
def test_depth(depth: int) -> None:
    """Nesting has no limit."""
    record = f'{{"id":"a","notes":{nested(depth)}}}'

    assert fields(f'{{"data":[{record}],"meta":{{}}}}') == {"data": f"[{record}]", "meta": "{}"}
    assert items(f"[{record},{record}]") == [record, record]


@pytest.mark.parametrize("deep", ["", f',"deep":{nested(DEEP)}'], ids=["flat", "deep"])
def test_doubled_key(deep: str) -> None:
    """Of a doubled key the last stays, also where it is spelt with an escape."""
    assert fields(f'{{"a":1,"b":2,"a":3{deep}}}')["a"] == "3"
    assert fields(f'{{"a":1,"\\u0061":[4]{deep}}}')["a"] == "[4]"


@pytest.mark.parametrize("deep", ["1", nested(DEEP)], ids=["flat", "deep"])
@pytest.mark.parametrize("brackets", ["{}", "[]"])
def test_cut_short(brackets: str, deep: str) -> None:
    """JSON that ends too early, or goes on too long, is an error and never a part of the truth."""
    cut = fields if brackets == "{}" else items
    whole = f'{{"a":{deep},"b":{{"c":[1,2]}}}}' if brackets == "{}" else f'[{deep},{{"c":[1,2]}}]'
    assert cut(whole)
    for end in range(1, 9):
        assert_refused(cut, whole[:-end])
    for more in ("]", "}", ',"d":1', " x", whole):
        assert_refused(cut, whole + more)


@pytest.mark.parametrize(
    "broken",
    [
        *("[1,", "[1 2]", "[1}", "[,1]", "[1,]", "[tru]", "[{},<error>,{}]", "[1]]"),
        *("{1}", '{"a"}', '{"a" 1}', '{"a":1,}', '{"a":nonsense}', '{"a":1]', '{"a":[1}'),
    ],
)
def test_broken(broken: str) -> None:
    """Broken JSON is an error for either cut, never a part of the truth."""
    for cut in (fields, items):
        assert_refused(cut, broken)


@pytest.mark.parametrize("text", ["", " ", "null", "1", '"{}"', "true", "<html>", "\ufeff{"])
def test_other_json(text: str) -> None:
    """What is no object has no fields, and what is no array no items."""
    for cut in (fields, items):
        assert_refused(cut, text)


def test_wrong_kind() -> None:
    """An array has no fields and an object no items, however deep."""
    for inner in ("1", nested(DEEP)):
        assert_refused(fields, f"[{inner}]")
        assert_refused(items, f'{{"a":{inner}}}')


def test_empty() -> None:
    """Nothing is cut into nothing."""
    assert fields(" { } ") == {}
    assert items("[ ]") == []


@given(documents, st.integers(1, 6))
def test_shallow(document: Any, depth: int) -> None:
    """What lies deeper than asked for is null, all else is the same."""

    def trimmed(part: Any, left: int) -> Any:
        if isinstance(part, dict):
            return {name: trimmed(inner, left - 1) for name, inner in part.items()} if left else None
        if isinstance(part, list):
            return [trimmed(inner, left - 1) for inner in part] if left else None
        return part

    assert json.loads(shallow(json.dumps(document), depth)) == trimmed(document, depth)


def test_shallow_keeps_the_record() -> None:
    """Of a record with one endless field all the others can be read."""
    found = json.loads(shallow(f'{{"id":"[a\\"]","notes":{nested(100_000)},"b":[1,{{}}]}}'))

    assert {name: found[name] for name in ("id", "b")} == {"id": '[a"]', "b": [1, {}]}


@pytest.mark.parametrize("text", ["1e400", nested(DEEP), "{", "nonsense", '"\\ud800"', "9" * 5000])
def test_value_never_raises(text: str) -> None:
    """A piece of an envelope that cannot be decoded reads as nothing."""
    assert value(text) is None or value(text) == float("inf") or value(text)
