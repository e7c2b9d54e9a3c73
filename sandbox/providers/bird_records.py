"""What Bird writes down of contacts and calls: one call may be a tree of records."""

from dataclasses import replace
from random import Random

from sandbox.examples import example
from sandbox.providers.bird_contacts import AddressBook
from sandbox.providers.bird_log import CHANNELS, CallLog, Leg, channel_of
from sandbox.providers.table import Record
from sandbox.world.clock import SECOND, epoch
from sandbox.world.happenings import RealCall
from sandbox.world.people import Cast, Number

_WITHOUT_PLUS = CHANNELS[0]
_EXAMPLE_CHANNELS = ("a739d30b-8171-471c-9df4-591d4dd7bee5", "db53c357-92e3-4f3d-babe-159573940a50")
_VARIANT_ENDING = "7"
"""Mexican and Brazilian numbers with this last digit come in their older spelling."""


def created(record: Record) -> float:
    return epoch(record["createdAt"])


def channels() -> list[Record]:
    own = [_channel(channel, f"Voice {n}") for n, channel in enumerate(CHANNELS, 1)]
    return own + [_channel(channel, f"Example {n}") for n, channel in enumerate(_EXAMPLE_CHANNELS, 1)]


def _channel(channel: str, name: str) -> Record:
    place = {"platformId": "voice", "connectorId": f"0{channel[1:]}", "identifier": name.lower()}
    return {"id": channel, "name": name, "status": "active"} | place


def examples() -> dict[str, list[Record]]:
    return {"calls": example("bird_calls"), "contacts": []}


class Scribe:
    def __init__(self, rng: Random, _cast: Cast) -> None:
        self._rng = rng
        self._log = CallLog(rng, skew=int(rng.uniform(-6, 6) * SECOND))
        self._book = AddressBook(rng)
        self.contacts = self._book.contacts
        self.identifiers = self._book.identifiers

    def calls(self, call: RealCall) -> list[Record]:
        """The roots and legs of one call."""
        luck = self._rng.random()
        if call.outcome == "forwarded":
            return self._forwarded(call)
        if call.outbound and luck < 0.25:
            return self._by_client(call)
        if not call.outbound and call.talked and luck < 0.2:
            return self._to_client(call)
        if luck > 0.97:
            return [self._over_sip(call)]
        return [self._plain(call)]

    def _plain(self, call: RealCall) -> Record:
        own, other = self._line(call), self._other(call)
        if call.outbound and call.person is not None:
            return self._log.record(call, "outgoing", own, other)
        if call.outbound:
            # To another line of the company: this provider sees the called side.
            return self._log.record(call, "incoming", own, other)
        return self._log.record(call, "incoming", other, own)

    def _by_client(self, call: RealCall) -> list[Record]:
        """An agent's browser calls in, and a leg goes out; now and then the root is not listed."""
        own, other = self._line(call), self._other(call)
        root = self._log.record(call, "incoming", _client(call.agent.client, call.line.number), other)
        leg = self._log.record(call, "outgoing", own, other, Leg(root["id"], self._rng.randrange(3 * SECOND)))
        return [leg] if self._rng.random() < 0.05 else [root, leg]

    def _to_client(self, call: RealCall) -> list[Record]:
        root = self._plain(call)
        client = _client(call.agent.client, None)
        return [root, self._log.record(call, "outgoing", self._other(call), client, Leg(root["id"], call.ring // 2))]

    def _forwarded(self, call: RealCall) -> list[Record]:
        """Another line takes what the first one passed on, and rings the agent's mobile."""
        late = 2 * SECOND + self._rng.randrange(6 * SECOND)
        taken = replace(call, line=call.onward)
        root = self._log.record(taken, "incoming", self._other(taken), self._line(taken), Leg(late=late))
        mobile = _pstn(call.agent.mobile, channel_of(taken))
        return [root, self._log.record(taken, "outgoing", self._line(taken), mobile, Leg(root["id"], late + SECOND))]

    def _over_sip(self, call: RealCall) -> Record:
        sip = {
            "type": "sip",
            "number": f"sip:{call.agent.first.lower()}@pbx.example.com",
            "identity": call.line.number.e164,
        }
        record = self._log.record(call, "outgoing", {"number": sip}, self._other(call))
        if not call.outbound:
            record = self._log.record(call, "incoming", self._other(call), {"number": sip})
        return record | {"sipType": self._rng.choice(("elastic", "byoc", "forward"))}

    def _line(self, call: RealCall) -> Record:
        return _pstn(call.line.number, channel_of(call))

    def _other(self, call: RealCall) -> Record:
        if call.number is None:
            hidden = self._rng.choice(("anonymous", "+266696687", "+7378742833"))
            return {"number": {"type": "pstn", "number": hidden, "anonymous": True}}
        spelling = call.number.variant if call.number.digits.endswith(_VARIANT_ENDING) else ""
        party = _pstn(call.number, channel_of(call), spelling)
        contact_id = self._book.ids.get(call.number.e164)
        if contact_id is None:
            return party
        return {
            "contact": {"id": contact_id, "identifierKey": "phonenumber", "identifierValue": call.number.e164}
        } | party


def _client(client: str, shown: Number | None) -> Record:
    number = {"type": "webrtc", "number": client, "callerIdName": client}
    return {"number": number | ({"identity": shown.e164} if shown else {})}


def _pstn(number: Number, channel: str, spelling: str = "") -> Record:
    written = (spelling or number.e164).removeprefix("+" if channel == _WITHOUT_PLUS else "")
    party = {"type": "pstn", "number": written, "countryIsoCode": number.country, "pstnNumberType": "mobile"}
    return {"number": party | ({"identity": number.e164} if number.digits[-1] == "2" else {})}
