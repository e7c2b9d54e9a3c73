"""Where the records of one stream of one account are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, Engine

from models.arrivals import Stored
from models.vocabulary import StreamName
from tasks.change_feed import record_changes
from tasks.database import database_errors, in_transaction
from tasks.load.batch import Batch
from tasks.load.parser import Parser
from tasks.load.writer import register, stored

T = TypeVar("T")

MOST_REMEMBERED = 100_000
"""Telephone numbers that a run remembers as registered: about 10 MB."""


@dataclass(frozen=True, slots=True)
class RecordStore:
    """The tables of one stream of one account; shared by the threads of a run."""

    engine: Engine
    key: dict[str, str]
    """`provider` and `account`."""
    stream: StreamName
    parser: Parser
    numbers: set[str] = field(default_factory=set)
    """Telephone numbers known to be registered: of all streams of a run, since none is ever deleted."""

    def stored(self, ids: list[str]) -> dict[str, Stored]:
        """What the tables hold of the records `ids`; those that had vanished aside, to be loaded again."""
        if not ids:
            return {}
        with database_errors(), self.engine.connect() as connection:
            return stored(connection, self.stream, self.key, ids)

    def load(self, batch: Batch, work: Callable[[Connection], T]) -> T:
        """Runs `work`, which writes the batch, in one transaction that ends with what changed.

        The batch's telephone numbers are registered before.
        """
        numbers = register(self.engine, batch.loadable, self.numbers)

        def whole(connection: Connection) -> T:
            done = work(connection)
            record_changes(connection, batch.changes(self.stream, self.key))
            return done

        done = in_transaction(self.engine, whole)
        if len(self.numbers) > MOST_REMEMBERED:
            self.numbers.clear()
        self.numbers.update(numbers)
        return done
