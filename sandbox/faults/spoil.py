"""Records that no provider should send, made from good ones.

Which record is spoilt, and how, hangs on its own bytes alone: it is the same on every page and in every run.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

Spoiler = Callable[[str, bytes], bytes]

_UNREADABLE_EVERY = 10
_ODD_EVERY = 4
_NEEDED = {"id", "created", "createdAt", "startedAt"}
"""What a record must have to be read at all."""
_ENDLESS, _SURROGATE = "@endless@", "@surrogate@"


def unreadable(stream: str, body: bytes) -> bytes:
    luck = crc32(body)
    if luck % _UNREADABLE_EVERY:
        return body
    ways = _UNREADABLE if stream == "calls" else _UNREADABLE[:-2]
    return ways[luck // _UNREADABLE_EVERY % len(ways)](body)


def odd(_stream: str, body: bytes) -> bytes:
    luck = crc32(body, 1)
    if luck % _ODD_EVERY:
        return body
    record = _object(body)
    if record is None:
        return body
    luck //= _ODD_EVERY
    _ODD[luck % len(_ODD)](record, luck // len(_ODD))
    return _encoded(record)


SPOILERS: dict[str, Spoiler] = {"unreadable": unreadable, "odd": odd}


def _object(body: bytes) -> dict[str, Any] | None:
    record = msgspec.json.decode(body)
    return record if isinstance(record, dict) else None


def _encoded(record: dict[str, Any]) -> bytes:
    """With what no encoder would write: a number beyond every float, half a surrogate pair."""
    body = msgspec.json.encode(record)
    return body.replace(b'"@endless@"', b"1e400").replace(b"@surrogate@", b"\\ud83d")


def _changed(body: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    record: dict[str, Any] = msgspec.json.decode(body)
    change(record)
    return _encoded(record)


def _without_start(record: dict[str, Any]) -> None:
    for name in ("created", "createdAt", "startedAt"):
        record.pop(name, None)


def _unreadable_start(record: dict[str, Any]) -> None:
    for name in _NEEDED & record.keys() - {"id"}:
        record[name] = "yesterday"


_UNREADABLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda _body: b"null",
    lambda _body: b"42",
    lambda _body: b'"a text"',
    lambda _body: b"[]",
    lambda body: _changed(body, lambda record: record.pop("id")),
    lambda body: _changed(body, lambda record: record.update(id=None)),
    lambda body: _changed(body, lambda record: record.update(id="x" * 1001)),
    lambda body: _changed(body, _without_start),
    lambda body: _changed(body, _unreadable_start),
)


def _optional(record: dict[str, Any], luck: int) -> str:
    names = sorted(record.keys() - _NEEDED)
    return names[luck % len(names)]


def _everywhere(record: dict[str, Any], change: Callable[[str], str]) -> None:
    """Changes every text but those a record needs."""
    for name in record.keys() - _NEEDED:
        record[name] = _rewritten(record[name], change)


def _rewritten(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _rewritten(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_rewritten(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _bare(record: dict[str, Any]) -> None:
    for name in record.keys() - _NEEDED:
        del record[name]


_ODD: tuple[Callable[[dict[str, Any], int], Any], ...] = (
    lambda record, _luck: record.update(notes="a NUL \x00 inside"),
    lambda record, _luck: record.update(notes=f"half a pair {_SURROGATE}"),
    lambda record, _luck: _everywhere(record, lambda text: f"{text}\x00"),
    lambda record, _luck: _everywhere(record, lambda text: f"{_SURROGATE}{text}"),
    lambda record, _luck: record.update(duration=_ENDLESS, score=_ENDLESS),
    lambda record, _luck: record.update(duration=-5),
    lambda record, _luck: record.update(duration="12 min"),
    lambda record, _luck: record.update(status="teleported", direction="sideways", type="smoke-signal"),
    lambda record, luck: record.pop(_optional(record, luck)),
    lambda record, luck: record.update({_optional(record, luck): None}),
    lambda record, luck: record.update({_optional(record, luck): 17}),
    lambda record, luck: record.update({_optional(record, luck): []}),
    lambda record, luck: record.update({_optional(record, luck): {"nested": {"deeper": [None]}}}),
    lambda record, _luck: record.update(notes="long " * 4000),
    lambda record, _luck: _bare(record),
)
