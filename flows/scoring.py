"""How well the demo's calls were recognised: the sandbox knows which records are one call."""

import json
import sys
from itertools import combinations
from urllib.request import urlopen

from sqlalchemy import Engine, text

Record = tuple[str, str]
Pair = tuple[Record, Record]

MEMBERS = text("SELECT provider, external_id, unified_call_id FROM v1.call WHERE unified_call_id IS NOT NULL")


def show_score(engine: Engine, sandbox_url: str) -> None:
    """Precision and recall of pairs of records, those of one provider aside."""
    with urlopen(f"{sandbox_url}/_truth/unified") as answer:  # noqa: S310 - our own sandbox
        same = [[(provider, id_) for provider, id_ in records] for records in json.load(answer)]
    with engine.connect() as connection:
        rows = connection.execute(MEMBERS).all()
    held = {(row.provider, row.external_id) for row in rows}
    calls: dict[int, list[Record]] = {}
    for row in rows:
        calls.setdefault(row.unified_call_id, []).append((row.provider, row.external_id))
    true = _pairs([[record for record in records if record in held] for records in same])
    said = _pairs(list(calls.values()))
    sys.stdout.write(
        f"\n{len(rows):,} records are {len(calls):,} real calls. Of {len(true):,} pairs that the sandbox knows to be "
        f"one call, {len(said & true):,} were found ({_share(len(said & true), len(true))}); "
        f"{_share(len(said & true), len(said))} of those found are right.\n"
    )


def _pairs(calls: list[list[Record]]) -> set[Pair]:
    return {pair for records in calls for pair in combinations(sorted(records), 2) if pair[0][0] != pair[1][0]}


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "none"
