"""Two exchanges' real logs with their truth: public exports of working offices.

Every number and name is replaced, country and kind of number kept; dates are moved; times and structure are as they
were. One line a record: `provider` (the exchange's own rows, one per attempt or leg; the tool above it, one row per
call, made from the same calls with a clock of its own), `call` (the real call, by the exchange's own link), `payload`.
"""

import gzip
import json
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from models.calibration.columns import DIRECTIONS, NO_TIME, OUTCOMES, Ints, Records, records_of
from models.rows import CallRow
from models.vocabulary import StreamName
from tasks.providers import PROVIDERS

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
FOLDER = Path(__file__).with_suffix("")
LOGS = ("groups", "legs")
"""2013, queues, ring groups to mobiles, voice mail, transfers: 549 calls. 2025, caller's and callee's leg: 472."""


class Log(NamedTuple):
    name: str
    records: Records
    truth: Ints
    """The real call of each record."""
    names: list[str]
    """Of the accounts."""


class Counted(NamedTuple):
    """How a log's records were joined."""

    real: int
    """Calls there were."""
    stand: int
    """Calls there are held to be."""
    seen: int
    """Real calls with a group that holds a record of each account."""
    mixed: int
    """Groups of records of several real calls."""


def load(name: str) -> Log:
    lines = _lines(name)
    names = sorted({line["provider"] for line in lines})
    rows = [_row(i, line, names) for i, line in enumerate(lines, 1)]
    return Log(name, records_of(rows), np.array([line["call"] for line in lines]), names)


def counted(log: Log, found: Ints) -> Counted:
    groups: dict[int, list[int]] = {}
    for place, call in enumerate(np.asarray(found).tolist()):
        groups.setdefault(call, []).append(place)
    calls = {call: {int(log.truth[place]) for place in places} for call, places in groups.items()}
    both = [call for call, places in groups.items() if np.unique(log.records["account"][places]).size > 1]
    seen = {real for call in both for real in calls[call] if len(calls[call]) == 1}
    return Counted(np.unique(log.truth).size, len(groups), len(seen), sum(len(real) > 1 for real in calls.values()))


def _row(id_: int, line: dict[str, Any], names: list[str]) -> tuple[Any, ...]:
    row = _mapped(line["provider"], line["payload"])
    times = (_micros(row.started_at), _micros(row.answered_at), _micros(row.ended_at))
    duration = -1 if row.duration_seconds is None else row.duration_seconds
    words = DIRECTIONS.index(row.direction), OUTCOMES.index(row.outcome)
    keys = (_key(row.external_id), _key(row.parent_external_id), _key(row.remote_e164), _key(row.own_e164))
    return (id_, names.index(line["provider"]), *keys, *times, duration, *words, 0)


def _mapped(provider: str, payload: dict[str, Any]) -> CallRow:
    (stream,) = (one for one in PROVIDERS[provider].streams if one.name is StreamName.CALLS)
    row = stream.to_row(TypeAdapter(stream.payload).validate_json(json.dumps(payload)), None, [])
    assert isinstance(row, CallRow)
    return row


def _micros(moment: datetime | None) -> int:
    return NO_TIME if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def _key(text: str | None) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) if text else 0


def rows(name: str) -> list[CallRow]:
    """The mapped rows, in the order of the records."""
    return [_mapped(line["provider"], line["payload"]) for line in _lines(name)]


def _lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]
