"""Runs the migrations on a connection handed over by `tasks.migrate`; never on a URL of its own."""

from alembic import context
from sqlalchemy import text

from models.tables.base import Base

UPGRADE_LOCK = 7_261_993
"""Only one upgrade at a time, whoever starts it."""


def run() -> None:
    connection = context.config.attributes["connection"]
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": UPGRADE_LOCK})
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SET statement_timeout = '10min'"))
    # Alembic commits each migration only on a connection that is outside a transaction when it is configured.
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": UPGRADE_LOCK})
        connection.commit()


run()
