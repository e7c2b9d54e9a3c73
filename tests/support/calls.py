"""Records drawn by hand, for tests of matching: what one says, the rest as usual."""

import json
from datetime import datetime, timedelta
from functools import cache
from itertools import combinations, count
from random import Random
from typing import Any

import psycopg

from models.calibration.blocks import own_lines
from models.calibration.calibration import Calibration
from models.calibration.columns import DIRECTIONS, NO_TIME, OUTCOMES, SECOND, Records, records_of
from models.matching.closed import Closed
from models.matching.decide import Decision, decide
from models.matching.judgements import Judgement
from models.matching.learn import Material, learn
from models.vocabulary import Direction, Outcome
from tests.support.records import NOON

ANN, BOB, CYD = 331, 332, 333
"""People."""
LINE, DESK, SHOP = 801, 802, 803
"""Numbers of our own."""

_ids = count(1)


def call(account: int, at: float, length: float | None = None, **own: Any) -> dict[str, Any]:
    """One record of the account: `at` seconds, lasting `length` seconds; None: nobody answered."""
    outcome = Outcome.MISSED if length is None else Outcome.ANSWERED
    return {
        "account": account,
        "at": at,
        "length": length or 0.0,
        "remote": ANN,
        "own": LINE,
        "direction": Direction.OUTBOUND,
        "outcome": outcome,
        "name": "",
        "parent": "",
        "client": False,
    } | own


def drawn(*calls: dict[str, Any]) -> Records:
    """The records of hand-drawn calls, their ids from one in the order given."""
    names = {one["name"]: i for i, one in enumerate(calls, 1) if one["name"]}
    return records_of([_row(i, one, names) for i, one in enumerate(calls, 1)])


def _row(id_: int, one: dict[str, Any], names: dict[str, int]) -> tuple[Any, ...]:
    started = 10**15 + round(one["at"] * SECOND)
    ended = started + round(one["length"] * SECOND) if one["length"] is not None else NO_TIME
    parent = names.get(one["parent"], sum(map(ord, one["parent"])) * 1000)
    duration = round(one["length"])
    words = DIRECTIONS.index(one["direction"]), OUTCOMES.index(one["outcome"])
    numbers = one["remote"] or 0, one["own"] or 0
    return (id_, one["account"], id_, parent, *numbers, started, NO_TIME, ended, duration, *words, int(one["client"]))


@cache
def sharp(spread: float = 1.0) -> Calibration:
    """What is learnt of two accounts that share hundreds of calls and whose starts differ by `spread` seconds."""
    rng = Random(f"shared {spread}")
    rows = []
    for person in range(1000, 1500):
        at, length = person * 4000.0, rng.lognormvariate(4, 1) if rng.random() < 0.6 else None
        own = {"remote": person, "direction": rng.choice((Direction.INBOUND, Direction.OUTBOUND))}
        rows += [
            call(account, at + account * rng.gauss(0, spread), length, **own)
            for account in (0, 1)
            if rng.random() < 0.85
        ]
    records = drawn(*rows)
    known = learn(Material.of(records, (0, 1), own_lines(records)))
    assert not known.is_prior
    return known


def decided(*calls: dict[str, Any], judgements: list[tuple[int, int, bool]] | None = None, **known: Any) -> Decision:
    """The decision on calls drawn by hand; `judgements` on their places, counted from nought, the newest first."""
    records = drawn(*calls)
    accounts = sorted({one["account"] for one in calls})
    calibration = known.get("known") or sharp()
    calibrations = {(a, b): calibration for i, a in enumerate(accounts) for b in accounts[i + 1 :]}
    return decide(Closed(records, calibrations, judgements=[Judgement(*one) for one in judgements or []]))


def groups(decision: Decision) -> list[list[int]]:
    """The places of the calls that are one, counted from nought."""
    found: dict[int, list[int]] = {}
    for place, call_id in enumerate(decision.call.tolist()):
        found.setdefault(call_id, []).append(place)
    return sorted(found.values())


def rivals(decision: Decision) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for one, other in zip(*(side.tolist() for side in decision.rivals), strict=True):
        found.setdefault(one, set()).add(other)
    return found


KNOWN = """
    INSERT INTO calibration (left_provider, left_account, right_provider, right_account, version, reason, is_prior,
        support, parameters) VALUES (%s, 'main', %s, 'main', 1, 'learnt', false, %s, %s)
"""


def known_clocks(connection: psycopg.Connection[Any], providers: str = "abc") -> None:
    """The accounts are known to hold the same calls."""
    parameters = json.dumps(sharp().to_json() | {"records": 1_000})
    for left, right in combinations(providers, 2):
        connection.execute(KNOWN, [left, right, sharp().support, parameters])


INSERT = """
    INSERT INTO call (provider, account, external_id, digest, source_updated_at, observed_at, payload, started_at,
        ended_at, duration_seconds, direction, outcome, remote_e164, own_e164, own_raw, parent_external_id, is_final)
    VALUES (%(provider)s, %(account)s, %(external_id)s, '', '-infinity', now(), '{}', %(started_at)s, %(ended_at)s,
        %(duration_seconds)s, %(direction)s, %(outcome)s, %(remote_e164)s, %(own_e164)s, %(own_raw)s,
        %(parent_external_id)s, %(is_final)s)
"""


def stored(
    connection: psycopg.Connection[Any], provider: str, at: float, length: float | None = None, **own: Any
) -> str:
    """One record in the database; its id at the provider."""
    external_id = own.get("external_id") or f"x{next(_ids)}"
    started: datetime = NOON + timedelta(seconds=at)
    values: dict[str, Any] = {
        "provider": provider,
        "account": "main",
        "external_id": external_id,
        "started_at": started,
        "ended_at": started + timedelta(seconds=length or 0),
        "duration_seconds": round(length or 0),
        "direction": "outbound",
        "outcome": "missed" if length is None else "answered",
        "remote_e164": "+33600000001",
        "own_e164": "+33100000001",
        "own_raw": None,
        "parent_external_id": None,
        "is_final": True,
    }
    connection.execute(INSERT, values | own)
    return external_id
