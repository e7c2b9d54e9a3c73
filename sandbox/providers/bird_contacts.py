"""What Bird writes down of people."""

from random import Random

from sandbox.providers.table import Record
from sandbox.world.clock import DAY, trimmed
from sandbox.world.people import Person, uuid

WORKSPACE = "5a9d0000-0000-4000-a000-000000000001"


class AddressBook:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.ids: dict[str, str] = {}
        """The contact of each number."""
        self.identifiers: dict[str, list[Record]] = {}
        """The contacts that have more identifiers than they feature."""

    def contacts(self, person: Person) -> list[Record]:
        if self._rng.random() > 0.83:
            return []
        contact_id, at = uuid(self._rng), person.created + int(self._rng.random() * DAY)
        everything = [{"key": "phonenumber", "value": number.e164} for number in person.numbers]
        if self._rng.random() < 0.8:
            everything.append({"key": "emailaddress", "value": person.email})
        self.ids |= {number.e164: contact_id for number in person.numbers}
        return [self._contact(person, contact_id, at, everything)]

    def _contact(self, person: Person, contact_id: str, at: int, everything: list[Record]) -> Record:
        rng = self._rng
        if len(everything) > 2:
            self.identifiers[contact_id] = [_identifier(contact_id, one, at) for one in everything]
        attributes: Record = {"firstName": person.first, "lastName": person.last}
        if rng.random() < 0.3:
            attributes |= {
                "company": person.company,
                "tags": ["lead", "2026"],
                "score": rng.randrange(100),
                "vat": None,
            }
        return {
            "id": contact_id,
            "computedDisplayName": f"{person.first} {person.last}",
            "createdAt": trimmed(at),
            "updatedAt": trimmed(at + int(rng.random() * 20 * DAY)),
            "workspaceId": WORKSPACE,
            "featuredIdentifiers": everything[:2],
            "attributes": attributes if rng.random() < 0.95 else None,
            "identifierCount": len(everything),
            "accountIds": [],
            "listIds": [uuid(rng)] if rng.random() < 0.2 else [],
        }


def _identifier(contact_id: str, one: Record, at: int) -> Record:
    return {"contactId": contact_id} | one | {"properties": {}, "createdAt": trimmed(at)}
