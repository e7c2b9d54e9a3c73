"""A batch of records: counted where that is clear already, else written or set aside."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from models.arrivals import Counts, Loadable, Rejection, Stored
from models.change import ENTITIES, Change
from models.vocabulary import ChangeKind, StreamName
from tasks.load.rejects import resolve, set_aside
from tasks.load.writer import write


@dataclass(slots=True)
class Batch:
    """What becomes of the records of one transaction."""

    stored: dict[str, Stored]
    rejected: list[Rejection]
    unchanged: int = 0
    duplicate: int = 0
    loadable: list[Loadable] = field(default_factory=list)
    first_seen: set[str] = field(default_factory=set)
    """Ids that this window reads for the first time: the load decides whether inserted, updated or unchanged."""
    readable: set[str] = field(default_factory=set)
    written: dict[str, ChangeKind] = field(default_factory=dict)
    """What the last `write` did to the records that it changed, by id."""

    def add(self, one: Loadable, *, is_first: bool) -> None:
        """A record to be written, and whether this window reads it for the first time."""
        self.loadable.append(one)
        self.readable.add(one.arrival.external_id)
        if is_first:
            self.first_seen.add(one.arrival.external_id)
        else:
            self.duplicate += 1

    def write(self, connection: Connection, stream: StreamName, key: dict[str, str]) -> Counts:
        """Writes and sets aside, in the caller's transaction; returns the completed counts."""
        self.written, refused = write(connection, stream, self.loadable, self.stored)
        set_aside(connection, stream, key, [*self.rejected, *refused])
        resolve(connection, stream, key, sorted(self.readable - {one.external_id for one in refused}))
        return self._counts(refused)

    def changes(self, stream: StreamName, key: dict[str, str]) -> list[Change]:
        """What `write` changed, for the change feed."""
        entity, provider, account = ENTITIES[stream], key["provider"], key["account"]
        return [Change(entity, provider, account, id_, kind) for id_, kind in self.written.items()]

    def _counts(self, refused: list[Rejection]) -> Counts:
        gone = {one.external_id for one in refused}
        fates = [self.written.get(id_) for id_ in self.first_seen - gone]
        inserted, unchanged = fates.count(ChangeKind.INSERTED), fates.count(None)
        return Counts(
            inserted=inserted,
            updated=len(fates) - inserted - unchanged,
            unchanged=self.unchanged + unchanged,
            duplicate=self.duplicate,
            rejected=len(self.rejected) + len(self.first_seen & gone),
            deleted=len(self._newly_deleted() & self.written.keys()),
        )

    def _newly_deleted(self) -> set[str]:
        ids = {one.arrival.external_id for one in self.loadable if one.prepared.is_deleted}
        return {id_ for id_ in ids if id_ not in self.stored or not self.stored[id_].is_deleted}
