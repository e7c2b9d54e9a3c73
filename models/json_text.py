"""JSON as text: records are kept as the bytes that arrived, so they are cut out of their page, never serialised again.

Two ways: `msgspec` cuts a page at memory speed; what it refuses (nesting beyond its limit) is cut by a scanner that
knows only strings and brackets and has no limit.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

REPLACEMENT = "\ufffd"
SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair stays
    r"|\\u([dD][89a-fA-F][0-9a-fA-F]{2}|0000)"  # half a pair, or NUL: Postgres can hold neither
    r"|\\."
)
LATIN = {"iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252"}
"""Charsets that are believed where a body is no UTF-8."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
VALUE = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[.*\]|\{.*\}|-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity)|NaN|true|false|null', re.DOTALL
)
SHALLOW = 32
"""Deeper than any documented field."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def clean(content: bytes, charset: str | None = None) -> str:
    """The text of an answer as Postgres can hold it: NUL, lone surrogates and broken UTF-8 become U+FFFD.

    Args:
        content: the body.
        charset: what its header says.
    """
    text = _decoded(content, charset)
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if not SUSPICIOUS.search(text):
        return text
    return ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], text)


def _decoded(content: bytes, charset: str | None) -> str:
    """JSON is UTF-8 whatever is said of it (RFC 8259, 8.1); UTF-16 and UTF-32 show in their first bytes."""
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        is_latin = encoding == "utf-8" and (charset or "").lower() in LATIN
        return content.decode("cp1252" if is_latin else encoding, errors="replace")


def fields(text: str) -> dict[str, str]:
    """The values of a JSON object, each as its own text; of a doubled key the last. Raises ValueError on other JSON."""
    try:
        return {key: str(value, "utf-8") for key, value in _FIELDS.decode(text).items()}
    except msgspec.ValidationError:
        raise ValueError(f"it is {kind(text)}") from None
    except (msgspec.DecodeError, RecursionError):
        return _slow_fields(text)


def page(text: str, key: str) -> tuple[dict[str, str], list[str] | None]:
    """The values of a JSON object, and the items of the array under `key` in place of that; None where it has none.

    Raises ValueError on other JSON.
    """
    try:
        parts = _FIELDS.decode(text)
        found = parts.pop(key, None)
        records = None if found is None else [str(item, "utf-8") for item in _ITEMS.decode(found)]
        return {name: str(part, "utf-8") for name, part in parts.items()}, records
    except (msgspec.DecodeError, RecursionError):
        slow = fields(text)
        held = slow.pop(key, None)
        return slow, None if held is None else items(held)


def items(text: str) -> list[str]:
    """The items of a JSON array, each as its own text. Raises ValueError on other JSON."""
    try:
        return [str(item, "utf-8") for item in _ITEMS.decode(text)]
    except msgspec.ValidationError:
        raise ValueError(f"in place of a list there is {kind(text)}") from None
    except (msgspec.DecodeError, RecursionError):
        return [_checked(part) for part in _parts(text, "[")]


KINDS = {"{": "an object", "[": "a list", '"': "a text", "t": "true", "f": "false", "n": "null", "": "nothing"}


def kind(text: str) -> str:
    """What a piece of JSON is, in words, by its first character."""
    start = text.strip()[:1]
    return "a number" if start.isdigit() or start == "-" else KINDS.get(start, "no JSON")


def array(values: list[str]) -> str:
    """A JSON array of texts: as a parameter of a statement ten times as quick as one of Postgres' own arrays."""
    return msgspec.json.encode(values).decode()


def value(text: str) -> Any:
    """The decoded value of a small piece of JSON, None where it cannot be decoded."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def shallow(text: str, depth: int = SHALLOW) -> str:
    """The same record with everything below `depth` levels left out, for readers with a limit."""
    kept, level, last = [], 0, 0
    for token in TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            level += 1
            if level == depth + 1:
                kept.append(text[last : token.start()] + "null")
        elif mark in "]}":
            level -= 1
            if level == depth:
                last = token.end()
    return "".join(kept) + text[last:]


def _slow_fields(text: str) -> dict[str, str]:
    found = {}
    for part in _parts(text, "{"):
        key = STRING.match(part)
        name = value(key[0]) if key else None
        rest = part[key.end() :].lstrip() if key else ""
        if not isinstance(name, str) or not rest.startswith(":"):
            raise ValueError("not a JSON object")
        found[name] = _checked(rest[1:].strip())
    return found


def _checked(part: str) -> str:
    """`part`, if it can be one JSON value; what stands inside of objects and arrays is for their reader to check."""
    if not VALUE.fullmatch(part):
        raise ValueError("one of its values is no JSON")
    return part


def _parts(text: str, opening: str) -> Iterator[str]:
    """What stands between the commas of the outermost array or object."""
    closing = {"[": "]", "{": "}"}[opening]
    text = text.strip()
    if not text.startswith(opening):
        raise ValueError(f"it is {kind(text)}")
    level, start, end, commas = 0, 1, 0, 0
    for token in TOKEN.finditer(text):
        mark, end = token[0], token.end()
        level += (mark in "[{") - (mark in "]}")
        if level == 0 or (mark == "," and level == 1):
            part = text[start : token.start()].strip()
            commas += mark == ","
            if part or commas:
                yield part
            start = end
        if level == 0:
            break
    if level or end != len(text) or not text.endswith(closing):
        raise ValueError("the JSON is cut short or goes on after its end")
