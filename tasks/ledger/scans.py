"""Lists without a time filter, read in parts: each part is a window of the ledger, and the whole is judged at its end.

Where a part ends is known beforehand where positions are counted, so that parts are read side by side; a cursor says
only once it is reached.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.claim import Claim, Part
from models.coverage import Sizes
from models.errors import ContractBroken
from models.json_text import array
from models.pagination import Paging, Position
from models.proof import NOTHING_CAME, PROVEN, UNDECIDED, Proof
from models.scan import PartRead, ScanOutcome, Step, has_moved, judge_scan
from models.tables.ledger import ScanPart, Sighting, Window
from models.vocabulary import Verdict, WindowState
from tasks.database import in_transaction, lock, texts
from tasks.ledger.windows import Ledger, Progress

log = logging.getLogger(__name__)

MOST_AHEAD = 8
"""Parts that are open at once: a list without an end is not followed further."""


class Ending(NamedTuple):
    """What finishing a part came to."""

    opened_more: bool
    missing: Sequence[str] = ()
    """Records that should have been there, where this part was the last of a scan that is otherwise proven."""
    came: int = 0
    """Distinct records of the whole scan, where it is at its end."""
    denial: str | None = None
    """The provider's own word against what it gave."""
    reason: str | None = None
    """Of the proof."""


FindMissing = Callable[[Connection, datetime], Sequence[str]]
"""(when a scan began that is proven) → records that it should have seen, by what it has noted."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan that a claimed window is a part of."""

    ledger: Ledger
    paging: Paging
    claim: Claim
    sizes: Sizes
    most_requests: int
    """Of all its parts."""
    distrust: str | None = None
    """Why it can prove nothing."""

    @property
    def part(self) -> Part:
        assert self.claim.part is not None
        return self.claim.part

    @property
    def id(self) -> str:
        return self.part.scan_id

    @property
    def parts(self) -> ColumnElement[bool]:
        return and_(self.ledger.source.matches, Window.scan_id == self.id)

    def run_ahead(self, position: Position) -> bool:
        """Opens the part that begins at `position` while this one is read; returns whether it did."""

        def work(connection: Connection) -> bool:
            lock(connection, self.id)
            return self._waiting(connection) < MOST_AHEAD and self.open(connection, position)

        return in_transaction(self.ledger.engine, work)

    def finish(
        self, progress: Progress, ids: set[str], following: Position | None, proof: Proof, find_missing: FindMissing
    ) -> Ending:
        """Closes the part and opens the next; judges the scan where no other part is open. Raises `ClaimLost`."""

        def work(connection: Connection) -> Ending:
            lock(connection, self.id)
            self.ledger.finish(connection, self.claim, progress, proof)
            fresh = self._remember(connection, ids)
            if following is not None:
                self._go_on(connection, following, fresh, progress.provider_total)
            if self._waiting(connection):
                return Ending(opened_more=following is not None)
            ending = ScanEnd(self, find_missing).judge(connection)
            if not ending.opened_more:
                forget(connection, self.id)
            return ending

        return in_transaction(self.ledger.engine, work)

    def take_up_anew(self, why: str) -> bool:
        """Begins the scan again where the place at which an earlier run left it is refused; returns whether it did.

        One that this run has read a part of was not left by another: it is not begun again, so not for ever.
        """

        def work(connection: Connection) -> bool:
            lock(connection, self.id)
            mine = select(Window.id).where(self.parts, Window.claimed_by == self.ledger.holder, Window.state == "done")
            if self.part.position == self.paging.start or connection.execute(mine).first() is not None:
                return False
            self.begin_again(connection, f"begun again, its place is refused: {why}", doubted=self.part.doubted)
            return True

        return in_transaction(self.ledger.engine, work)

    def begin_again(self, connection: Connection, reason: str, *, doubted: bool, moved: bool = False) -> None:
        """Gives up all parts, also those that are being read, and opens the list's first one."""
        given_up = {"state": WindowState.SPLIT, "verdict": Verdict.DRIFTED, "reason": reason}
        parts = update(Window).where(self.parts).values(given_up | ({"moved": True} if moved else {}))
        connection.execute(parts)
        forget(connection, self.id)
        exhaustive = self.part.exhaustive
        part = first_part(self.paging, self.paging.start, self.sizes, exhaustive=exhaustive, doubted=doubted)
        self.ledger.open_part(connection, part, self.row)

    def _waiting(self, connection: Connection) -> int:
        """How many parts are not finished."""
        return connection.execute(select(func.count()).where(self.parts, Window.state == "open")).scalar_one()

    def _remember(self, connection: Connection, ids: set[str]) -> int:
        """Notes what was seen; returns how much of it the scan had not seen before."""
        rows = select(literal(self.id), texts("ids"))
        noted = upsert(Sighting).from_select(["scan_id", "external_id"], rows).on_conflict_do_nothing()
        counted = {"preserve_rowcount": True}  # of an INSERT it is else -1
        return connection.execute(noted, {"ids": array(sorted(ids))}, execution_options=counted).rowcount

    def _go_on(self, connection: Connection, following: Position, fresh: int, total: int | None) -> None:
        """Opens the next part. Raises `ContractBroken` where the list never ends: it goes on beyond all that it counts,
        or counts nothing, and a whole part held nothing new.
        """
        asked = connection.execute(select(func.sum(Window.requests)).where(self.parts)).scalar_one()
        if asked > self.most_requests:
            raise ContractBroken(
                f"the list did not end after {asked:,} requests. CALLWEAVE_MAX_SCAN_REQUESTS raises that limit"
            )
        is_new = self.open(connection, following)
        is_circle = not is_new and self.part.end_position is None
        is_counted = total is not None and self.paging.reaches(following, total)
        if is_circle or (is_new and not fresh and not is_counted):
            raise ContractBroken("the list goes on without an end: its pages run in a circle or stay empty")

    def open(self, connection: Connection, position: Position, drifts: int = 0, end: Position | None = None) -> bool:
        at = and_(ScanPart.window_id == Window.id, ScanPart.position == position)
        same = select(Window.id).join(ScanPart, at).where(self.parts, Window.drifts == drifts)
        if connection.execute(same).first() is not None:
            return False
        end = end or self.paging.part_end(position, self.sizes.pages)
        part = replace(self.part, position=position, end_position=end)
        self.ledger.open_part(connection, part, self.row | {"drifts": drifts})
        return True

    @property
    def row(self) -> dict[str, Any]:
        return self.ledger.source.row(self.claim.origin, self.claim.span)


@dataclass(frozen=True, slots=True)
class ScanEnd:
    """A scan of which no part is open any more."""

    scan: Scan
    find_missing: FindMissing

    def judge(self, connection: Connection) -> Ending:
        parts = self._read(connection)
        came = connection.execute(select(func.count()).where(Sighting.scan_id == self.scan.id)).scalar_one()
        judged = judge_scan(parts, came, exhaustive=self.scan.part.exhaustive, doubted=self.scan.part.doubted)
        self._note_outcome(judged, came)
        if judged.step is Step.MEND:
            return self._mend(connection, judged.torn)
        if judged.step is Step.DOUBT:
            return self._begin_doubting(connection, parts)
        why = self.scan.distrust
        proof = Proof(Verdict.UNPROVEN, why, is_denied=True) if why else judged.proof
        if proof is not None:
            is_torn = proof.verdict is not Verdict.PROVEN and not proof.is_denied
            self._rule(connection, proof, moved=is_torn or has_moved(parts))
            if came == max(parts, key=lambda part: part.ended_at).total:
                connection.execute(update(ScanPart).where(ScanPart.scan_id == self.scan.id).values(doubted=False))
        verdicts = {proof.verdict} if proof else {part.verdict for part in parts}
        denial = proof.reason if proof and proof.is_denied else None
        if self.scan.ledger.source.filtered or verdicts != {Verdict.PROVEN}:
            return Ending(opened_more=False, came=came, denial=denial)
        if not came:
            self._rule(connection, NOTHING_CAME, moved=False)
        missing = self.find_missing(connection, min(part.began_at for part in parts))
        if missing:
            self._rule(connection, UNDECIDED, moved=False)
        return Ending(opened_more=False, came=came, missing=missing, reason=proof.reason if proof else None)

    def _note_outcome(self, judged: ScanOutcome, came: int) -> None:
        proof, source = judged.proof, self.scan.ledger.source
        is_plain = judged.step is Step.JUDGED and (proof is None or proof == PROVEN)
        why = {
            Step.MEND: f"{len(judged.torn)} parts do not touch the one before: read again from a page earlier",
            Step.DOUBT: "the total did not come true, or changed: each part is read until two readings are alike",
        }.get(judged.step, proof and f"{proof.verdict}{f', {proof.reason}' if proof.reason else ''}")
        level = logging.DEBUG if is_plain else logging.INFO
        log.log(
            level, "%s %s scan %.8s: %d records: %s", source.provider, source.stream, self.scan.id, came, why or "read"
        )

    def _read(self, connection: Connection) -> list[PartRead]:
        """The parts in the order of the list."""
        query = (
            select(
                Window.id,
                ScanPart.position,
                ScanPart.end_position,
                Window.verdict,
                Window.drifts,
                Window.started_at,
                Window.finished_at,
                Window.total_before,
                Window.provider_total,
                Window.says_more,
                Window.moved,
                func.coalesce(ScanPart.head_ids, []),
                func.coalesce(ScanPart.tail_ids, []),
            )
            .join(ScanPart, ScanPart.window_id == Window.id)
            .where(self.scan.parts, Window.state == "done")
        )
        rows: Iterable[Any] = connection.execute(query)
        parts = [PartRead(*row) for row in rows]
        counted = self.scan.part.end_position is not None
        return sorted(parts, key=lambda one: (int(one.position) if counted else one.window_id, one.drifts))

    def _mend(self, connection: Connection, torn: Sequence[PartRead]) -> Ending:
        """Has the parts that do not touch the one before them read again from a page earlier."""
        for part in torn:
            given_up = {"state": WindowState.SPLIT, "verdict": Verdict.DRIFTED, "scan_id": self.scan.id + "/drifted"}
            why = {"reason": "the list moved: read again from a page earlier", "moved": True}
            connection.execute(update(Window).where(Window.id == part.window_id).values(**given_up, **why))
            self.scan.open(connection, self.scan.paging.back(part.position), part.drifts + 1, part.end_position)
        return Ending(opened_more=True)

    def _begin_doubting(self, connection: Connection, parts: list[PartRead]) -> Ending:
        """Begins the scan again, each part to be read until two readings of it are alike."""
        again = "the provider counted other records than came, or counted otherwise under way: read again"
        self.scan.begin_again(connection, again, doubted=True, moved=has_moved(parts))
        return Ending(opened_more=True)

    def _rule(self, connection: Connection, proof: Proof, *, moved: bool) -> None:
        """The verdict of the scan on each of its parts."""
        values = {"verdict": proof.verdict, "reason": proof.reason} | ({"moved": True} if moved else {})
        connection.execute(update(Window).where(self.scan.parts, Window.state == "done").values(**values))


def first_part(paging: Paging, position: Position, sizes: Sizes, *, exhaustive: bool, doubted: bool) -> Part:
    """The first part of a new scan that begins at `position`."""
    end = paging.part_end(position, sizes.pages)
    return Part(uuid4().hex, position, end, exhaustive=exhaustive, doubted=doubted)


def forget(connection: Connection, scan_id: str) -> None:
    """Drops what a scan has seen."""
    connection.execute(delete(Sighting).where(Sighting.scan_id == scan_id))
