"""Known content is counted; new and changed content is read and prepared for the load."""

from collections.abc import Sequence
from typing import NamedTuple

from models.arrivals import Arrival, Loadable, Prepared, Rejection, Stored
from tasks.load.batch import Batch
from tasks.load.parser_process import prepare
from tasks.load.store import RecordStore

Fresh = tuple[Arrival, bool]
"""A record that has to be read, and whether its window reads it for the first time."""


class Seen(NamedTuple):
    """What a window has read, by id."""

    digests: dict[str, bytes]
    number_ids: dict[str, bool]
    """Whether the id came as a JSON number."""

    @classmethod
    def nothing(cls) -> "Seen":
        return cls({}, {})


def classify(store: RecordStore, arrivals: Sequence[Arrival | Rejection], seen: Seen) -> Batch:
    """Each of `arrivals` in exactly one place of a batch.

    Args:
        store: where the records belong.
        arrivals: in the order of their pages.
        seen: what this window has read; `arrivals` are added.
    """
    whole = [one for one in arrivals if isinstance(one, Arrival)]
    rejected = [one for one in arrivals if isinstance(one, Rejection)]
    batch = Batch(store.stored([one.external_id for one in whole if one.external_id not in seen.digests]), rejected)
    own = [arrival for arrival in whole if _is_itself(arrival, batch, seen.number_ids)]
    fresh = [one for arrival in own if (one := _fresh(arrival, batch, seen.digests))]
    for (arrival, is_first), prepared in zip(fresh, _prepared(store, fresh), strict=True):
        if isinstance(prepared, str):
            batch.rejected.append(arrival.rejected(prepared))
        else:
            batch.add(Loadable(arrival, prepared), is_first=is_first)
    return batch


def _is_itself(arrival: Arrival, batch: Batch, number_ids: dict[str, bool]) -> bool:
    """False, and set aside, for a record of a list whose id 1 is another's "1": they would be one row."""
    if arrival.by_id or number_ids.setdefault(arrival.external_id, arrival.id_is_number) == arrival.id_is_number:
        return True
    kinds = ("a number", "text") if arrival.id_is_number else ("text", "a number")
    reason = f"its id {arrival.external_id[:40]} is {kinds[0]}, and that of another record is {kinds[1]}"
    batch.rejected.append(Rejection(None, arrival.text, arrival.digest, reason))
    return False


def _fresh(arrival: Arrival, batch: Batch, seen: dict[str, bytes]) -> Fresh | None:
    """The record, where it has to be read; else it is counted."""
    earlier, held = seen.get(arrival.external_id), batch.stored.get(arrival.external_id)
    same_kind, other_kind = held.digests(by_id=arrival.by_id) if held else (None, None)
    seen[arrival.external_id] = arrival.digest
    if earlier == arrival.digest or (earlier is not None and arrival.is_known):
        batch.duplicate += 1
    elif earlier is None and (arrival.is_known or same_kind == arrival.digest):
        batch.unchanged += 1
        batch.readable.add(arrival.external_id)
    else:
        return (arrival if other_kind is None else arrival._replace(other_digest=other_kind)), earlier is None
    return None


def _prepared(store: RecordStore, fresh: list[Fresh]) -> list[Prepared | str]:
    return prepare(store.parser, store.key, [arrival for arrival, _ in fresh])


def is_new(arrival: Arrival, stored: dict[str, Stored]) -> bool:
    """Whether the tables hold no such content of the record."""
    held = stored.get(arrival.external_id)
    return held is None or held.digests(by_id=arrival.by_id)[0] != arrival.digest
