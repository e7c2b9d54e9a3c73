"""What was found of a provider's behaviour, kept for the runs to come."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, func, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models.assumptions import Assumption, Observation, Standing
from models.tables.ledger import ObservedBehaviour
from tasks.database import database_errors, in_transaction
from tasks.ledger.windows import Ledger

TRIED_AGAIN_AFTER = timedelta(days=7)
PLACE = ("provider", "account", "stream", "listing")


def known(ledger: Ledger) -> list[Observation]:
    """What was found of a list, conclusive or not."""
    query = select(
        ObservedBehaviour.assumption, ObservedBehaviour.standing, ObservedBehaviour.value, ObservedBehaviour.words
    ).where(*_place(ledger))
    with database_errors(), ledger.engine.connect() as connection:
        rows = connection.execute(query)
        return [Observation(Assumption(one), Standing(two), *rest) for one, two, *rest in rows]


def is_due(ledger: Ledger) -> bool:
    """Whether the assumptions are to be tried: never tried, tried on too little, or tried a week ago."""
    settled = ObservedBehaviour.standing.not_in([Standing.NOT_TESTABLE, Standing.UNCLEAR])
    fresh = and_(ObservedBehaviour.tried_at > func.now() - TRIED_AGAIN_AFTER, settled)
    tried_at_first = ObservedBehaviour.assumption != Assumption.LONGEST_RANGE
    query = select(func.coalesce(func.bool_and(fresh), literal(value=False))).where(tried_at_first, *_place(ledger))
    with database_errors(), ledger.engine.connect() as connection:
        return not connection.execute(query).scalar_one()


def try_next_time(connection: Connection, ledger: Ledger, *, unless_within: timedelta = timedelta(0)) -> None:
    """Has the next run try the assumptions, unless they were tried within some time."""
    old = ObservedBehaviour.tried_at <= func.now() - unless_within
    overdue = update(ObservedBehaviour).where(*_place(ledger), old).values(tried_at=literal_column("'-infinity'"))
    connection.execute(overdue)


def keep(ledger: Ledger, found: Iterable[Observation]) -> None:
    """Stores what was found; what differs from before keeps what it was, and since when."""
    rows = [_row(ledger, one) for one in found]

    def work(connection: Connection) -> None:
        statement = upsert(ObservedBehaviour)
        new, old = statement.excluded, ObservedBehaviour
        changed = new.value != old.value
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[*PLACE, "assumption"],
                set_={
                    "standing": new.standing,
                    "value": new.value,
                    "words": new.words,
                    "tried_at": func.now(),
                    "since": case((changed, func.now()), else_=old.since),
                    "previous": case((changed, old.words), else_=old.previous),
                },
            ),
            rows,
        )

    if rows:
        in_transaction(ledger.engine, work)


def _row(ledger: Ledger, one: Observation) -> dict[str, Any]:
    place = {name: getattr(ledger.source, name) for name in PLACE}
    found = {"assumption": one.assumption, "standing": one.standing, "value": one.value, "words": one.words}
    return place | found


def _place(ledger: Ledger) -> list[Any]:
    return [getattr(ObservedBehaviour, name) == getattr(ledger.source, name) for name in PLACE]
