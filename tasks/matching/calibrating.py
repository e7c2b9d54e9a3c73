"""Calibrations: learnt from a sample of the records, kept as versions, replaced only when they moved by a step."""

import json
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import psycopg

from models.matching.calibration import Calibration, moved
from models.matching.clock import Learnt, spliced
from models.matching.learning import learn, learn_clock
from models.matching.legs import legs
from models.matching.records import Records
from models.matching.report import named_by_provider
from models.matching.statements import ACCOUNTS, NEWEST_SINCE, SAMPLE
from tasks.database import scalar
from tasks.matching.copying import copy_out
from tasks.matching.reading import ALWAYS, moment_of, numbered

Accounts = list[tuple[str, str]]
Pair = tuple[int, int]

SAMPLE_SIZE = 60_000
"""Records that a calibration is learnt from, at most: chosen by telephone number, so that candidates stay together."""
RECENT_SIZE = 10_000
"""The newest records, by which every run checks whether the clocks still stand as they did."""

NEWEST = """
    SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account)
           left_provider, left_account, right_provider, right_account, id, version, parameters
    FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC
"""
ADOPT = """
    INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
                             support, parameters)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""


class Version(NamedTuple):
    id: int
    version: int
    calibration: Calibration


class Adopted(NamedTuple):
    """A calibration that takes the place of another, and from when on calls are to be decided again."""

    calibration: Calibration
    reason: str
    since: datetime | None = None
    """None: all of them."""


def accounts_of(connection: psycopg.Connection[Any]) -> Accounts:
    return [(provider, account) for provider, account in connection.execute(ACCOUNTS).fetchall()]


def versions(connection: psycopg.Connection[Any], accounts: Accounts) -> dict[Pair, Version]:
    """The newest version of each pair of accounts."""
    number = {account: i for i, account in enumerate(accounts)}
    found = {}
    for *names, id_, version, parameters in connection.execute(NEWEST).fetchall():
        pair = number.get((names[0], names[1])), number.get((names[2], names[3]))
        if pair[0] is not None and pair[1] is not None:
            found[pair[0], pair[1]] = Version(id_, version, Calibration.from_json(parameters))
    return found


def calibrate(connection: psycopg.Connection[Any], accounts: Accounts, *, full: bool) -> dict[str, Adopted]:
    """Learns anew from all records (or, where all pairs are known, from the newest) and adopts what has moved.

    What is adopted stands under the two accounts' names, as the report spells them.
    """
    known = versions(connection, accounts)
    pairs = list(combinations(range(len(accounts)), 2))
    full = full or any(pair not in known for pair in pairs)
    records, share, since = _sample(connection, accounts, full=full)
    if not len(records):
        return {}
    root = legs(records).root
    named = named_by_provider({":".join(account) for account in accounts})
    adopted = {}
    for pair in pairs:
        if full or known[pair].calibration.is_prior:
            change = _change(known.get(pair), learn(records, root, pair, share), is_whole=full)
        else:
            change = _followed(known[pair].calibration, learn_clock(records, root, pair), since)
        if change is not None:
            left, right = accounts[pair[0]], accounts[pair[1]]
            _adopt(connection, [*left, *right], known.get(pair), change)
            adopted[f"{named[':'.join(right)]} against {named[':'.join(left)]}"] = change
    return adopted


def _sample(connection: psycopg.Connection[Any], accounts: Accounts, *, full: bool) -> tuple[Records, float, datetime]:
    """Records, the share of telephone numbers they stand for, and since when."""
    since, every = ALWAYS[0], 1
    if full:
        count = scalar(connection, "SELECT count(*) FROM call")
        every = max(1, -(-count // SAMPLE_SIZE))
    else:
        since = scalar(connection, NEWEST_SINCE, {"most": RECENT_SIZE}) or since
    names = {"providers": [name for name, _ in accounts], "accounts": [name for _, name in accounts]}
    values = names | {"since": since, "every": every}
    return numbered(copy_out(connection, SAMPLE, values)), 1.0 / every, since


def _change(known: Version | None, fresh: Calibration, *, is_whole: bool) -> Adopted | None:
    """What is to be adopted; from the newest records alone, no prior is."""
    if known is None:
        return Adopted(fresh, "too few pairs yet: a prior" if fresh.is_prior else "learnt")
    reason = moved(known.calibration, fresh) if is_whole or not fresh.is_prior else None
    return Adopted(fresh, reason) if reason else None


def _followed(before: Calibration, learnt: Learnt | None, since: datetime) -> Adopted | None:
    """The newest stretch of the clock, where it has moved: of a known calibration, that is all that the newest tell."""
    if learnt is None:
        return None
    track = spliced(before.track, learnt.track, moment_of(since))
    step = max(0.5, before.spread / 2)
    shift = float(np.abs(before.track.at(track.knots) - track.offsets).max())
    if shift <= step:
        return None
    return Adopted(before.with_track(track), f"the clock moved by {shift:.1f} s", since.astimezone(UTC))


def _adopt(connection: psycopg.Connection[Any], names: list[str], known: Version | None, made: Adopted) -> None:
    fresh = made.calibration
    version = known.version + 1 if known else 1
    parameters = json.dumps(fresh.to_json())
    values = [*names, version, made.reason, fresh.is_prior, fresh.support, parameters]
    connection.execute(ADOPT, values)
