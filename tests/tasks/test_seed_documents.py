"""The vendors' documented examples, complete, through the real loader into Postgres, every column compared.

One way of reading per provider, the whole example first.
"""

from datetime import datetime
from typing import Any

import pytest

from sandbox.examples import example
from sandbox.providers.sakari_records import examples as concrete
from tests.support.builders import CALLS, CONTACTS, Json, Office, at, take_in

OURS = {
    *("remote_person_id", "person_id", "first_seen_at", "changed_at", "opted_out_at"),
    *("unified_call_id", "is_leg", "account"),
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def loaded(office: Office, provider: str, stream: Any, records: list[Json]) -> dict[str, Json]:
    """The rows of v1 after loading, by id; what no payload determines left out."""
    counts = take_in(office.context(provider, stream), records)
    assert counts.inserted == len(records)
    rows = office.rows(f"SELECT * FROM v1.{'call' if stream is CALLS else 'contact'}")
    assert all(row["first_seen_at"] == row["changed_at"] for row in rows)
    return {str(row["external_id"]): {name: row[name] for name in row if name not in OURS} for row in rows}


def call_columns(**own: Any) -> Json:
    return {
        "answered_at": None,
        "ended_at": None,
        "duration_seconds": None,
        "remote_e164": None,
        "own_e164": None,
        "contact_external_id": None,
        "parent_external_id": None,
        "agent": None,
        "is_final": True,
        "deleted_at": None,
    } | own


def test_sakari_call(office: Office) -> None:
    """Sakari's example call: every column, and the whole payload as it came."""
    call = example("sakari_call")

    assert loaded(office, "sakari", CALLS, [call])["<string>"] == call_columns(
        provider="sakari",
        external_id="<string>",
        direction="inbound",
        outcome="in_progress",
        provider_status="initiated",
        started_at=moment("2023-11-07T05:31:56Z"),
        duration_seconds=123,
        remote_raw="123-456-7890",
        own_raw="<string>",
        contact_external_id="<string>",
        agent="<string> <string>",
        is_final=False,
        payload=call,
    )


def test_sakari_concrete_call(office: Office) -> None:
    """The same call with its placeholders made concrete: a national number is read by its country, if it is valid."""
    (call,) = concrete()["calls"]
    call["status"], call["contact"]["mobile"]["number"] = "ended", "212-555-0143"
    (row,) = loaded(office, "sakari", CALLS, [call]).values()

    assert (row["outcome"], row["is_final"]) == ("voicemail", True)
    assert (row["remote_e164"], row["remote_raw"]) == ("+12125550143", "212-555-0143")
    assert (row["own_e164"], row["own_raw"]) == ("+12125550142", "+12125550142")
    assert row["payload"] == call


def test_sakari_contact(office: Office) -> None:
    """Sakari's example contact: every column, and the whole payload as it came."""
    contact = example("sakari_contact")

    assert loaded(office, "sakari", CONTACTS, [contact])["<string>"] == {
        "provider": "sakari",
        "external_id": "<string>",
        "first_name": "Chris",
        "last_name": "Bloggs",
        "email": contact["email"],
        "e164s": [],  # 123-456-7890 is no valid number anywhere, and "<string>" no country
        "opted_out": True,
        "crm_ids": {"activecampaign": 123, "hubspot": 123, "pipedrive": 123},
        "deleted_at": None,
        "payload": contact,
    }


def test_skipcall_call(office: Office) -> None:
    """Skipcall's example call: every column, and the whole payload as it came."""
    call = example("skipcall_call")

    assert loaded(office, "skipcall", CALLS, [call])[call["id"]] == call_columns(
        provider="skipcall",
        external_id="123e4567-e89b-12d3-a456-426614174000",
        direction="outbound",
        outcome="answered",
        provider_status="completed",
        started_at=moment("2024-03-20T09:00:00Z"),
        ended_at=moment("2024-03-20T09:15:00Z"),
        remote_e164="+33612345678",
        own_e164="+33612345678",
        remote_raw="+33612345678",
        own_raw="+33612345678",
        contact_external_id="123e4567-e89b-12d3-a456-426614174000",
        agent="Alice Martin",
        deleted_at=moment("2024-03-20T09:15:00Z"),
        payload=call,
    )


PT, NL = "+351927549927", "+3197004499437"
CALLER, OWN = "+351910648518", "+3197058016589"
SCHEMA_TIME = moment("2025-05-29T09:29:21.011Z")


def test_bird_schema_example(office: Office) -> None:
    """Bird's example with every field set: every column, and the whole payload as it came."""
    call = example("bird_call_schema")

    assert loaded(office, "bird", CALLS, [call])[call["id"]] == call_columns(
        provider="bird",
        external_id="123e4567-e89b-12d3-a456-426614174000",
        direction="inbound",
        outcome="in_progress",
        provider_status="accepted",
        started_at=SCHEMA_TIME,
        answered_at=SCHEMA_TIME,
        ended_at=SCHEMA_TIME,
        duration_seconds=1,
        remote_raw="text",
        own_raw="text",
        contact_external_id="text",
        parent_external_id="123e4567-e89b-12d3-a456-426614174000",
        is_final=False,
        payload=call,
    )


INCOMING = {"direction": "inbound", "remote_e164": CALLER, "own_e164": OWN, "remote_raw": CALLER, "own_raw": OWN}
OUTGOING = {"direction": "outbound", "remote_e164": PT, "own_e164": NL, "remote_raw": "351927549927"}
JOSE = "1ea5d8c8-3f5e-4cc0-bb92-47b099d317c0"
MISSED = (
    "861bb6cf-3edd-4ed2-837a-5cdf7b88a59c",
    "59b7f69f-f871-4166-9f33-fdf28886c268",
    "c78fb160-5ed0-473c-8dce-0c72e3a9d3e0",
    "3b491da7-9fa2-4b38-9696-06ce8c79ffe6",
    "28fb6fd6-adde-4d75-81eb-2bf2afa66000",
    "3262d64e-304a-4771-b3b8-91e895dd02ac",
    "6cd8342b-66e6-4358-88f7-b626e29c9365",
    "71180b3e-b509-44b5-b7b3-22640525e580",
)


def answered(at: str, seconds: int, **own: Any) -> Json:
    return {
        "outcome": "answered",
        "provider_status": "completed",
        "answered_at": moment(at),
        "duration_seconds": seconds,
    } | own


def bird_expected() -> dict[str, Json]:
    """What each of Bird's twelve example calls is, where they differ."""
    missed = {"outcome": "missed", "provider_status": "no-answer", "duration_seconds": 0, "contact_external_id": JOSE}
    taken = INCOMING | {"contact_external_id": JOSE}
    by_client = {"own_raw": "client:fc0be2c4-d3a2-458b-9a98-69ff811ee306"}
    leg = {
        "own_raw": "3197004499437",
        "contact_external_id": "79598230-266d-476a-b9ec-7933e006ded6",
        "parent_external_id": "41bd96c0-1fbc-4ef7-b7bf-7571015b0380",
    }
    return {
        "4fc2edf7-68f5-437a-89eb-3ce0095409d6": answered("2023-10-26T15:26:47.77Z", 6, **OUTGOING, **by_client),
        "85d18e36-a741-46eb-baa7-525e576abbc8": answered("2023-10-26T14:55:52.679Z", 7, **OUTGOING, **leg),
        "a78dd93c-08fb-450b-8651-0def9cf77cf9": answered("2024-03-01T16:47:03.791Z", 6, **taken),
        "4d02b72b-8a16-42ae-9b3d-6d4d78941240": answered("2024-03-01T16:44:28.021Z", 7, **taken),
    } | dict.fromkeys(MISSED, INCOMING | missed)


def test_bird_examples(office: Office) -> None:
    """Bird's twelve example calls: clients call out, unanswered calls have no answer time, parents may be missing."""
    calls = {call["id"]: call for call in example("bird_calls")}
    expected = {
        call_id: call_columns(
            provider="bird",
            external_id=call_id,
            started_at=moment(calls[call_id]["createdAt"]),
            ended_at=moment(calls[call_id]["endedAt"]),
            payload=calls[call_id],
        )
        | own
        for call_id, own in bird_expected().items()
    }
    rows = loaded(office, "bird", CALLS, list(calls.values()))

    assert len(calls) == len(expected) == 12
    for call_id, row in rows.items():
        assert row == expected[call_id]


@pytest.mark.parametrize("missing", ["endedAt", "answeredAt"])
def test_bird_zero_time(office: Office, missing: str) -> None:
    """A time that Bird has not set and prints as year one is null."""
    call = example("bird_calls")[0] | {missing: "0001-01-01T00:00:00Z"}
    (row,) = loaded(office, "bird", CALLS, [call]).values()

    assert row["ended_at" if missing == "endedAt" else "answered_at"] is None


def test_a_newer_copy(office: Office) -> None:
    """An example that comes again with another change time is the same record, changed."""
    call = example("skipcall_call")
    take_in(office.context("skipcall"), [call])
    take_in(office.context("skipcall"), [call | {"deletedAt": None, "updatedAt": "2024-03-21T00:00:00Z"}], at(1))
    (row,) = office.rows("SELECT deleted_at, first_seen_at, changed_at FROM v1.call")

    assert row["deleted_at"] is None
    assert row["first_seen_at"] < row["changed_at"]
