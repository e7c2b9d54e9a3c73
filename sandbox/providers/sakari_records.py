"""What Sakari writes down of contacts and calls."""

from random import Random
from typing import Any

import msgspec

from sandbox.examples import example
from sandbox.providers.table import Record, with_gaps
from sandbox.world.clock import DAY, SECOND, epoch, seconds
from sandbox.world.happenings import RealCall
from sandbox.world.people import Cast, Line, Number, Person, opaque

_STATUS = {
    "answered": ("ended",),
    "missed": ("missed", "missed", "ended"),
    "voicemail": ("ended", "missed"),
    "busy": ("rejected", "missed"),
    "failed": ("missed", "ended"),
    "cancelled": ("ended", "missed"),
    "rejected": ("rejected",),
    "forwarded": ("forwarded",),
    "in_progress": ("active", "ringing", "initiated", "transferring"),
}
_GROUPS = (
    {"id": "grp-sales", "name": "Sales"},
    {"id": "grp-support", "name": "Support"},
    {"id": "grp-fr", "name": "Équipe Lyon"},
)
_LISTS = (
    {"id": "list-vip", "name": "VIP"},
    {"id": "list-news", "name": "Newsletter"},
    {"id": "list-2024", "name": "Import 2024"},
)
_SPELLINGS = ("national",) * 8 + ("e164",) * 5 + ("digits",)
_RICH_EVERY = 128
"""One call in so many carries its inbox and number in full, as the documented example does."""


def created(record: Record) -> float:
    return epoch(record["created"]["at"])


class Scribe:
    def __init__(self, rng: Random, cast: Cast) -> None:
        self._rng = rng
        self._skew = int(rng.uniform(-6, 6) * SECOND)
        self._embeds: dict[str, msgspec.Raw] = {}
        self._lines = {line.id: _raw(_phone_number(line)) for line in cast.lines}
        self._users = {agent.id: _raw(_user(agent)) for agent in cast.agents}
        self._rich = _raw(example("sakari_call")["group"] | {"id": "grp-sales", "name": "Sales"})
        self._count = 0

    def contacts(self, person: Person) -> list[Record]:
        """One per number: a Sakari contact has a single mobile."""
        return [self._contact(person, number) for number in person.numbers if self._rng.random() < 0.83]

    def calls(self, call: RealCall) -> list[Record]:
        rng = self._rng
        at = call.at + self._skew + int(rng.random() * SECOND)
        status = rng.choice(_STATUS[call.outcome])
        record: Record = {
            "id": opaque(rng),
            "direction": "outbound" if call.outbound else "inbound",
            "status": status,
            "contact": self._party(call),
            "group": self._group(),
            "phoneNumber": self._lines[call.line.id],
            "user": self._users[call.agent.id] if call.outbound or call.talked else None,
            "duration": round((call.ended - call.at) / SECOND) if call.talked else 0,
            "voicemail": call.outcome == "voicemail",
            "recording": call.outcome == "answered" and rng.random() < 0.3,
            "created": {
                "at": seconds(at),
                "by": {"id": call.agent.id, "source": "api" if call.outbound else "carrier"},
            },
        }
        return [with_gaps(rng, record, ("user", "group", "recording", "voicemail", "duration"))]

    def _party(self, call: RealCall) -> Any:
        if call.number is None:
            return self._rng.choice(
                (None, {"mobile": {"number": "anonymous"}}, {"mobile": {"number": "+266696687", "valid": False}})
            )
        known = self._embeds.get(call.number.e164)
        return known or {"mobile": {"country": call.number.country, "number": call.number.e164}}

    def _group(self) -> Any:
        self._count += 1
        return self._rich if self._count % _RICH_EVERY == 0 else self._rng.choice(_GROUPS)

    def _contact(self, person: Person, number: Number) -> Record:
        rng = self._rng
        at = person.created + int(rng.random() * DAY)
        record: Record = {"id": opaque(rng), "firstName": person.first, "lastName": person.last}
        if rng.random() < 0.7:
            record["email"] = person.email
        record["mobile"] = _mobile(rng, number, at)
        record["valid"] = True
        record["created"] = {"at": seconds(at), "by": {"source": rng.choice(("csv", "api", "hubspot"))}}
        record["updated"] = {"at": seconds(at + int(rng.random() * 20 * DAY))}
        record = with_gaps(rng, record | _extras(rng, person, at), ("firstName", "lastName", "valid", "updated"))
        self._embeds[number.e164] = _raw(record)
        return record


def _mobile(rng: Random, number: Number, at: int) -> Record:
    written = getattr(number, rng.choice(_SPELLINGS))
    mobile: Record = {"country": number.country, "number": written, "valid": True, "lineType": "mobile"}
    return mobile | {"verified": seconds(at)} if rng.random() < 0.2 else mobile


def _extras(rng: Random, person: Person, at: int) -> Record:
    """What only some contacts carry."""
    every: tuple[tuple[float, Record], ...] = (
        (0.25, {"lists": [rng.choice(_LISTS)]}),
        (0.20, {"attributes": {"company": person.company, "score": rng.randrange(100)}}),
        (0.10, {"optIn": seconds(at)}),
        (0.03, {"blocked": seconds(at + DAY)}),
        (0.15, {"hubspot": {"id": rng.randrange(10**9)}}),
        (0.05, {"pipedrive": {"id": rng.randrange(10**6)}}),
        (0.05, {"activecampaign": {"id": rng.randrange(10**6)}}),
        (0.03, {"error": {"code": "CONT-010", "description": "Contact has requested no further communication"}}),
    )
    extras: Record = {}
    for share, extra in every:
        if rng.random() < share:
            extras |= extra
    return extras


def _phone_number(line: Line) -> Record:
    voice = {
        "active": True,
        "incoming": {"action": "forward", "forwardTo": line.number.e164},
        "features": ["recording"],
    }
    return {
        "id": f"pn-{line.id[:8]}",
        "name": line.name,
        "status": "active",
        "number": line.number.e164,
        "country": line.number.country,
        "type": "local",
        "verified": True,
        "provider": "carrier-a",
        "channels": {"sms": {"active": False}, "voice": voice},
        "hosted": False,
    }


def _user(agent: Any) -> Record:
    return {
        "id": agent.id,
        "firstName": agent.first,
        "lastName": agent.last,
        "email": agent.email,
        "mobile": {"country": agent.mobile.country, "number": agent.mobile.national},
        "role": "User",
    }


def _raw(record: Record) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(record))


def examples() -> dict[str, list[Record]]:
    """The documented records, their placeholders made concrete."""
    call, contact = _concrete(example("sakari_call"), "call"), _concrete(example("sakari_contact"), "contact")
    call["contact"]["id"] = contact["id"]
    call["phoneNumber"]["number"] = "+12125550142"
    return {"calls": [call], "contacts": [contact]}


def _concrete(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _concrete(item, name if key == "id" else key) for key, item in value.items()}
    if isinstance(value, list):
        return [_concrete(item, name) for item in value]
    if value == "<string>":
        return "US" if name == "country" else f"seed-{name}"
    return value
