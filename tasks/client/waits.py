"""How long a provider asks us to wait, read from the headers of an answer."""

import email.utils
import math
from datetime import UTC, datetime

import httpx

LONGEST_POSTPONEMENT = 86_400.0
"""Seconds. What asks for more is a slip: a refusal is then asked again after a day, a reset beyond it is not read."""
DURATIONS_BELOW = 1e6
"""A number below is seconds from now, eleven days at most; a Unix time is above."""
UNIX_TIMES = ((1e9, 1e11, 1.0), (1e12, 1e14, 1e3), (1e15, 1e17, 1e6), (1e18, 1e20, 1e9))
"""From, below, and how many in a second: seconds, milliseconds, microseconds, nanoseconds of the years from 2001."""


def asked_to_wait(response: httpx.Response, now: float) -> float | None:
    """Seconds the provider asks for: `Retry-After` in either form, or a spent `X-RateLimit` until its reset.

    Args:
        response: its status and headers are read.
        now: when it was asked, since the epoch; used where the provider does not say what time it is.
    """
    headers = response.headers
    now = _date(headers.get("Date", "")) or now
    refused = response.status_code in {429, 503}
    if refused and (wait := _seconds(headers.get("Retry-After"), now)) is not None:
        return min(wait, LONGEST_POSTPONEMENT)
    if response.status_code == 429 or headers.get("X-RateLimit-Remaining", "").strip() == "0":
        wait = _seconds(headers.get("X-RateLimit-Reset"), now)
        return wait if wait is not None and wait <= LONGEST_POSTPONEMENT else None
    return None


def _seconds(value: str | None, now: float) -> float | None:
    """Seconds from now, of a number of seconds, a Unix time in any unit, or a date; None for anything else."""
    try:
        number = float(value or "")
    except ValueError:
        moment = _date(value or "")
        return None if moment is None else max(moment - now, 0)
    if not math.isfinite(number) or number < 0:
        return None
    if number < DURATIONS_BELOW:
        return number
    scale = next((scale for least, below, scale in UNIX_TIMES if least <= number < below), None)
    return None if scale is None else max(number / scale - now, 0)


def _date(text: str) -> float | None:
    try:
        return seconds(text)
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(date: str) -> float:
    """An HTTP or ISO date, since the epoch; without a zone it is UTC. Raises `ValueError` where it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except (TypeError, ValueError):
        moment = datetime.fromisoformat(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
