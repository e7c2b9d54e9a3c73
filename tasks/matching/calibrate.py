"""Calibrations: learnt from a sample of the records, kept as versions, replaced only when they moved by a step."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import psycopg

from models.calibration.calibration import Calibration, moved
from models.calibration.columns import Ints, Records
from models.matching.learn import Material, learn, stands
from models.matching.summary import named_by_provider
from tasks.database import scalar
from tasks.matching.pgcopy import copy_out
from tasks.matching.reader import ALWAYS, numbered
from tasks.matching.sql import ACCOUNTS, LINES, NEWEST_SINCE, SAMPLE

Accounts = list[tuple[str, str]]
Pair = tuple[int, int]

SAMPLE_SIZE = 40_000
"""Records that a calibration is learnt from, at most: chosen by telephone number, so that what may be one call stays
together."""
FEW = 10_000
"""Records up to which every run learns from all of them."""
RECENT_SIZE = 5_000
"""The newest records, by which every other run checks whether what is known still stands."""
GROWN = 1.25
"""Times as many records as a calibration was learnt from, by which it is learnt again."""
THREADS = 2

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
    records: int
    """How many there were when it was learnt."""


class Adopted(NamedTuple):
    """A calibration that takes the place of another: all calls are to be decided again."""

    calibration: Calibration
    reason: str


def accounts_of(connection: psycopg.Connection[Any]) -> Accounts:
    return [(provider, account) for provider, account in connection.execute(ACCOUNTS).fetchall()]


def lines_of(connection: psycopg.Connection[Any]) -> Ints:
    """The keys of our own numbers."""
    return np.array(sorted(key for (key,) in connection.execute(LINES).fetchall()), np.int64)


def versions(connection: psycopg.Connection[Any], accounts: Accounts) -> dict[Pair, Version]:
    """The newest version of each pair of accounts."""
    number = {account: i for i, account in enumerate(accounts)}
    found = {}
    for *names, id_, version, parameters in connection.execute(NEWEST).fetchall():
        pair = number.get((names[0], names[1])), number.get((names[2], names[3]))
        if pair[0] is not None and pair[1] is not None:
            known = Calibration.from_json(parameters)
            found[pair[0], pair[1]] = Version(id_, version, known, parameters.get("records", 0))
    return found


def calibrate(connection: psycopg.Connection[Any], accounts: Accounts, *, full: bool) -> dict[str, Adopted]:
    """Learns again where that is due, and adopts what has moved.

    What is adopted stands under the two accounts' names, as the report spells them.
    """
    known = versions(connection, accounts)
    pairs = list(combinations(range(len(accounts)), 2))
    count = scalar(connection, "SELECT count(*) FROM call")
    if not pairs or not count or not (full or _is_due(connection, accounts, known, count)):
        return {}
    records, share = _sample(connection, accounts, count)
    lines = lines_of(connection)
    named = named_by_provider({":".join(account) for account in accounts})
    adopted = {}
    with ThreadPoolExecutor(THREADS) as pool:  # numpy lets others work
        learnt = list(pool.map(lambda pair: learn(Material.of(records, pair, lines, share)), pairs))
    for pair, fresh in zip(pairs, learnt, strict=True):
        change = _change(known.get(pair), fresh)
        if change is not None:
            left, right = accounts[pair[0]], accounts[pair[1]]
            _adopt(connection, [*left, *right], known.get(pair), change, count)
            adopted[f"{named[':'.join(right)]} against {named[':'.join(left)]}"] = change
    return adopted


def _is_due(connection: psycopg.Connection[Any], accounts: Accounts, known: dict[Pair, Version], count: int) -> bool:
    pairs = list(combinations(range(len(accounts)), 2))
    if count <= FEW or any(pair not in known or count > GROWN * known[pair].records for pair in pairs):
        return True
    since = scalar(connection, NEWEST_SINCE, {"most": RECENT_SIZE}) or ALWAYS[0]
    records = _read(connection, accounts, since=since, every=1)
    lines = lines_of(connection)
    return not all(stands(Material.of(records, pair, lines), known[pair].calibration) for pair in pairs)


def _sample(connection: psycopg.Connection[Any], accounts: Accounts, count: int) -> tuple[Records, float]:
    """Records, and the share of telephone numbers they stand for: one in a power of two, so that it seldom moves."""
    every = 1
    while count > every * SAMPLE_SIZE:
        every *= 2
    return _read(connection, accounts, since=ALWAYS[0], every=every), 1.0 / every


def _read(connection: psycopg.Connection[Any], accounts: Accounts, **values: Any) -> Records:
    names = {"providers": [name for name, _ in accounts], "accounts": [name for _, name in accounts]}
    return numbered(copy_out(connection, SAMPLE, names | values))


def _change(known: Version | None, fresh: Calibration) -> Adopted | None:
    """What is to be adopted; a clock that is known stays known when too few calls are left to learn it from."""
    if known is None:
        return Adopted(fresh, "no shared calls seen" if fresh.is_prior else "learnt")
    if fresh.is_prior:
        return None
    reason = moved(known.calibration, fresh)
    return Adopted(fresh, reason) if reason else None


def _adopt(
    connection: psycopg.Connection[Any], names: list[str], known: Version | None, made: Adopted, count: int
) -> None:
    fresh = made.calibration
    version = known.version + 1 if known else 1
    parameters = json.dumps(fresh.to_json() | {"records": count})
    values = [*names, version, made.reason, fresh.is_prior, fresh.support, parameters]
    connection.execute(ADOPT, values)
