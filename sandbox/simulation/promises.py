"""What Callweave claims, held against what the sandbox's providers really hold: docs/promises.md as a check.

A claim is a window, or a whole scan, that is done and proven. It speaks of the records that were last written before
its reading began. `v1.sync_status` may claim nothing beyond the claims that it rests on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.rows import dict_row

from models.errors import Rejected
from models.json_text import clean
from models.rows import CallRow
from models.vocabulary import StreamName
from sandbox.server import Sandbox
from tasks.load.parser import Parser
from tasks.providers import PROVIDERS

_CLAIMS = """
    SELECT min(id) AS id, min(since) AS since, max(until) AS until, min(started_at) AS began FROM sync_window
    WHERE (provider, stream) = (%(provider)s, %(stream)s) AND NOT filtered
    GROUP BY listing, coalesce(scan_id, id::text)
    HAVING bool_and(state = 'done' AND verdict = 'proven')
"""
_BEYOND = f"""
    WITH claims AS ({_CLAIMS}), claimed AS (
        SELECT coalesce(range_agg(tstzrange(since, until)) FILTER (WHERE since IS NOT NULL), '{{}}') AS spans,
               max(coalesce(until, began)) AS newest FROM claims
    ) SELECT covered - spans AS spans, complete_up_to, newest FROM v1.sync_status, claimed
    WHERE (provider, stream) = (%(provider)s, %(stream)s)
      AND (covered - spans <> '{{}}' OR complete_up_to > newest OR complete_up_to > clock_timestamp())
"""  # noqa: S608 - of our own statements
_COMPLETE = "SELECT complete_up_to FROM v1.sync_status WHERE (provider, stream) = (%(provider)s, %(stream)s)"
_UNPROVEN = """
    SELECT coalesce(reason, '') AS reason FROM sync_window
    WHERE (provider, stream) = (%(provider)s, %(stream)s) AND NOT filtered
      AND (state = 'open' OR (state = 'done' AND verdict <> 'proven'))
"""
_STORED = "SELECT external_id, payload, deleted_at FROM v1.{view} WHERE provider = %(provider)s"
_TOMBSTONES = "SELECT external_id FROM {view} WHERE provider = %(provider)s AND vanished_at IS NOT NULL"
_UNEQUAL = """
    SELECT id FROM sync_window
    WHERE fetched <> inserted + updated + unchanged + rejected + duplicate OR distinct_ids > fetched
"""

Json = dict[str, Any]


class Claim(NamedTuple):
    """That all is held of a stretch of time, as it was when the reading began; of the whole list, where it has none."""

    id: int
    since: datetime | None
    until: datetime | None
    began: datetime

    def __str__(self) -> str:
        span = f"of {self.since:%F %T} to {self.until:%F %T}" if self.since and self.until else "of the whole list"
        return f"window {self.id}, proven {span}"

    def concerns(self, record: "Held") -> bool:
        if record.written and record.written >= self.began:
            return False
        if record.started is None or self.since is None or self.until is None:
            return True
        return self.since <= record.started < self.until


class Held(NamedTuple):
    """A record as the provider holds it."""

    started: datetime | None
    """When a call began; None of a contact."""
    payload: Json
    written: datetime | None
    """When it was last changed; None: before anything was read."""


@dataclass(frozen=True, slots=True)
class Promises:
    """One stream of one provider, whose records were last `written`, by id, at these times of the database's clock."""

    connection: psycopg.Connection[Any]
    sandbox: Sandbox
    provider: str
    stream: StreamName
    written: Mapping[str, datetime] = field(default_factory=dict)

    def broken(self) -> list[str]:
        """Each claim that is not true, in words."""
        truth, stored = self.truth(), self.stored()
        claims = [Claim(**row) for row in self._rows(_CLAIMS)]
        untrue = [said for claim in claims for said in _untrue(claim, truth, stored)]
        beyond = [f"v1.sync_status claims more than was proven: {row}" for row in self._rows(_BEYOND)]
        unequal = [f"the receipt of window {row['id']} does not add up" for row in self._rows(_UNEQUAL)]
        return untrue + beyond + unequal + self._false_tombstones()

    def difference(self) -> str | None:
        """How what is stored differs from what the provider holds, whatever is claimed."""
        truth, stored = {id_: held.payload for id_, held in self.truth().items()}, self.stored()
        other = sorted(id_ for id_ in truth.keys() | stored.keys() if truth.get(id_) != stored.get(id_))
        return f"{len(other)} of {len(truth)} records differ, such as {other[0]}" if other else None

    def lacking(self, since: datetime) -> str | None:
        """What the provider holds from `since` on and is not stored so, whatever is claimed."""
        stored = self.stored()
        held = {id_: one.payload for id_, one in self.truth().items() if one.started is None or one.started >= since}
        lacking = sorted(id_ for id_, payload in held.items() if stored.get(id_) != payload)
        return f"{len(lacking)} of {len(held)} records are not stored, such as {lacking[0]}" if lacking else None

    def is_complete(self, until: datetime) -> bool:
        """Whether the status says that nothing is missing up to some moment."""
        return any(row["complete_up_to"] and row["complete_up_to"] >= until for row in self._rows(_COMPLETE))

    def admitted(self) -> list[str]:
        """The reasons kept with windows that are open or not proven."""
        return [str(row["reason"]) for row in self._rows(_UNPROVEN)]

    def truth(self) -> dict[str, Held]:
        """What the provider holds and does not itself call deleted."""
        parser = Parser(PROVIDERS[self.provider].stream(self.stream), None)
        table = self.sandbox.world.tables[self.provider][self.stream]
        read = ((id_, self._held(parser, id_, body)) for id_, body in zip(table.ids(), table.bodies, strict=True))
        return {id_: held for id_, held in read if held and not held.payload.get("deletedAt")}

    def stored(self) -> dict[str, Json]:
        """What we hold and do not call deleted. Raises `AssertionError` where a record is held twice."""
        rows = self._rows(_STORED.format(view=self._view))
        assert len(rows) == len({row["external_id"] for row in rows}), "a record is stored twice"
        return {row["external_id"]: row["payload"] for row in rows if row["deleted_at"] is None}

    def now(self) -> datetime:
        """By the database's clock."""
        now: datetime = self._rows("SELECT clock_timestamp() AS now")[0]["now"]
        return now

    def _held(self, parser: Parser, id_: str, body: bytes) -> Held | None:
        """None where the record cannot be read at all: it is set aside, and nothing is claimed of it."""
        try:
            row = parser.to_row(parser.parse(clean(body)))
        except Rejected:
            return None
        started = row.started_at if isinstance(row, CallRow) else None
        return Held(started, msgspec.json.decode(body), self.written.get(id_))

    def _false_tombstones(self) -> list[str]:
        ids = set(self.sandbox.world.tables[self.provider][self.stream].ids())
        gone = [row["external_id"] for row in self._rows(_TOMBSTONES.format(view=self._view))]
        return [f"{id_} is marked as deleted and exists" for id_ in gone if id_ in ids]

    @property
    def _view(self) -> str:
        return self.stream.value.removesuffix("s")

    def _rows(self, query: str) -> list[Json]:
        values = {"provider": self.provider, "stream": self.stream.value}
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values).fetchall()


def _untrue(claim: Claim, truth: Mapping[str, Held], stored: Mapping[str, Json]) -> Iterator[str]:
    """One sentence for each way in which a claim is not true."""
    expected = {id_: held for id_, held in truth.items() if claim.concerns(held)}
    if missing := sorted(expected.keys() - stored.keys()):
        yield f"{claim}: {len(missing)} of {len(expected)} records are missing, such as {missing[0]}"
    if old := sorted(id_ for id_, held in expected.items() if stored.get(id_, held.payload) != held.payload):
        yield f"{claim}: {len(old)} of {len(expected)} records are not as the provider holds them, such as {old[0]}"
