"""The body of an answer: read to its end within limits, unpacked, and described where it is not what was asked for."""

import html
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from models.errors import AnswerTooLarge, ContractBroken
from tasks.client.limits import Limits

ACCEPTED = "gzip, deflate"
PIECE = 2**20
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
HTML_BEGINS = re.compile(r"\s*<(?:!doctype|html|head|body|!--|\?xml|\w+[\s>])", re.IGNORECASE)
WORDS = (("null", "null"), ("true", "true or false"), ("false", "true or false"), ('"', "a text"))


class Unpacker:
    """One of the two packings that are accepted, unpacked in pieces, so that a bomb ends at the limit."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inner = self._begin()
        self._has_begun = False

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` holds, `PIECE` bytes at a time. Raises `zlib.error`."""
        while chunk:
            yield self._decompress(chunk)
            chunk = self._inner.unconsumed_tail
            if self._inner.eof and self._inner.unused_data.strip(b"\0"):
                # A gzip file may hold several members.
                chunk, self._inner = self._inner.unused_data, self._begin()

    def rest(self) -> bytes:
        return bytes(self._inner.flush())

    @property
    def is_whole(self) -> bool:
        return self._inner.eof or not self._has_begun

    def _decompress(self, chunk: bytes) -> bytes:
        try:
            return bytes(self._inner.decompress(chunk, PIECE))
        except zlib.error:
            if self._encoding != "deflate" or self._has_begun:
                raise
            # Some servers send deflate without zlib's header around it.
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            return bytes(self._inner.decompress(chunk, PIECE))
        finally:
            self._has_begun = True

    def _begin(self) -> Any:
        return zlib.decompressobj(zlib.MAX_WBITS | 16 if self._encoding == "gzip" else zlib.MAX_WBITS)


def read_body(response: httpx.Response, limits: Limits) -> bytes:
    """The whole body, unpacked.

    Raises `AnswerTooLarge`, `ContractBroken` for a packing that is not readable, and httpx's errors, also for a packed
    body that is cut short.
    """
    most = limits.answer_bytes
    encoding = _encoding(response)
    body = bytearray()
    for piece in _pieces(response.iter_raw(), encoding):
        body += piece
        if len(body) > most:
            raise AnswerTooLarge(
                f"an answer of more than {most / 2**20:,.0f} MB, unpacked; CALLWEAVE_MAX_ANSWER_BYTES allows more"
            )
    return bytes(body)


def _encoding(response: httpx.Response) -> str:
    name: str = response.headers.get("Content-Encoding", "").strip().lower().removeprefix("x-")
    if name in {"", "identity", "none", "utf-8"}:
        return ""
    if name not in {"gzip", "deflate"}:
        raise ContractBroken(f"an answer packed in a way that was not asked for (Content-Encoding {name[:40]!r})")
    return name


def _pieces(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    if not encoding:
        yield from chunks
        return
    unpacker = Unpacker(encoding)
    try:
        for chunk in chunks:
            yield from unpacker.unpack(chunk)
        yield unpacker.rest()
    except zlib.error:
        raise ContractBroken(f"an answer that calls itself {encoding} and is not") from None
    if not unpacker.is_whole:
        raise httpx.RemoteProtocolError("the packed answer is cut short")


def unlike_json(text: str) -> str | None:
    """What a body is that is neither a JSON object nor an array, in words; None where it may be one."""
    text = text.strip()
    if text[:1] in {"{", "["}:
        return None
    if not text:
        return "nothing"
    if HTML_BEGINS.match(text):
        return f"a web page{_titled(text)}"
    return next((words for start, words in WORDS if text.startswith(start)), "text")


def _titled(page: str) -> str:
    found = TITLE.search(page)
    title = " ".join(html.unescape(found[1]).split())[:80] if found else ""
    return f" titled “{title}”" if title else ""
