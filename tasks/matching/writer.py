"""Deciding a piece and writing what differs, in one transaction."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import psycopg

from models.calibration.columns import Bools, Ints, Records
from models.matching.closed import Closed
from models.matching.decide import Decision, Matches, decide
from models.matching.pairing import RULES, Rule
from tasks.change_feed import IN_ORDER
from tasks.database import lock, scalar
from tasks.matching.pgcopy import Columns, copy_in
from tasks.matching.reader import Knowledge, Piece, read
from tasks.matching.sql import (
    CALM,
    DISSOLVE,
    ENTER,
    FEED,
    FEED_OF_NEW,
    FORM,
    LEAVE,
    LOGGED_SO_FAR,
    NOTE,
    STAGES,
    VIE,
)
from tasks.unified_calls import refresh, refresh_stale

VERDICT_SCORE = 100.0
"""Nats: more than any evidence."""


class Written(NamedTuple):
    records: int = 0
    changed: int = 0
    """Members that entered, or went elsewhere."""
    formed: int = 0
    dissolved: int = 0

    def __add__(self, other: object) -> "Written":
        assert isinstance(other, Written)
        return Written(*(a + b for a, b in zip(self, other, strict=True)))


class Decided(NamedTuple):
    """What is to stand in the tables of members, pairs and rivals."""

    members: Columns
    matches: Columns
    rivals: Columns


def reconcile_piece(
    connection: psycopg.Connection[Any],
    piece: Piece,
    touched: Ints | None,
    knowledge: Knowledge,
    run: tuple[int, str],
) -> Written:
    """Decides the blocks whose earliest record is the piece's own. `run` is its id and its cause.

    `touched` are all records that the run is about, None for every record: the earliest of those counts.
    """
    records, own = read(connection, piece, knowledge)
    if not own:
        return Written()
    judgements = knowledge.judgements_on(records["id"])
    closed = Closed(records, knowledge.calibrations, knowledge.lines, judgements)
    decision = decide(closed, records["was"], knowledge.join)
    mine = _mine(records, decision.block, own, touched)
    decided = _decided(records, only(decision, mine), mine, knowledge)
    count = int(mine.sum())
    real_calls = _real_calls(records["was"][mine], decided.members["unified_call_id"])
    if not records["was"][mine].any():
        _copy(connection, decided, knowledge, run[0])
        # No other transaction sees these members yet: most of the work is done before others have to wait for it.
        refresh(connection, real_calls)
        lock(connection, IN_ORDER)
        refresh_stale(connection, real_calls, run[0])
        connection.execute(FEED_OF_NEW, {"matched": _matched(decided)})
        return Written(count, changed=count, formed=decided.matches["rule"].size)
    since = logged_so_far(connection)
    _stage(connection, decided)
    written = _write(connection, count, knowledge, run)
    feed(connection, since, real_calls)
    return written


def logged_so_far(connection: psycopg.Connection[Any]) -> int:
    """The newest entry of the log of pairs."""
    newest: int = scalar(connection, LOGGED_SO_FAR)
    return newest


def feed(connection: psycopg.Connection[Any], since: int, real_calls: Sequence[int]) -> None:
    """Appends to the change feed what the pairs logged after `since` did to records; last in the transaction.

    Brings `real_calls` up to date before.
    """
    lock(connection, IN_ORDER)
    refresh(connection, real_calls)
    connection.execute(FEED, {"since": since})


def _real_calls(before: Ints, after: Ints) -> list[int]:
    """Ids of the real calls that records are in, or were in."""
    ids: list[int] = np.union1d(before[before != 0], after).tolist()
    return ids


def _matched(decided: Decided) -> list[int]:
    """Ids of the records of pairs."""
    ids: list[int] = np.union1d(decided.matches["left_call_id"], decided.matches["right_call_id"]).tolist()
    return ids


def _mine(records: Records, block: Ints, own: int, touched: Ints | None) -> Bools:
    """The records of blocks whose earliest touched record is among the first `own` ones."""
    counts = np.ones(len(records), bool) if touched is None else np.isin(records["id"], touched)
    order = np.lexsort((records["id"], records["started"], ~counts, block))
    names, first = np.unique(block[order], return_index=True)
    return np.isin(block, names[order[first] < own])


def only(decision: Decision, mine: Bools) -> Decision:
    """The part of the pairs that is within whole blocks."""
    held = mine[decision.matches.left]
    left, right, rule, probability, evidence = decision.matches
    matches = Matches(left[held], right[held], rule[held], probability[held], evidence.only(held))
    vying = mine[decision.rivals[0]]
    return decision._replace(matches=matches, rivals=(decision.rivals[0][vying], decision.rivals[1][vying]))


def _write(connection: psycopg.Connection[Any], records: int, knowledge: Knowledge, run: tuple[int, str]) -> Written:
    """Writes what the staged decision changes."""
    values = {"run": run[0], "cause": run[1], "rules": [str(rule) for rule in RULES]}
    dissolved = connection.execute(DISSOLVE, values).rowcount
    formed = connection.execute(FORM, values).rowcount
    connection.execute(LEAVE)
    changed = connection.execute(ENTER, knowledge.names).rowcount
    for statement in (NOTE, CALM, VIE):
        connection.execute(statement)
    return Written(records, changed, formed, dissolved)


def _copy(connection: psycopg.Connection[Any], decided: Decided, knowledge: Knowledge, run_id: int) -> None:
    """Writes of records that were in no real call so far: there is nothing to compare them with."""
    members, matches = decided.members, decided.matches
    for no, (provider, account) in enumerate(knowledge.accounts, 1):
        for is_leg in (False, True):
            chosen = (members["no"] == no) & ((members["leg_of"] != 0) == is_leg)
            left_out = {"no"} if is_leg else {"no", "leg_of"}
            part = {name: values[chosen] for name, values in members.items() if name not in left_out}
            copy_in(connection, "call_member", part, provider=provider, account=account)
    for number, rule in enumerate(RULES):
        part = {name: values[matches["rule"] == number] for name, values in matches.items() if name != "rule"}
        copy_in(connection, "call_match", part, rule=rule)
    logged = {name: matches[name] for name in ("left_call_id", "right_call_id", "unified_call_id", "score")}
    logged["run_id"] = np.full(matches["rule"].size, run_id)
    copy_in(connection, "match_log", logged, kind="formed", cause="new record")
    copy_in(connection, "call_rival", decided.rivals)


def _stage(connection: psycopg.Connection[Any], decided: Decided) -> None:
    for statement in STAGES:
        connection.execute(statement)
    connection.execute("TRUNCATE stage_member, stage_match, stage_rival")
    for table, columns in zip(("stage_member", "stage_match", "stage_rival"), decided, strict=True):
        copy_in(connection, table, columns)
        connection.execute(f"ANALYZE {table}")


def _decided(records: Records, decision: Decision, mine: Bools, knowledge: Knowledge) -> Decided:
    rivals = np.unique(records["id"][np.stack(decision.rivals, axis=1)], axis=0)
    return Decided(
        {name: values[mine] for name, values in _members(records, decision).items()},
        _matches(records, decision, knowledge),
        {"call_id": rivals[:, 0], "rival_call_id": rivals[:, 1]},
    )


def _members(records: Records, decision: Decision) -> Columns:
    root = decision.legs.root
    is_leg = root != np.arange(len(records))
    return {
        "call_id": records["id"],
        "unified_call_id": decision.call,
        "no": (records["account"] + 1).astype(np.int32),
        "leg_of": np.where(is_leg, records["id"][root], 0),
        "speaks": decision.legs.speaks,
        "confidence": decision.confidence.astype(np.float32),
        "by_prior": np.zeros(len(records), bool),
        "changed_at": records["changed"],
    }


def _matches(records: Records, decision: Decision, knowledge: Knowledge) -> Columns:
    """The smaller id on the left, so that a pair has one name."""
    matches, ids = decision.matches, records["id"]
    ends = ids[matches.left], ids[matches.right]
    accounts = np.stack([records["account"][matches.left], records["account"][matches.right]])
    score = np.where(matches.rule == RULES.index(Rule.VERDICT), VERDICT_SCORE, matches.evidence.score)
    share = np.clip(matches.probability, 1e-9, 1 - 1e-9)
    parts = {"score": score, "margin": np.log(share / (1 - share))} | matches.evidence._asdict()
    return {
        "left_call_id": np.minimum(*ends),
        "right_call_id": np.maximum(*ends),
        "unified_call_id": decision.call[matches.left],
        "rule": matches.rule.astype(np.int32),
        **{name: values.astype(np.float32) for name, values in parts.items()},
        "calibration_id": _calibration_ids(accounts, knowledge),
    }


def _calibration_ids(accounts: Ints, knowledge: Knowledge) -> Ints:
    size = len(knowledge.accounts)
    table: Ints = np.zeros((size, size), np.int64)
    for (one, other), id_ in knowledge.calibration_ids.items():
        table[one, other] = table[other, one] = id_
    ids: Ints = table[accounts[0], accounts[1]]
    return ids
