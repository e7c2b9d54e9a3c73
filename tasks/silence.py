"""A scan that finds nothing where there has always been something: perhaps nobody called, perhaps nothing is told."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from models.tables import Window
from models.wording import minute
from tasks.database import database_errors
from tasks.intake import Desk

WEEKS = 4
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
"""Of the stretch that is compared with the same hours of the weeks before."""

NEVER_SILENT = text("""
    SELECT bool_and((week = 0) <> EXISTS (
        SELECT FROM call WHERE provider = :provider AND account = :account
        AND started_at >= :since - week * interval '7 days' AND started_at < :until - week * interval '7 days'
    )) FROM generate_series(0, :weeks) AS week
""")


def unusual_silence(desk: Desk) -> str | None:
    """What to say of a run whose windows held nothing, though the same hours of each of the weeks before did."""
    read = select(func.min(Window.since), func.max(Window.until))
    read = read.where(desk.ledger.source.matches, Window.claimed_by == desk.ledger.holder)
    with database_errors(), desk.engine.connect() as connection:
        since, until = connection.execute(read).one()
        if since is None or until is None:
            return None
        since = min(max(since, until - LONGEST), until - SHORTEST)
        stretch = {"since": since, "until": until, "weeks": WEEKS}
        never = connection.execute(NEVER_SILENT, desk.key | stretch).scalar_one()
    return _told(since, until) if never else None


def _told(since: datetime, until: datetime) -> str:
    return (
        f"warning: no call from {minute(since)} to {minute(until)}, though the same hours of each of "
        f"the last {WEEKS} weeks had some. Look whether the provider still logs calls for this account."
    )
