"""A run without any call where some were to be expected: always before at that time, or at all."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from models.tables.ledger import Window
from models.wording import minute
from tasks.database import database_errors
from tasks.ledger.windows import Ledger

WEEKS = 4
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
"""Of the stretch that is compared with the same hours of the weeks before."""

NEVER_QUIET = timedelta(days=30)
"""Without any call an account is not in use, or not the one that is meant."""

HOLDS_ANY = text("SELECT EXISTS (SELECT FROM call WHERE provider = :provider AND account = :account)")
# The hours before and after too: where the clocks were changed in between, the same hour of a day is one of those.
NEVER_SILENT = text("""
    SELECT bool_and((week = 0) <> EXISTS (
        SELECT FROM call WHERE provider = :provider AND account = :account
        AND started_at >= :since - week * interval '7 days' + shift * interval '1 hour'
        AND started_at < :until - week * interval '7 days' + shift * interval '1 hour'
    )) FROM generate_series(0, :weeks) AS week CROSS JOIN generate_series(-1, 1) AS shift
    WHERE week > 0 OR shift = 0
""")


def unusual_silence(ledger: Ledger) -> str | None:
    """What to say of a run whose windows held nothing, though the same hours of each of the weeks before did, or though
    they are of a month or more and no call is held at all.
    """
    read = select(func.min(Window.since), func.max(Window.until))
    read = read.where(ledger.source.matches, Window.claimed_by == ledger.holder)
    with database_errors(), ledger.engine.connect() as connection:
        since, until = connection.execute(read).one()
        if since is None or until is None:
            return None
        if until - since >= NEVER_QUIET and not connection.execute(HOLDS_ANY, ledger.source.key).scalar_one():
            return (
                f"warning: no call at all from {minute(since)} to {minute(until)}. Look whether this is the account, "
                "and the channels or workspaces, that you mean."
            )
        since = min(max(since, until - LONGEST), until - SHORTEST)
        stretch = {"since": since, "until": until, "weeks": WEEKS}
        never = connection.execute(NEVER_SILENT, ledger.source.key | stretch).scalar_one()
    return _warning(since, until) if never else None


def _warning(since: datetime, until: datetime) -> str:
    return (
        f"warning: no call from {minute(since)} to {minute(until)}, though the same hours of each of "
        f"the last {WEEKS} weeks had some. Look whether the provider still logs calls for this account."
    )
