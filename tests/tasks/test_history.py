"""What was said and decided before, opt-outs with their time, and calls that an account should hold."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import (
    CONTACTS,
    Json,
    Office,
    at,
    bird_call,
    bird_party,
    iso,
    skipcall_call,
    skipcall_contact,
    take_in,
)
from tests.support.reconciled import Base

ANN, LINE = "+33612345678", "+33142685300"
PAGE = (Path(__file__).parents[2] / "docs" / "querying.md").read_text("utf-8")
FORMER = "SELECT outcome, duration_seconds, deleted_at FROM v1.call_history ORDER BY valid_from"


@pytest.fixture
def base(database_url: str) -> Iterator[Base]:
    made = Base(database_url)
    yield made
    made.connection.close()


def bird(**own: Any) -> Json:
    parties = {"originator": bird_party(ANN), "receiver": bird_party(LINE), "from": ANN, "to": LINE}
    return bird_call(**(parties | own))


def test_history_of_a_call(office: Office, base: Base) -> None:
    """With CALLWEAVE_KEEP_HISTORY=1 each former version of a record is kept, from when to when it was ours."""
    with Office(office.database_url, office.environ | {"CALLWEAVE_KEEP_HISTORY": "1"}) as keeping:
        context = keeping.context("bird")
        take_in(context, [bird(status="ongoing", duration=None)])
        take_in(context, [bird(duration=9)], at(60))
        take_in(context, [bird(duration=9)], at(70))
        take_in(context, [bird(duration=10)], at(80))

    assert base.rows(FORMER) == [("in_progress", None, None), ("answered", 9, None)]
    (gaps,) = base.rows(
        "SELECT bool_and(valid_to = next) FROM (SELECT valid_to, lead(valid_from, 1, (SELECT changed_at FROM v1.call)) "
        "OVER (ORDER BY valid_from) AS next FROM v1.call_history) h"
    )
    assert gaps == (True,)


def test_no_history_unless_asked_for(office: Office, base: Base) -> None:
    context = office.context("bird")
    take_in(context, [bird(duration=8)])
    take_in(context, [bird(duration=9)], at(60))
    assert base.rows(FORMER) == []


def test_history_of_decisions(office: Office, base: Base) -> None:
    """Which records were held to be one call, and what ended that."""
    pair = ("bird", "b1", "skipcall", "k1")
    take_in(office.context("bird"), [bird()])
    take_in(office.context("skipcall"), [skipcall_call(type="inbound", startedAt=iso(at(1)))])
    judge = (
        "INSERT INTO verdict (left_provider, left_account, left_external_id, right_provider, right_account, "
        "right_external_id, same, held, judged_by) SELECT l.provider, l.account, l.external_id, r.provider, r.account, "
        "r.external_id, %s, false, 'a test' FROM call l, call r WHERE (l.external_id, r.external_id) = ('b1', 'k1')"
    )
    for same in (True, False):
        base.connection.execute(judge, [same])
        base.reconcile()

    query = (
        "SELECT left_provider, left_external_id, right_provider, right_external_id, valid_to FROM v1.decision_history"
    )
    ((*names, ended),) = base.rows(query)
    assert tuple(names) in {pair, pair[2:] + pair[:2]}
    assert ended is not None


def test_what_we_believed(office: Office, base: Base) -> None:
    """The page's question of a date: what each record said then, and which it was held to be one call with."""
    skipcall = office.context("skipcall")
    verdict = (
        "INSERT INTO verdict (left_provider, left_account, left_external_id, right_provider, right_account, "
        "right_external_id, same, held, judged_by) SELECT l.provider, l.account, l.external_id, r.provider, r.account, "
        "r.external_id, %s, false, 'a test' FROM call l, call r WHERE (l.external_id, r.external_id) = ('b1', 'k1')"
    )
    moments = []
    with Office(office.database_url, office.environ | {"CALLWEAVE_KEEP_HISTORY": "1"}) as keeping:
        take_in(skipcall, [skipcall_call(type="inbound", startedAt=iso(at(1)))])
        for minute, (duration, same) in enumerate([(9, True), (11, False)]):
            take_in(keeping.context("bird"), [bird(duration=duration)], at(60 * minute))
            base.connection.execute(verdict, [same])
            base.reconcile()
            moments += [base.rows("SELECT clock_timestamp()")[0][0]]
    query = PAGE[PAGE.index("WITH day AS (SELECT now() - interval '7 days' AS at)") :].partition(";")[0]

    def believed(moment: Any) -> dict[str, tuple[int | None, list[str]]]:
        asked = query.replace("now() - interval '37 days'", "'-infinity'")
        rows = base.rows(asked.replace("now() - interval '7 days'", f"timestamptz '{moment.isoformat()}'"))
        return {row[2]: (row[5], [one["external_id"] for one in row[7] or []]) for row in rows}

    assert believed(moments[0] - timedelta(days=1)) == {}
    assert believed(moments[0]) == {"b1": (9, ["k1"]), "k1": (None, ["b1"])}
    assert believed(moments[1]) == {"b1": (11, []), "k1": (None, [])}


def opted_out(base: Base) -> tuple[bool | None, bool | None]:
    """Whether the contact is opted out, and whether that is said to be since we first saw it."""
    ((out, first),) = base.rows("SELECT opted_out, opted_out_at = first_seen_at FROM v1.contact")
    return out, first


def test_opted_out_at(office: Office, base: Base) -> None:
    """Since when a contact is opted out: our first sight of that, which no other change of it moves."""
    context = office.context("skipcall", CONTACTS)
    take_in(context, [skipcall_contact(allowPhoneCalls=False)])
    assert opted_out(base) == (True, True)

    def later(days: int, **own: Any) -> None:
        moment = at() + timedelta(days=days)
        take_in(context, [skipcall_contact(updatedAt=iso(moment), **own)], moment)

    later(1, allowPhoneCalls=True)
    assert opted_out(base) == (False, None)
    later(2, allowPhoneCalls=False)
    assert opted_out(base) == (True, False)
    ((since,),) = base.rows("SELECT opted_out_at FROM v1.contact")
    later(3, allowPhoneCalls=False, lastName="Roux-Petit")
    assert base.rows("SELECT opted_out_at FROM v1.contact") == [(since,)]


def test_missing_in(own_office: Office, base: Base) -> None:
    """A real call that an account carrying its line was complete over, and does not hold."""
    for provider in ("sakari", "bird"):
        own_office.sync(provider)
    base.reconcile()
    found = set(base.rows("SELECT unified_call_id, provider FROM v1.missing_in"))
    lines = set(base.rows("SELECT DISTINCT provider, own_e164 FROM v1.call WHERE deleted_at IS NULL"))
    calls = base.rows(
        "SELECT unified_call_id, own_e164, providers FROM v1.unified_call WHERE NOT hidden_number "
        "AND outcome NOT IN ('in_progress', 'scheduled', 'unknown')"
    )
    undecided = base.rows("SELECT unified_call_id FROM v1.unmatched_call WHERE reason = 'ambiguous'")
    covered = dict(base.rows("SELECT provider, covered FROM v1.sync_status"))
    began = dict(base.rows("SELECT unified_call_id, started_at FROM v1.unified_call"))
    expected = {
        (id_, provider)
        for id_, line, holders in calls
        for provider in ("sakari", "bird")
        if (id_,) not in undecided
        and (provider, line) in lines
        and provider not in holders
        and any(began[id_] in span for span in covered[provider])
    }
    assert found == expected
    assert found
