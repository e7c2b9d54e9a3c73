"""Single records, asked for by id: those a person names, and those that were not final when last seen."""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from models.arrivals import Arrival, Counts
from models.coverage import Span
from models.errors import ContractBroken, RecordNotFound
from models.json_text import fields, items, value
from models.provider import Lookup, Provider
from models.tables.ledger import Settling, Window
from models.tables.records import Call
from models.vocabulary import StreamName
from tasks.client.client import Answer
from tasks.client.transport import Tally
from tasks.database import database_errors, in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.details import complete
from tasks.extract.page import refuse_failure
from tasks.load.classify import Seen, classify

GIVEN_UP_AFTER = timedelta(days=7)
MOST_AT_ONCE = 200
FIRST_GAP = timedelta(minutes=5)
LONGEST_GAP = timedelta(hours=6)


def look_up(context: StreamContext, external_id: str, named_by: Any = None) -> Counts:
    """Reads one record by its id and loads it. `named_by`: the payload of a record like it, which may say where it
    stands. Raises `RecordNotFound`.
    """
    tally = Tally()
    try:
        arrivals = complete(context, [_ask(context, external_id, named_by, tally)], tally)
    finally:
        context.receipt.add_requests(tally.requests)
    batch = classify(context.store, arrivals, Seen.nothing())
    counts = context.store.load(batch, lambda connection: batch.write(connection, context.stream.name, context.key))
    context.receipt.add(counts)
    return counts


def _ask(context: StreamContext, external_id: str, named_by: Any, tally: Tally) -> Arrival:
    own = context.stream.address(context.credentials, external_id, named_by) if named_by is not None else None
    for lookup in [*context.stream.lookups(context.credentials, external_id), *([Lookup(path=own)] if own else [])]:
        try:
            answer = context.client.get(lookup.path, lookup.params, tally)
        except RecordNotFound:
            continue
        for record in _records(context.provider, answer, lookup):
            arrival = context.parser.identify(record, answer.sent_at, context.listing.scope)
            if isinstance(arrival, Arrival) and arrival.external_id == external_id:
                return arrival._replace(by_id=True)
    raise RecordNotFound(f"{context.client.account.provider.title} does not know {external_id!r}")


def _records(provider: Provider, answer: Answer, lookup: Lookup) -> list[str]:
    """The record an answer holds: bare, under a key, or in a list there."""
    try:
        whole = fields(answer.text)
        refuse_failure(provider, {name: value(text) for name, text in whole.items() if name != lookup.key})
        if lookup.key is None:
            return [answer.text]
        held = whole[lookup.key]
        return items(held) if held.startswith("[") else [held]
    except (KeyError, ValueError):
        raise ContractBroken(f"a record was answered without {lookup.key!r}") from None


def not_final(context: StreamContext, asked: Span) -> list[str]:
    """Ids of calls of `asked` that were not final when last seen and that no open window will read."""
    if context.stream.name is not StreamName.CALLS:
        return []
    same = and_(*(getattr(Settling, name) == getattr(Call, name) for name in ("provider", "account", "external_id")))
    about_to_be_read = (
        select(Window.id)
        .where(context.ledger.source.matches, Window.state == "open")
        .where(Window.since <= Call.started_at, Window.until > Call.started_at)
        .exists()
    )
    query = (
        select(Call.external_id)
        .outerjoin(Settling, same)
        .where(context.holds(Call))
        .where(~Call.is_final, Call.vanished_at.is_(None), ~about_to_be_read)
        .where(Call.started_at >= asked.since, Call.started_at < asked.until)
        .where(Call.started_at > func.now() - GIVEN_UP_AFTER)
        .where(or_(Settling.next_look_at.is_(None), Settling.next_look_at <= func.now()))
        .order_by(Settling.next_look_at.nulls_first(), Call.started_at.desc())
        .limit(MOST_AT_ONCE)
    )
    with database_errors(), context.engine.connect() as connection:
        return list(connection.execute(query).scalars())


def look_again_later(context: StreamContext, external_id: str) -> None:
    """Notes that a call was looked at by id; the next look comes twice as late."""
    gap = func.least(FIRST_GAP * func.pow(2, Settling.looks), LONGEST_GAP)
    first = upsert(Settling).values(
        **context.key, external_id=external_id, looks=1, next_look_at=func.now() + FIRST_GAP
    )
    later = first.on_conflict_do_update(
        index_elements=["provider", "account", "external_id"],
        set_={"looks": Settling.looks + 1, "next_look_at": func.now() + gap},
    )
    in_transaction(context.engine, lambda connection: connection.execute(later))


def forget_settled(context: StreamContext) -> None:
    """Calls that became final, or were given up, need no further look."""
    settled = (
        select(Call.id)
        .where(Call.provider == Settling.provider, Call.account == Settling.account)
        .where(Call.external_id == Settling.external_id)
        .where(or_(Call.is_final, Call.started_at <= func.now() - GIVEN_UP_AFTER))
        .exists()
    )
    forgotten = delete(Settling).where(context.holds(Settling), settled)
    in_transaction(context.engine, lambda connection: connection.execute(forgotten))
