"""Windows that held no record: believed once the list has shown that it hides none that exists."""

from contextlib import suppress

from sqlalchemy import Connection, and_, select

from models.errors import RecordNotFound
from models.tables.records import Call, Contact
from models.vocabulary import StreamName
from tasks.database import database_errors, in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.lookup import look_up
from tasks.extract.newest_call import hidden_call
from tasks.ledger.observations import try_next_time

MOST_CALLS = 20
"""The newest, whose contacts a list of contacts is to show."""


def read_nothing(context: StreamContext) -> bool:
    """Whether this run has read windows that held no record."""
    with database_errors(), context.engine.connect() as connection:
        return context.ledger.verdicts.holds_empty(connection)


def settle_silence(context: StreamContext) -> str | None:
    """Proves what this run read that held no record; says why not, where the list hides one that exists.

    Then nothing that the run read is proven: the list is not as assumed, and windows that held some may lack others.
    """
    is_calls = context.stream.name is StreamName.CALLS
    hidden = hidden_call(context) if is_calls else _hidden_contact(context)
    if hidden is None:
        in_transaction(context.engine, context.ledger.verdicts.believe_empty)
        return None
    what = "call" if is_calls else "contact"
    reason = f"the list holds nothing, not even a {what} that exists by its id: {hidden[:60]!r}"

    def work(connection: Connection) -> None:
        context.ledger.verdicts.doubt_run(connection, reason)
        try_next_time(connection, context.ledger)

    in_transaction(context.engine, work)
    return reason


def _hidden_contact(context: StreamContext) -> str | None:
    """A contact that one of the newest calls names and the provider knows by its id."""
    for external_id in _named_contacts(context):
        with suppress(RecordNotFound):
            look_up(context, external_id)
            break
    alive = and_(Contact.deleted_at.is_(None), Contact.vanished_at.is_(None))
    query = select(Contact.external_id).where(context.holds(Contact), alive).limit(1)
    with database_errors(), context.engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def _named_contacts(context: StreamContext) -> dict[str, None]:
    """Those of the newest calls first: the provider may have deleted some since."""
    named = select(Call.contact_external_id).where(context.holds(Call), Call.contact_external_id != "")
    with database_errors(), context.engine.connect() as connection:
        ids = connection.execute(named.order_by(Call.started_at.desc()).limit(MOST_CALLS)).scalars()
        return dict.fromkeys(str(id_) for id_ in ids)
