"""What each account's durations count: only the talk, or the whole call with its ringing."""

from typing import Any

import psycopg

from models.calibration.calibration import Calibration
from tasks.matching.calibrate import Accounts, Version

NEWEST = 20_000
"""Records that are looked at."""
ENOUGH, ALMOST_ALL = 10, 0.8
"""Answered calls from which on a meaning is believed, and the share of them that must agree."""
OF_ITS_OWN = f"""
    SELECT provider, account, count(*) AS calls,
           count(*) FILTER (WHERE abs(duration_seconds - extract(epoch FROM ended_at - answered_at)) <= 1.5) AS talk,
           count(*) FILTER (WHERE abs(duration_seconds - extract(epoch FROM ended_at - started_at)) <= 1.5) AS total
    FROM (SELECT * FROM call ORDER BY started_at DESC LIMIT {NEWEST}) newest
    WHERE outcome = 'answered' AND duration_seconds > 0 AND answered_at - started_at >= interval '4 seconds'
      AND ended_at > answered_at
    GROUP BY provider, account
"""  # noqa: S608 - our own words
"""By records that say when they were answered and when they ended, of calls that rang for a while."""
KEEP = """
    INSERT INTO duration_meaning AS m (provider, account, counts, evidence) VALUES (%s, %s, %s, %s)
    ON CONFLICT (provider, account) DO UPDATE
    SET counts = excluded.counts, evidence = excluded.evidence, learnt_at = now() WHERE m.counts <> excluded.counts
"""
Meanings = dict[int, tuple[str, str]]
"""By account: `talk` or `total`, and what says so."""


def learn_durations(
    connection: psycopg.Connection[Any], accounts: Accounts, known: dict[tuple[int, int], Version]
) -> bool:
    """Keeps what was found out; whether that is otherwise than before. What is not clear stays as it was."""
    found = _of_its_own(connection, accounts)
    for pair, version in sorted(known.items()):
        found = _by_the_other(pair, version.calibration, found, accounts) | found
    values = [(*accounts[number], *meaning) for number, meaning in sorted(found.items())]
    return any([connection.execute(KEEP, one).rowcount for one in values])  # noqa: C419 - each is to be written


def _of_its_own(connection: psycopg.Connection[Any], accounts: Accounts) -> Meanings:
    found: Meanings = {}
    for provider, account, calls, talk, total in connection.execute(OF_ITS_OWN).fetchall():
        meaning, agree = max((("talk", talk), ("total", total)), key=lambda one: one[1])
        is_known = (provider, account) in accounts  # one whose first records came just now is for the next run
        if is_known and calls >= ENOUGH and agree >= ALMOST_ALL * calls:
            words = f"agrees with its own times in {agree:,} of {calls:,} answered calls"
            found[accounts.index((provider, account))] = (meaning, words)
    return found


def _by_the_other(pair: tuple[int, int], known: Calibration, found: Meanings, accounts: Accounts) -> Meanings:
    """By the lengths of another account that a calibration found to agree with this one's durations."""
    if known.is_prior:
        return {}
    learnt: Meanings = {}
    for side, (number, other) in enumerate((pair, pair[::-1])):
        if known.readings[side] == "duration":
            reading = known.readings[1 - side]
            meaning = found.get(other, ("", ""))[0] if reading == "duration" else reading
            if meaning:
                learnt[number] = (meaning, f"agrees with {':'.join(accounts[other])} in calls that both hold")
    return learnt
