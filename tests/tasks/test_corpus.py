"""The corpora: numbers and times as they really come, each line a test. See `tests/corpus/README.md`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.errors import Rejected
from sandbox.providers.table import Row
from sandbox.server import Sandbox
from tests.support.builders import CONTACTS, Office, at, bird_call, call_of, contact_of, iso, sakari_call, skipcall_call

CORPUS = Path(__file__).parents[1] / "corpus"
Line = dict[str, Any]


def lines(name: str) -> list[Line]:
    return [json.loads(line) for line in (CORPUS / f"{name}.jsonl").read_text("ascii").splitlines()]


def name_of(line: Line) -> str:
    return f"{json.dumps(line['written'])} {line.get('country') or ''}".strip()


NUMBERS, TIMES = lines("numbers"), lines("times")
numbers = pytest.mark.parametrize("line", NUMBERS, ids=name_of)
times = pytest.mark.parametrize("line", TIMES, ids=name_of)
MEANT = [line for line in TIMES if line["right"]]
NOT_MEANT = [line for line in TIMES if not line["right"]]


def right(line: Line) -> datetime | None:
    return datetime.fromisoformat(line["right"]) if line["right"] else None


def holder(line: Line) -> Line:
    """A contact that holds the line's number."""
    return {"mobile": {"number": line["written"], "country": line["country"]}}


@numbers
def test_number(line: Line) -> None:
    """A number beside its country is the right one or none, in calls and contacts (libphonenumber#1199)."""
    call = call_of("sakari", sakari_call(contact={"id": "c", **holder(line)}, phoneNumber=holder(line)["mobile"]))
    contact = contact_of("sakari", {"id": "c", **holder(line)})

    assert (call.remote_e164, call.own_e164) == (line["right"], line["right"])
    assert contact.e164s == ([line["right"]] if line["right"] else [])
    if isinstance(line["written"], str):
        assert call.remote_raw == line["written"]


@pytest.mark.parametrize("line", [line for line in NUMBERS if str(line["written"]).startswith("+")], ids=name_of)
def test_number_elsewhere(line: Line) -> None:
    """What begins with a plus is read alike at every provider, in whatever country (chatwoot#12655)."""
    party = {"number": {"type": "pstn", "number": line["written"], "countryIsoCode": "PT"}}

    assert call_of("bird", bird_call(originator=party)).remote_e164 == line["right"]
    assert call_of("skipcall", skipcall_call(phoneNumber={"value": line["written"]}), "FR").remote_e164 == line["right"]


def test_numbers_are_stored(own_sandbox: Sandbox, own_office: Office) -> None:
    """A sync of contacts with all these numbers stores each as it is right."""
    for number, line in enumerate(NUMBERS):
        own_sandbox.put("sakari", CONTACTS, {"id": f"corpus-{number:03}", **holder(line), "created": {"at": iso(at())}})
    own_office.sync("sakari", CONTACTS)
    rows = own_office.rows("SELECT external_id, e164s FROM v1.contact WHERE external_id LIKE 'corpus-%%' ORDER BY 1")

    assert [row["e164s"] for row in rows] == [[line["right"]] if line["right"] else [] for line in NUMBERS]


@times
def test_time(line: Line) -> None:
    """A time is the moment that it says, or none, in every field (COBie-plugins#8)."""
    written, expected = line["written"], right(line)
    own = {"endedAt": written, "updatedAt": written}
    dialled = call_of("skipcall", skipcall_call(startedAt=written, deletedAt=written, **own))
    logged = call_of("bird", bird_call(answeredAt=written, **own))

    assert {dialled.ended_at, dialled.deleted_at, dialled.source_updated_at} == {expected}
    assert {logged.answered_at, logged.ended_at, logged.source_updated_at} == {expected}
    assert dialled.started_at == (expected or at(-30)), "the call was created half a minute before noon"


def starts(written: Any) -> Iterator[tuple[str, Line]]:
    """A call of each provider that says only so when it began."""
    yield "sakari", sakari_call(created={"at": written})
    yield "bird", bird_call(createdAt=written)
    yield "skipcall", skipcall_call(startedAt=written, createdAt=written)


@pytest.mark.parametrize("line", MEANT, ids=name_of)
def test_start(line: Line) -> None:
    """A call begins at the moment that is written, at every provider."""
    assert {call_of(provider, call).started_at for provider, call in starts(line["written"])} == {right(line)}


@pytest.mark.parametrize("line", NOT_MEANT, ids=name_of)
def test_no_start(line: Line) -> None:
    """A call whose only start is not meant is rejected with a reason, at every provider (ems-frontend#141)."""
    for provider, call in starts(line["written"]):
        with pytest.raises(Rejected, match="no readable start"):
            call_of(provider, call)


def test_unset_times_are_stored(own_sandbox: Sandbox, own_office: Office) -> None:
    """A sync counts calls whose times are not set: stored by their creation, or set aside, never deleted."""
    unset = [line["written"] for line in NOT_MEANT]
    early = datetime.now(UTC) - timedelta(hours=2)
    for number, written in enumerate(unset):
        times = {"startedAt": written, "endedAt": written, "deletedAt": written}
        put(own_sandbox, early, skipcall_call(id=f"created-{number:03}", **times, createdAt=iso(early)))
        put(own_sandbox, early, skipcall_call(id=f"without-{number:03}", **times, createdAt=written))
    run = own_office.sync("skipcall")
    stored = own_office.rows("SELECT ended_at, deleted_at FROM v1.call WHERE external_id LIKE 'created-%%'")
    aside = own_office.rows("SELECT reason FROM v1.rejected_row WHERE external_id LIKE 'without-%%'")

    assert [tuple(row.values()) for row in stored] == [(None, None)] * len(unset)
    assert [row["reason"] for row in aside] == ["the record has no readable start time"] * len(unset)
    assert run.receipt.counts.rejected == len(unset)


def put(sandbox: Sandbox, created: datetime, call: Line) -> None:
    """Adds a call whose own times the sandbox cannot read."""
    place = (round(created.timestamp() * 1000), call["id"])
    sandbox.world.tables["skipcall"]["calls"].put(Row(place, json.dumps(call).encode()))
