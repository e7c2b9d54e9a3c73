"""The status page: what it says of a provider's streams is what the database holds."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import psycopg
import pytest

from flows.rendering.markdown import span, table
from flows.rendering.status_page import page, picture
from tasks.diagnostics.stream_health import DAYS, Health, health
from tests.support.builders import CALLS, CONTACTS, Office

SVG = "{http://www.w3.org/2000/svg}"
PROVIDER = "bird"


@pytest.fixture
def synced(own_office: Office) -> Office:
    own_office.sync(PROVIDER, CALLS)
    own_office.sync(PROVIDER, CONTACTS)
    return own_office


def measured(office: Office, *changes: str) -> Health:
    """The health after the database was changed."""
    with psycopg.connect(office.database_url) as connection:
        for change in changes:
            connection.execute(change.encode())
    return health(office.context(PROVIDER).engine, PROVIDER)


def test_calls_are_counted_by_day(synced: Office) -> None:
    """Each of the last 30 days tells how many calls of this provider began on it, in UTC."""
    found = measured(synced)
    held = synced.rows(
        "SELECT (started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls FROM v1.call"
        " WHERE provider = %s GROUP BY 1",
        PROVIDER,
    )
    by_day = {row["day"]: row["calls"] for row in held}

    assert len(found.days) == DAYS
    assert found.days[-1].day == found.at.astimezone(UTC).date()
    assert [day.calls for day in found.days] == [by_day.get(day.day, 0) for day in found.days]
    assert sum(day.calls for day in found.days)


def test_streams_agree_with_sync_status(synced: Office) -> None:
    """State and freshness of each stream are those of `v1.sync_status`."""
    status = {row["stream"]: row for row in synced.rows("SELECT * FROM v1.sync_status WHERE provider = %s", PROVIDER)}
    calls, contacts = measured(synced).streams

    assert (calls.stream, contacts.stream) == (CALLS, CONTACTS)
    assert calls.complete_up_to == status[CALLS]["complete_up_to"]
    assert contacts.complete_up_to is not None
    assert abs(contacts.complete_up_to - status[CONTACTS]["complete_up_to"]) < timedelta(seconds=5)
    assert (calls.open_windows, calls.rejected) == (0, status[CALLS]["rejected_rows"])


def test_minutes_behind(synced: Office) -> None:
    """A provider that nothing was read of for a day and a half was 36 hours behind at worst."""
    assert max(day.minutes_behind or 0 for day in measured(synced).days) < 10
    earlier = "UPDATE sync_window SET since = since - interval '36 h', until = until - interval '36 h', {}"
    found = measured(synced, earlier.format("finished_at = finished_at - interval '36 h'"))

    assert found.days[-1].minutes_behind == pytest.approx(36 * 60, abs=10)
    assert found.days[0].minutes_behind is None


def test_rejected_records_are_counted(synced: Office) -> None:
    """Records that were set aside count on the day they first came."""
    reject = (
        "INSERT INTO rejected_row (provider, account, stream, reason, digest, content, first_seen_at)"
        " SELECT provider, account, 'calls', 'odd', '\\x01', '', now() - interval '3 days' FROM sync_stream LIMIT 1"
    )
    found = measured(synced, reject)

    assert [day.rejected for day in found.days] == [0] * (DAYS - 4) + [1, 0, 0, 0]


def test_page(synced: Office) -> None:
    """The page says up to when nothing is missing, and holds a picture that a browser can draw."""
    found = measured(synced)
    text = page("Bird", found)
    uri = picture(found.days)
    root = ET.fromstring(b64decode(uri.removeprefix("data:image/svg+xml;base64,")))

    assert f"are complete up to {found.streams[0].complete_up_to:%Y-%m-%d %H:%M}" in text
    assert f"]({uri})" in text
    titles = [one.text or "" for one in root.iter(f"{SVG}text") if one.get("x") == "4"]
    assert [title.partition(":")[0] for title in titles] == ["Calls", "Newly rejected records", "Minutes behind"]
    assert len(text) < 10_000
    assert not [one for one in root.iter() if one.get("fill") == "white"], "it stands on a dark page too"


def test_accounts_are_named_where_there_are_several(synced: Office) -> None:
    """One account of a provider takes no room; of two each line says whose it is."""
    found = measured(synced)
    (account,) = {one.account for one in found.streams}
    both = found._replace(streams=[*found.streams, *(one._replace(account="paris") for one in found.streams)])

    assert account not in page("Bird", found)
    assert f"Calls of account {account} are complete" in page("Bird", both)
    assert "Calls of account paris are complete" in page("Bird", both)


def test_nothing_synced_yet(office: Office) -> None:
    """A provider that was never synced has a page too."""
    found = health(office.context(PROVIDER).engine, PROVIDER)

    assert (found.streams, [day.minutes_behind for day in found.days]) == ([], [None] * DAYS)
    assert "None." in page("Bird", found)


@pytest.mark.parametrize(
    ("minutes", "told"), [(-1, "0 min"), (59, "59 min"), (61, "1 h 1 min"), (36 * 60, "1 d 12 h"), (1440, "1 d 0 h")]
)
def test_span(minutes: int, told: str) -> None:
    """A length of time is told in the units that matter."""
    assert span(timedelta(minutes=minutes)) == told


def test_table() -> None:
    """Numbers have separators, and what is not known is a dash."""
    row = {"a": 1234, "b": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "c": None, "d": True}

    assert table([row]).splitlines()[-1] == "| 1,234 | 2026-01-02 03:04:05 | - | True |"
