"""The one rule for text that leaves the house: logs, errors, receipts, alerts, artifacts, JSON.

First secrets go, then telephone numbers and e-mail addresses, then markup and control characters, and only then is a
text cut: cut before, the head of a secret would stay.
"""

import html
import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from models.json_text import value
from tasks.providers import PROVIDERS

LONGEST_MESSAGE, LONGEST_QUOTE = 2_000, 200
"""Characters."""
SHORTEST_SECRET = 4
"""Characters; what is shorter stands in every other word."""
SHORTEST_CORE = 6
"""Characters of Base64."""
MASK = "***"

TOKENS = re.compile(r"(?i)\b(Bearer|Basic|AccessKey)(\s+|%20|\+)[\w~+/.=%-]{8,}|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?")
TOKEN_FIELDS = re.compile(
    r"""(?ix)((?:access_|refresh_|id_)?token|(?:client_)?secret|password|api[_-]?key|authorization)
    (\\?["']?\s*[:=]\s*\\?["']?)(?!\*\*\*)[^\s"'\\&,;}<]{4,}"""
)
"""A secret that no setting knows, by its name."""
USERINFO = re.compile(r"(?<=://)\S*@")
"""Of an address, to its last @: a password may hold one."""
TAG = re.compile(r"<!--.*?-->|</?[A-Za-z!?][^<>]{0,500}>", re.DOTALL)
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
"""Of terminals."""
PERCENT = re.compile(r"%([0-9A-F]{2})")
MAIL = re.compile(r"[\w.+%'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
SEPARATOR = r"[\s().\-/_·\u2010-\u2015\u2212]"
OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
DIGITS = re.compile(
    rf"""(?x)(?P<kept>
        \d{{4}}-\d\d-\d\d(?:[T\s]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)   # a date, with its time
      | (?<!\d)\d{{1,2}}[/.]\d{{1,2}}[/.](?:19|20)\d\d(?![/.]?\d)                             # another date
      | (?<!\d)\d?\d:\d\d(?::\d\d(?:\.\d+)?)?(?![\d:])                                        # a time
      | (?<![\d.]){OCTET}(?:\.{OCTET}){{3}}(?![\d.]*\d)(?::\d+)?                              # an address and port
      | (?<=:)\d{{2,5}}(?!\d)                                                                 # a port
      | (?<!\d)1[5-9]\d{{8}}(?:\d{{3}})?(?:\.\d+)?(?!\d)                                      # seconds since 1970
      | [0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}                          # a UUID
      | (?<![0-9A-Za-z])(?=\d*[a-f])(?:[0-9a-f]){{16,}}(?![0-9A-Za-z])                        # a hash
      | \b(?:{"|".join(PROVIDERS)}):[\w-]+                                                    # an account
    )
  | (?<!\d)(?:\d{{2}},){{4}}\d{{2}}(?!\d)
  | (?:(?P<plus>%2[Bb]|\+){SEPARATOR}{{0,2}}|(?<!\d)\(?)\d(?:(?:{SEPARATOR}{{0,3}}|%20)\d){{6,}}"""
)


def outward(text: object, secrets: Iterable[str] = (), longest: int = LONGEST_MESSAGE) -> str:
    """`text` as it may leave the house: one line, without secrets, people, markup and control characters.

    Args:
        text: ours, a provider's, or a mixture.
        secrets: configured ones and fetched tokens, found in any of their usual spellings.
        longest: characters.
    """
    pattern = _pattern(secrets)
    bare = _without(pattern, str(text))
    bare = TAG.sub(" ", html.unescape(ESCAPES.sub("", bare)))
    bare = _without(pattern, _one_line(bare))
    people = DIGITS.sub(_masked_digits, MAIL.sub("…@…", bare))
    return people if len(people) <= longest else people[: longest - 1] + "…"


def masked(text: object) -> str:
    """`text` with every telephone number reduced to its last two digits."""
    return DIGITS.sub(_masked_digits, str(text))


def quoted(body: str, secrets: Iterable[str] = ()) -> str:
    """What a provider's answer says, quoted and bounded; of JSON only what is meant as a message, no echoed record."""
    said = "; ".join(_messages(value(body))) or _of_page(body)
    text = outward(said, secrets, LONGEST_QUOTE)
    return f"“{text}”" if text else "no explanation"


MESSAGE_KEYS = {
    *("message", "messages", "error", "errors", "error_description", "errormessage", "description", "detail"),
    *("details", "title", "reason", "code", "type", "status", "msg"),
}


def _messages(answer: Any, depth: int = 0) -> Iterator[str]:
    """The texts under the usual names of messages, in their order."""
    if isinstance(answer, str | int) and not isinstance(answer, bool):
        yield str(answer)
    elif isinstance(answer, list) and depth < 4:
        for item in answer[:5]:
            yield from _messages(item, depth + 1)
    elif isinstance(answer, dict) and depth < 4:
        for key, held in answer.items():
            if str(key).lower() in MESSAGE_KEYS:
                yield from _messages(held, depth + 1)


def _of_page(body: str) -> str:
    """Of a web page its title; of JSON without a message its names, since it may be a record; else the text itself."""
    held = value(body)
    if isinstance(held, dict):
        return f"an object with {', '.join(map(str, held))}" if held else ""
    if body.lstrip()[:1] in {"{", "["}:
        return "a list" if held else ""
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", body)
    return title[1] if title else body[:20_000]


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    known = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    if not known:
        return None
    plain = sorted({one for secret in known for one in _spellings(secret)}, key=len, reverse=True)
    packed = sorted({one for secret in known for one in _in_base64(secret.encode())})
    # What stands around the core of a Base64 belongs to it.
    around = [rf"[A-Za-z0-9+/_-]*{re.escape(one)}[A-Za-z0-9+/_=-]*" for one in packed]
    anyhow = [PERCENT.sub(r"%(?i:\1)", re.escape(one)) for one in plain]
    return re.compile("|".join([*anyhow, *around]))


def _spellings(secret: str) -> Iterator[str]:
    """As it is, in JSON, HTML, URLs and hexadecimal."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    yield html.escape(secret).replace("&#x27;", "&#39;")
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield secret.encode().hex()


def _in_base64(secret: bytes) -> Iterator[str]:
    """What Base64 makes of it at each of the three places where it may begin, without what its neighbours decide."""
    for shift, skipped in ((0, 0), (1, 2), (2, 3)):
        whole = (shift + len(secret)) // 3 * 4
        core = b64encode(b"\0" * shift + secret).decode()[skipped:whole]
        if len(core) >= SHORTEST_CORE:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))


def _without(secrets: re.Pattern[str] | None, text: str) -> str:
    text = secrets.sub(MASK, text) if secrets else text
    text = TOKENS.sub(lambda match: f"{match[1]} {MASK}" if match[1] else MASK, text)
    return USERINFO.sub(f"{MASK}@", TOKEN_FIELDS.sub(rf"\1\2{MASK}", text))


def _one_line(text: str) -> str:
    """Format and control characters out, blanks of any kind as one."""
    kinds = [(mark, unicodedata.category(mark)) for mark in text]
    kept = (" " if kind == "Cc" else mark for mark, kind in kinds if kind not in {"Cf", "Cs", "Co"})
    return " ".join("".join(kept).split())


def _masked_digits(match: re.Match[str]) -> str:
    found = match[0]
    digits = [mark for mark in found.replace("%20", " ").removeprefix("%2B").removeprefix("%2b") if mark.isdigit()]
    is_bare = len(digits) == len(found)
    if match["kept"] or (is_bare and not 9 <= len(digits) <= 15):
        return found
    return f"…{''.join(digits[-2:])}"
