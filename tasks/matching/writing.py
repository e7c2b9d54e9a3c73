"""Deciding a piece and writing what differs, in one transaction."""

from typing import Any, NamedTuple

import numpy as np
import psycopg

from models.matching.candidates import RULES, Rule
from models.matching.decide import Decision, Matches, decide
from models.matching.records import Bools, Floats, Ints, Records
from models.matching.statements import (
    CALM,
    DISSOLVE,
    ENTER,
    ENTER_NEW,
    FORM,
    FORM_NEW,
    LEAVE,
    NOTE,
    STAGES,
    VIE,
)
from tasks.matching.copying import copy_in
from tasks.matching.reading import Knowledge, Piece, read

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
    verdicts = knowledge.verdicts_on(records["id"])
    decision = decide(records, knowledge.calibrations, verdicts, records["was"])
    mine = _mine(records, decision.block, own, touched)
    _stage(connection, records, only(decision, mine), mine, knowledge)
    is_new = not records["was"][mine].any()
    return _write(connection, int(mine.sum()), knowledge, run, is_new=is_new)


def _mine(records: Records, block: Ints, own: int, touched: Ints | None) -> Bools:
    """The records of blocks whose earliest touched record is among the first `own` ones."""
    counts = np.ones(len(records), bool) if touched is None else np.isin(records["id"], touched)
    order = np.lexsort((records["id"], records["started"], ~counts, block))
    names, first = np.unique(block[order], return_index=True)
    return np.isin(block, names[order[first] < own])


def only(decision: Decision, mine: Bools) -> Decision:
    """The part of the pairs that is within whole blocks."""
    held = mine[decision.matches.left]
    left, right, rule, margin, evidence = decision.matches
    matches = Matches(left[held], right[held], rule[held], margin[held], evidence.only(held))
    vying = mine[decision.rivals[0]]
    return decision._replace(matches=matches, rivals=(decision.rivals[0][vying], decision.rivals[1][vying]))


def _write(
    connection: psycopg.Connection[Any], records: int, knowledge: Knowledge, run: tuple[int, str], *, is_new: bool
) -> Written:
    """Writes what the staged decision changes."""
    values = {"run": run[0], "cause": run[1], "rules": [str(rule) for rule in RULES]}
    if is_new:
        formed = connection.execute(FORM_NEW, values).rowcount
        changed = connection.execute(ENTER_NEW, knowledge.names).rowcount
        connection.execute(VIE)
        return Written(records, changed, formed)
    dissolved = connection.execute(DISSOLVE, values).rowcount
    formed = connection.execute(FORM, values).rowcount
    connection.execute(LEAVE)
    changed = connection.execute(ENTER, knowledge.names).rowcount
    for statement in (NOTE, CALM, VIE):
        connection.execute(statement)
    return Written(records, changed, formed, dissolved)


def _stage(
    connection: psycopg.Connection[Any], records: Records, decision: Decision, mine: Bools, knowledge: Knowledge
) -> None:
    for statement in STAGES:
        connection.execute(statement)
    connection.execute("TRUNCATE stage_member, stage_match, stage_rival")
    ids = records["id"]
    members = _members(records, decision, knowledge)
    copy_in(connection, "stage_member", [(name, values[mine]) for name, values in members])
    copy_in(connection, "stage_match", _matches(records, decision, knowledge))
    copy_in(
        connection, "stage_rival", [("call_id", ids[decision.rivals[0]]), ("rival_call_id", ids[decision.rivals[1]])]
    )
    for table in ("stage_member", "stage_match", "stage_rival"):
        connection.execute(f"ANALYZE {table}")


def _members(records: Records, decision: Decision, knowledge: Knowledge) -> list[tuple[str, Any]]:
    root = decision.legs.root
    is_leg = root != np.arange(len(records))
    confidence, by_prior = _certainty(records, decision, knowledge)
    return [
        ("call_id", records["id"]),
        ("unified_call_id", decision.call),
        ("no", (records["account"] + 1).astype(np.int32)),
        ("leg_of", np.where(is_leg, records["id"][root], 0)),
        ("speaks", decision.legs.speaks.astype(np.int32)),
        ("confidence", confidence.astype(np.float32)),
        ("by_prior", by_prior.astype(np.int32)),
        ("changed_at", records["changed"]),
    ]


def _certainty(records: Records, decision: Decision, knowledge: Knowledge) -> tuple[Floats, Bools]:
    """Of each record's real call: how sure it is, and whether a prior had a say."""
    matches = decision.matches
    names, place = np.unique(decision.call, return_inverse=True)
    margin, prior = np.full(names.size, np.inf), np.zeros(names.size, bool)
    at = place[matches.left]
    np.minimum.at(margin, at, matches.margin)
    np.logical_or.at(prior, at, _by_prior(records, decision, knowledge))
    return (1.0 / (1.0 + np.exp(-np.minimum(margin, 50.0))))[place], prior[place]


def _by_prior(records: Records, decision: Decision, knowledge: Knowledge) -> Bools:
    left, right = (records["account"][side] for side in (decision.matches.left, decision.matches.right))
    priors = {pair for pair, known in knowledge.calibrations.items() if known.is_prior}
    return np.array(
        [(min(a, b), max(a, b)) in priors for a, b in zip(left.tolist(), right.tolist(), strict=True)], bool
    )


def _matches(records: Records, decision: Decision, knowledge: Knowledge) -> list[tuple[str, Any]]:
    """The smaller id on the left, so that a pair has one name."""
    matches, ids = decision.matches, records["id"]
    ends = ids[matches.left], ids[matches.right]
    accounts = np.stack([records["account"][matches.left], records["account"][matches.right]])
    score = np.where(matches.rule == RULES.index(Rule.VERDICT), VERDICT_SCORE, matches.evidence.score)
    parts = {"score": score, "margin": np.minimum(matches.margin, VERDICT_SCORE)} | matches.evidence._asdict()
    return [
        ("left_call_id", np.minimum(*ends)),
        ("right_call_id", np.maximum(*ends)),
        ("unified_call_id", decision.call[matches.left]),
        ("rule", matches.rule.astype(np.int32)),
        *((name, values.astype(np.float32)) for name, values in parts.items()),
        ("calibration_id", _calibration_ids(accounts, knowledge)),
    ]


def _calibration_ids(accounts: Ints, knowledge: Knowledge) -> Ints:
    size = len(knowledge.accounts)
    table: Ints = np.zeros((size, size), np.int64)
    for (one, other), id_ in knowledge.calibration_ids.items():
        table[one, other] = table[other, one] = id_
    ids: Ints = table[accounts[0], accounts[1]]
    return ids
