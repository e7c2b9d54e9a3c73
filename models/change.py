"""One line of the change feed."""

from typing import NamedTuple

from models.vocabulary import ChangeKind, Entity, StreamName


class Change(NamedTuple):
    """What happened to one record."""

    entity: Entity
    provider: str
    account: str
    external_id: str
    kind: ChangeKind
    unified_call_id: int | None = None
    """The real call that the record belongs to from now on, where the change is one of matching."""


ENTITIES: dict[StreamName, Entity] = {StreamName.CALLS: Entity.CALL, StreamName.CONTACTS: Entity.CONTACT}
