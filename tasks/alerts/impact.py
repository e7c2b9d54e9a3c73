"""How much an incident may leave out: from when, and about how many calls by the same hours of the weeks before."""

from sqlalchemy import Connection, text

from models.alerts.incident import Cause, Finding
from models.vocabulary import StreamName
from models.wording import minute
from tasks.ledger.silence import WEEKS

LOSING = frozenset(
    {Cause.ACCESS, Cause.UNREACHABLE, Cause.FAILED, Cause.KILLED, Cause.STALE, Cause.SILENCE, Cause.UNPROVEN}
)
"""Causes that leave calls out."""
STANDING = text("""
SELECT complete_up_to, open_windows, statement_timestamp() AS now FROM v1.sync_status
WHERE (provider, account, stream) = (:provider, :account, 'calls')
""")
USUAL = text("""
SELECT avg(calls) FROM (
    SELECT (SELECT count(*) FROM call WHERE (provider, account) = (:provider, :account)
        AND started_at >= CAST(:since AS timestamptz) - week * interval '7 days'
        AND started_at < CAST(:until AS timestamptz) - week * interval '7 days') AS calls
    FROM generate_series(1, :weeks) AS week
    WHERE CAST(:since AS timestamptz) - week * interval '7 days' >= (
        SELECT min(started_at) FROM call WHERE (provider, account) = (:provider, :account))) AS weeks
""")


def consequence(connection: Connection, finding: Finding) -> str:
    """A sentence on the calls that are missing as long as this lasts, '' where none are."""
    key = finding.key
    if key.cause not in LOSING or key.stream not in {"", StreamName.CALLS}:
        return ""
    where = {"provider": key.provider, "account": key.account}
    standing = connection.execute(STANDING, where).one_or_none()
    if standing is None or standing.complete_up_to is None:
        return "No call of this account is proven complete yet."
    waiting = standing.open_windows
    windows = f"; {waiting:,} {'window waits' if waiting == 1 else 'windows wait'} to be read" if waiting else ""
    since, now = finding.since if key.cause is Cause.SILENCE else standing.complete_up_to, standing.now
    usual = connection.execute(USUAL, where | {"since": since, "until": now, "weeks": WEEKS}).scalar()
    many = "how many is not known yet" if usual is None else f"about {usual:,.0f} by the same hours of the weeks before"
    return f"Calls from {minute(since)} to {minute(now)} may be missing ({many}){windows}."
