"""What Skipcall writes down of contacts and calls."""

from random import Random
from typing import Any

from sandbox.examples import example
from sandbox.providers.table import Record, with_gaps
from sandbox.world.clock import DAY, SECOND, epoch, millis
from sandbox.world.happenings import RealCall
from sandbox.world.people import PLANS, Cast, Person, uuid

ORGANIZATION = "0c9d0000-0000-4000-a000-000000000001"
_STATUS = {
    "answered": ("completed", "completed", "completed", "answered"),
    "missed": ("no-answer", "no-answer", "missed", "unanswered"),
    "voicemail": ("voicemail", "completed"),
    "busy": ("busy",),
    "failed": ("failed",),
    "cancelled": ("canceled", "cancelled"),
    "rejected": ("rejected", "declined", "busy"),
    "forwarded": ("completed",),
    "in_progress": ("in-progress", "ringing", "queued", "initiated", "scheduled"),
}
_MISSABLE = ("organizationId", "organizationMembershipId", "managedPhoneNumberId")
_NO_TIME: tuple[Any, ...] = (None, None, {})
"""How a time that is not set is written."""


def created(record: Record) -> float:
    return epoch(record["createdAt"])


def examples() -> dict[str, list[Record]]:
    return {"calls": [example("skipcall_call")], "contacts": []}


class Scribe:
    def __init__(self, rng: Random, cast: Cast) -> None:
        self._rng = rng
        self._skew = int(rng.uniform(-6, 6) * SECOND)
        self._contact_ids: dict[str, str] = {}
        self._lines = {line.id: uuid(rng) for line in cast.lines}
        self._members = {agent.id: uuid(rng) for agent in cast.agents}
        self._sequences = [uuid(rng) for _ in range(5)]

    def contacts(self, person: Person) -> list[Record]:
        if self._rng.random() > 0.83:
            return []
        contact_id = uuid(self._rng)
        self._contact_ids |= {number.e164: contact_id for number in person.numbers}
        return [self._contact(person, contact_id)]

    def _contact(self, person: Person, contact_id: str) -> Record:
        rng = self._rng
        at = person.created + int(rng.random() * DAY)
        record: Record = {
            "id": contact_id,
            "firstName": person.first,
            "lastName": person.last,
            "phoneNumbers": [number.e164 for number in person.numbers],
            "email": person.email if rng.random() < 0.6 else None,
            "company": person.company if rng.random() < 0.5 else None,
            "allowPhoneCalls": rng.random() < 0.96,
            "callCount": rng.randrange(12),
            "lastCallAt": rng.choice((millis(at + 25 * DAY), None, {})),
            "createdAt": millis(at),
            "updatedAt": millis(at + int(rng.random() * 20 * DAY)),
            "lastModificationSource": rng.choice(("SKIPCALL", "API", "CRM")),
        }
        return record | self._profile(person) if rng.random() < 0.3 else record

    def _profile(self, person: Person) -> Record:
        country = person.numbers[0].country
        handle = f"{person.first}-{person.last}".lower()
        return {
            "city": PLANS[country].city,
            "country": country,
            "url": "https://www.example.org",
            "linkedinUrl": f"https://linkedin.example/in/{handle}",
            "linkedinSalesUrl": None,
            "role": self._rng.choice(("CEO", "Buyer", "Directrice d'achats")),
            "customFields": {"budget": self._rng.randrange(10**5), "source": "fair"},
            "teamId": self._sequences[0],
        }

    def calls(self, call: RealCall) -> list[Record]:
        rng = self._rng
        started = call.at + self._skew + rng.randrange(SECOND)
        ended = started + call.ring + call.talk + rng.randrange(2 * SECOND)
        record: Record = {
            "id": uuid(rng),
            "callType": "CALL_SESSION" if rng.random() < 0.3 else "DIRECT_CALL",
            "status": rng.choice(_STATUS[call.outcome]),
            "type": "outbound" if call.outbound else "inbound",
            "startedAt": self._started(call, started),
            "endedAt": rng.choice(_NO_TIME) if call.live else millis(ended),
            "createdAt": millis(started - 200 - int(rng.random() ** 4 * 60 * SECOND)),
            "contact": self._party(call),
            "phoneNumber": {"value": self._remote(call)},
            "caller": {"firstName": call.agent.first, "lastName": call.agent.last},
            "callerPhoneNumber": {"value": call.line.number.e164},
            "organizationId": ORGANIZATION,
            "organizationMembershipId": self._members[call.agent.id],
            "managedPhoneNumberId": self._lines[call.line.id],
        }
        return [with_gaps(rng, record, _MISSABLE) | self._details(ended)]

    def _started(self, call: RealCall, started: int) -> Any:
        waiting = call.live and self._rng.random() < 0.5
        return self._rng.choice(_NO_TIME) if waiting else millis(started)

    def _party(self, call: RealCall) -> Record:
        person = call.person
        contact_id = self._contact_ids.get(call.number.e164) if call.number else None
        if contact_id is None or person is None:
            return {"id": None, "firstName": None, "lastName": None, "isUnknown": True}
        return {"id": contact_id, "firstName": person.first, "lastName": person.last, "isUnknown": False}

    def _remote(self, call: RealCall) -> str | None:
        return call.number.e164 if call.number else self._rng.choice((None, "anonymous", "+266696687"))

    def _details(self, ended: int) -> Record:
        """What only some calls carry."""
        rng = self._rng
        every: tuple[tuple[float, Record], ...] = (
            (0.7, {"updatedAt": millis(ended + 60 * SECOND)}),
            (
                0.6,
                {
                    "userProviderSid": f"CA{rng.getrandbits(128):032x}",
                    "adminProviderSid": rng.choice((None, f"CA{rng.getrandbits(128):032x}")),
                },
            ),
            (0.4, {"phoneNumberId": uuid(rng), "providerConferenceId": f"CF{rng.getrandbits(128):032x}"}),
            (0.5, {"transferred": rng.random() < 0.05}),
            (0.3, {"sequenceRunId": uuid(rng), "sequenceId": rng.choice(self._sequences)}),
            (0.3, {"syncedWithCrmDate": rng.choice((millis(ended), None, {}))}),
            (0.2, {"deletedAt": millis(ended + DAY) if rng.random() < 0.05 else None}),
            (
                0.15,
                {"notes": rng.choice(("Rappeler lundi", "Asked for a quote, call back", "😀 très intéressée", ""))},
            ),
        )
        details: Record = {}
        for share, extra in every:
            if rng.random() < share:
                details |= extra
        return details
