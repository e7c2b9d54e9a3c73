"""Lists without a time filter, read in parts: each part is a window of the ledger, and the whole is judged at its end.

Where a part ends is known beforehand where positions are counted, so that parts are read side by side; a cursor tells
only once it is reached. Parts of a list that moved between their readings do not touch: the later one is read again
from a page earlier.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.errors import ContractBroken
from models.json_text import array
from models.paging import Paging, Position
from models.tables import Sighting, Window
from models.upsert import texts
from models.vocabulary import Verdict, WindowState
from models.window import PAGES_BEFORE_HALVING
from tasks.database import in_transaction, lock
from tasks.ledger import Claim, Ledger, Progress

MOST_DRIFTS = 3
"""How often a stretch of a moving list is read again before its scan is left unproven."""
MOST_AHEAD = 8
"""Parts that are open at once: a list without an end is not followed further."""


class Ending(NamedTuple):
    """What finishing a part came to."""

    opened_more: bool
    proven_since: datetime | None = None
    """When the scan began, where this part was its last and all of the list is proven: what it saw is kept for once."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan that a claimed window is a part of."""

    ledger: Ledger
    paging: Paging
    claim: Claim
    id: str

    @property
    def _parts(self) -> ColumnElement[bool]:
        return and_(self.ledger.source.matches, Window.scan_id == self.id)

    def run_ahead(self, position: Position) -> bool:
        """Opens the part that begins at `position` while this one is read; tells whether it did."""

        def work(connection: Connection) -> bool:
            lock(connection, self.id)
            return self._waiting(connection) < MOST_AHEAD and self._open(connection, position)

        return in_transaction(self.ledger.engine, work)

    def finish(
        self, progress: Progress, ids: set[str], following: Position | None, verdict: Verdict, reason: str | None
    ) -> Ending:
        """Closes the part and opens the next; judges the scan where no other part is open. Raises `ClaimLost`."""

        def work(connection: Connection) -> Ending:
            lock(connection, self.id)
            self.ledger.finish(connection, self.claim, progress, verdict, reason)
            fresh = self._remember(connection, ids)
            if following is not None:
                self._go_on(connection, following, fresh)
            if self._waiting(connection):
                return Ending(opened_more=following is not None)
            ending = self._judge(connection)
            if not ending.opened_more and ending.proven_since is None:
                forget(connection, self.id)
            return ending

        return in_transaction(self.ledger.engine, work)

    def _waiting(self, connection: Connection) -> int:
        """How many parts are not finished."""
        return connection.execute(select(func.count()).where(self._parts, Window.state == "open")).scalar_one()

    def _remember(self, connection: Connection, ids: set[str]) -> int:
        """Notes what was seen; returns how much of it the scan had not seen before."""
        rows = select(literal(self.id), texts("ids"))
        noted = upsert(Sighting).from_select(["scan_id", "external_id"], rows).on_conflict_do_nothing()
        return connection.execute(noted, {"ids": array(sorted(ids))}).rowcount

    def _go_on(self, connection: Connection, following: Position, fresh: int) -> None:
        """Opens the next part. Raises `ContractBroken` where the list never ends."""
        is_new = self._open(connection, following)
        is_circle = not is_new and self.claim.end_position is None
        if is_circle or (is_new and not fresh):
            raise ContractBroken("the list goes on without an end: its pages run in a circle or stay empty")

    def _open(self, connection: Connection, position: Position, drifts: int = 0, end: Position | None = None) -> bool:
        same = select(Window.id).where(self._parts, Window.position == position, Window.drifts == drifts)
        if connection.execute(same).first() is not None:
            return False
        part = {"scan_id": self.id, "position": position, "drifts": drifts, "doubted": self.claim.doubted}
        end = end or next_part(self.paging, position)
        connection.execute(insert(Window), [self._row | part | {"end_position": end}])
        return True

    @property
    def _row(self) -> dict[str, Any]:
        return self.ledger.source.row(self.claim.origin, self.claim.span) | {"exhaustive": self.claim.exhaustive}

    def _judge(self, connection: Connection) -> Ending:
        parts = self._sorted(connection.execute(select(Window.__table__).where(self._parts)).all())
        if torn := list(_torn(parts)) if self.claim.end_position else []:
            return self._mend(connection, torn)
        if self._agrees(connection, parts):
            moved = {"moved": True} if _totals(parts) > 1 else {}
            self._rule(connection, verdict=Verdict.PROVEN, reason=None, doubted=False, **moved)
        elif self._has_lied(parts):
            return self._begin_doubting(connection, parts)
        unproven = select(func.count()).where(self._parts, Window.verdict != Verdict.PROVEN)
        tells_all = self.claim.exhaustive and not self.ledger.source.filtered
        is_proven = tells_all and not connection.execute(unproven).scalar_one()
        return Ending(opened_more=False, proven_since=min(part.started_at for part in parts) if is_proven else None)

    def _sorted(self, parts: Iterable[Any]) -> list[Any]:
        counted = self.claim.end_position is not None
        return sorted(parts, key=lambda part: (int(part.position) if counted else part.id, part.drifts))

    def _mend(self, connection: Connection, torn: list[Any]) -> Ending:
        """Has the parts that do not touch the one before them read again from a page earlier."""
        if any(part.drifts >= MOST_DRIFTS for part in torn):
            moved = f"the list moved: after {MOST_DRIFTS} readings its parts still do not touch"
            self._rule(connection, verdict=Verdict.UNPROVEN, reason=moved, moved=True)
            return Ending(opened_more=False)
        for part in torn:
            given_up = {"state": WindowState.SPLIT, "verdict": Verdict.DRIFTED, "scan_id": self.id + "/drifted"}
            why = {"reason": "the list moved: read again from a page earlier", "moved": True}
            connection.execute(update(Window).where(Window.id == part.id).values(**given_up, **why))
            self._open(connection, self.paging.back(part.position), part.drifts + 1, part.end_position)
        return Ending(opened_more=True)

    def _agrees(self, connection: Connection, parts: list[Any]) -> bool:
        """Whether as many records came as the provider counted last."""
        total = max(parts, key=lambda part: part.finished_at).provider_total
        if total is None or not self.claim.exhaustive:
            return False
        came = connection.execute(select(func.count()).where(Sighting.scan_id == self.id)).scalar_one()
        return bool(came == total)

    def _has_lied(self, parts: list[Any]) -> bool:
        """Whether a total that was to prove the scan did not come true."""
        trusted = self.claim.exhaustive and not self.claim.doubted
        return trusted and any(part.provider_total is not None for part in parts)

    def _begin_doubting(self, connection: Connection, parts: list[Any]) -> Ending:
        """Begins the scan anew, each part to be read until two readings of it are alike."""
        again = "the records that came are not as many as the provider counted: read again"
        self._rule(connection, state=WindowState.SPLIT, verdict=Verdict.DRIFTED, reason=again, moved=_totals(parts) > 1)
        forget(connection, self.id)
        anew = new_scan(self.paging, parts[0].position) | {"doubted": True}
        connection.execute(insert(Window), [self._row | anew])
        return Ending(opened_more=True)

    def _rule(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(Window).where(self._parts).values(**values))


def new_scan(paging: Paging, position: Position) -> dict[str, Any]:
    """What makes a window the first part of a scan that begins at `position`."""
    return {"scan_id": uuid4().hex, "position": position, "end_position": next_part(paging, position)}


def next_part(paging: Paging, position: Position) -> Position | None:
    """Where the part after the one at `position` begins, where that is known before it is read."""
    return paging.part_end(position, PAGES_BEFORE_HALVING)


def forget(connection: Connection, scan_id: str) -> None:
    """Drops what a scan has seen."""
    connection.execute(delete(Sighting).where(Sighting.scan_id == scan_id))


def _torn(parts: list[Any]) -> Iterator[Any]:
    """The parts that share no record with the end of the part before them."""
    for before, part in pairwise(parts):
        if before.tail_ids and part.head_ids and set(before.tail_ids).isdisjoint(part.head_ids):
            yield part


def _totals(parts: list[Any]) -> int:
    """How many different totals the provider told during the scan."""
    return len({total for part in parts for total in (part.total_before, part.provider_total)})
