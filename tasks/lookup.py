"""Single records, asked for by id: those a person names, and those that were not final when last seen."""

from datetime import timedelta

from sqlalchemy import Engine, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from models.errors import ContractBroken, RecordNotFound
from models.json_text import fields, items
from models.provider import Lookup
from models.tables import Call, Settling, Window
from models.vocabulary import StreamName
from models.window import Span
from tasks.client import Answer, Tally
from tasks.database import database_errors, in_transaction
from tasks.intake import Desk, Intake, identified
from tasks.load import Counts
from tasks.reader import Arrival

GIVEN_UP_AFTER = timedelta(days=7)
MOST_AT_ONCE = 200
FIRST_GAP = timedelta(minutes=5)
LONGEST_GAP = timedelta(hours=6)


def look_up(desk: Desk, external_id: str) -> Counts:
    """Reads one record by its id and loads it. Raises `RecordNotFound`."""
    tally = Tally()
    try:
        arrival = _ask(desk, external_id, tally)
    finally:
        desk.line.add_requests(tally.requests)
    batch = Intake(desk, tally).sort([arrival])
    counts = desk.load(batch, lambda connection: batch.write(connection, desk))
    desk.line.add(counts)
    return counts


def _ask(desk: Desk, external_id: str, tally: Tally) -> Arrival:
    for lookup in desk.stream.lookups(desk.client.account.credentials, external_id):
        try:
            answer = desk.client.get(lookup.path, lookup.params, tally)
        except RecordNotFound:
            continue
        for record in _records(answer, lookup):
            arrival = identified(desk, record, answer.sent_at)
            if isinstance(arrival, Arrival) and arrival.external_id == external_id:
                return arrival._replace(by_id=True)
    raise RecordNotFound(f"{desk.client.account.provider.title} does not know {external_id!r}")


def _records(answer: Answer, lookup: Lookup) -> list[str]:
    """The record an answer holds: bare, under a key, or in a list there."""
    if lookup.key is None:
        return [answer.text]
    try:
        held = fields(answer.text)[lookup.key]
        return items(held) if held.startswith("[") else [held]
    except (KeyError, ValueError):
        raise ContractBroken(f"a record was answered without {lookup.key!r}") from None


def not_final(engine: Engine, desk: Desk, asked: Span) -> list[str]:
    """Ids of calls of `asked` that were not final when last seen and that no open window will read."""
    if desk.stream.name is not StreamName.CALLS:
        return []
    same = and_(*(getattr(Settling, name) == getattr(Call, name) for name in ("provider", "account", "external_id")))
    about_to_be_read = (
        select(Window.id)
        .where(desk.ledger.source.matches, Window.state == "open")
        .where(Window.since <= Call.started_at, Window.until > Call.started_at)
        .exists()
    )
    query = (
        select(Call.external_id)
        .outerjoin(Settling, same)
        .where(Call.provider == desk.key["provider"], Call.account == desk.key["account"])
        .where(~Call.is_final, Call.vanished_at.is_(None), ~about_to_be_read)
        .where(Call.started_at >= asked.since, Call.started_at < asked.until)
        .where(Call.started_at > func.now() - GIVEN_UP_AFTER)
        .where(or_(Settling.next_look_at.is_(None), Settling.next_look_at <= func.now()))
        .order_by(Settling.next_look_at.nulls_first(), Call.started_at.desc())
        .limit(MOST_AT_ONCE)
    )
    with database_errors(), engine.connect() as connection:
        return list(connection.execute(query).scalars())


def look_again_later(desk: Desk, external_id: str) -> None:
    """Notes that a call was looked at by id; the next look comes twice as late."""
    gap = func.least(FIRST_GAP * func.pow(2, Settling.looks), LONGEST_GAP)
    first = upsert(Settling).values(**desk.key, external_id=external_id, looks=1, next_look_at=func.now() + FIRST_GAP)
    later = first.on_conflict_do_update(
        index_elements=["provider", "account", "external_id"],
        set_={"looks": Settling.looks + 1, "next_look_at": func.now() + gap},
    )
    in_transaction(desk.engine, lambda connection: connection.execute(later))


def forget_settled(desk: Desk) -> None:
    """Calls that became final, or were given up, need no further look."""
    settled = (
        select(Call.id)
        .where(Call.provider == Settling.provider, Call.account == Settling.account)
        .where(Call.external_id == Settling.external_id)
        .where(or_(Call.is_final, Call.started_at <= func.now() - GIVEN_UP_AFTER))
        .exists()
    )
    ours = and_(Settling.provider == desk.key["provider"], Settling.account == desk.key["account"])
    in_transaction(desk.engine, lambda connection: connection.execute(delete(Settling).where(ours, settled)))
