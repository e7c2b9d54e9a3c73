"""The password of the embedded Prefect server's API: random, one per home, in a file that only its owner can read."""

import hashlib
import os
import secrets
from pathlib import Path

_FILE = "prefect.key"
_USER = "callweave"
_BYTES = 32


def server_key(home: Path) -> str:
    """The pair `user:password` of HTTP basic authentication; made where it is missing or others could read it.

    Two processes must not call it at once. Raises `OSError` where the file cannot be read or written.
    """
    file = home / _FILE
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _make(file)
    with os.fdopen(descriptor) as opened:
        is_private = not os.fstat(descriptor).st_mode & 0o077
        key = opened.read().strip()
    return key if key and is_private else _make(file)


def fingerprint(key: str) -> str:
    """A fingerprint: distinguishes two keys, and is no secret."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _make(file: Path) -> str:
    """Written aside and moved into place, so that a killed process leaves no half of a key."""
    key = f"{_USER}:{secrets.token_urlsafe(_BYTES)}"
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key + "\n")
    new.rename(file)
    return key
