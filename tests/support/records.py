"""Vendors' records with defaults, so that a test states only its own fields."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def at(seconds: float = 0) -> datetime:
    return NOON + timedelta(seconds=seconds)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(record: Json) -> Json:
    return {name: value for name, value in record.items() if value is not None}


def sakari_call(**own: Any) -> Json:
    return {
        "id": "s1",
        "direction": "inbound",
        "status": "ended",
        "contact": {"id": "c1", "mobile": {"country": "US", "number": "(212) 555-0143"}},
        "phoneNumber": {"id": "p1", "number": "+12125550142", "country": "US"},
        "user": {"id": "u1", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.com"},
        "duration": 42,
        "voicemail": False,
        "created": {"at": "2026-11-20T12:00:00Z"},
    } | own


def bird_party(number: str | None = "+351910648518", **own: Any) -> Json:
    return {"number": {"type": "pstn", "number": number, "countryIsoCode": "PT"} | own}


def bird_client(client: str = "fc0be2c4-d3a2-458b-9a98-69ff811ee306", **own: Any) -> Json:
    return {"number": {"type": "webrtc", "number": client} | own}


def bird_call(**own: Any) -> Json:
    return {
        "id": "b1",
        "channelId": "ch1",
        "originator": bird_party(),
        "receiver": bird_party("+3197058016589", countryIsoCode="NL"),
        "from": "+351910648518",
        "to": "+3197058016589",
        "direction": "incoming",
        "status": "completed",
        "type": "pstn",
        "duration": 6,
        "createdAt": "2026-11-20T12:00:00Z",
        "updatedAt": "2026-11-20T12:00:20.5Z",
        "answeredAt": "2026-11-20T12:00:10.25Z",
        "endedAt": "2026-11-20T12:00:16.5Z",
    } | own


def skipcall_call(**own: Any) -> Json:
    return {
        "id": "k1",
        "callType": "DIRECT_CALL",
        "status": "completed",
        "type": "outbound",
        "startedAt": "2026-11-20T12:00:00.000Z",
        "endedAt": "2026-11-20T12:01:00.000Z",
        "createdAt": "2026-11-20T11:59:30.000Z",
        "contact": {"id": "kc1", "firstName": "Zoé", "lastName": "Roux", "isUnknown": False},
        "phoneNumber": {"value": "+33612345678"},
        "caller": {"firstName": "Alice", "lastName": "Martin"},
        "callerPhoneNumber": {"value": "+33142685300"},
    } | own


def skipcall_contact(**own: Any) -> Json:
    return {
        "id": "kc1",
        "firstName": "Zoé",
        "lastName": "Roux",
        "email": "zoe@example.com",
        "phoneNumbers": ["+33612345678"],
        "allowPhoneCalls": True,
        "updatedAt": "2026-11-20T12:00:00.000Z",
    } | own


def encoded(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False)
