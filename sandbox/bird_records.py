"""What Bird writes down of contacts and calls: one call may be a tree of records."""

from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from sandbox.bird_contacts import AddressBook
from sandbox.clock import MINUTE, SECOND, epoch, trimmed
from sandbox.examples import example
from sandbox.happenings import RealCall
from sandbox.people import Cast, Number, uuid
from sandbox.table import Record

CHANNELS = tuple(f"c4a20000-0000-4000-a000-00000000000{n}" for n in range(1, 4))
_WITHOUT_PLUS = CHANNELS[0]
_EXAMPLE_CHANNELS = ("a739d30b-8171-471c-9df4-591d4dd7bee5", "db53c357-92e3-4f3d-babe-159573940a50")
_STATUS = {
    "answered": ("completed",),
    "missed": ("no-answer",),
    "voicemail": ("completed",),
    "busy": ("busy",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "rejected": ("busy",),
    "forwarded": ("completed",),
    "in_progress": ("ongoing", "ringing", "starting", "accepted", "scheduled"),
}
_HANGUP = {
    "completed": (16, "200"),
    "no-answer": (19, "480"),
    "busy": (17, "486"),
    "failed": (38, "503"),
    "cancelled": (16, "487"),
}
_SIP_INSIGHTS = {
    "hangupSipCode": "200",
    "edgeRegion": "eu-west-1",
    "providerName": "carrier-b",
    "userAgent": "webRTC 1.0",
    "remoteSignallingIp": "192.0.2.10",
    "remoteMediaIp": "192.0.2.11",
}
_VARIANT_ENDING = "7"
"""Mexican and Brazilian numbers with this last digit come in their older spelling."""
_ZERO_TIME = "0001-01-01T00:00:00Z"


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


class Leg(NamedTuple):
    """How a record hangs on another: the other's id, and how much later it began."""

    parent: str = ""
    late: int = 0


_ROOT = Leg()


class Scribe:
    def __init__(self, rng: Random, _cast: Cast) -> None:
        self._rng = rng
        self._skew = int(rng.uniform(-6, 6) * SECOND)
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
            return self._record(call, "outgoing", own, other)
        if call.outbound:
            # To another line of the company: this provider sees the called side.
            return self._record(call, "incoming", own, other)
        return self._record(call, "incoming", other, own)

    def _by_client(self, call: RealCall) -> list[Record]:
        """An agent's browser calls in, and a leg goes out; now and then the root is not listed."""
        own, other = self._line(call), self._other(call)
        root = self._record(call, "incoming", _client(call.agent.client, call.line.number), other)
        leg = self._record(call, "outgoing", own, other, Leg(root["id"], self._rng.randrange(3 * SECOND)))
        return [leg] if self._rng.random() < 0.05 else [root, leg]

    def _to_client(self, call: RealCall) -> list[Record]:
        root = self._plain(call)
        client = _client(call.agent.client, None)
        return [root, self._record(call, "outgoing", self._other(call), client, Leg(root["id"], call.ring // 2))]

    def _forwarded(self, call: RealCall) -> list[Record]:
        """Another line takes what the first one passed on, and rings the agent's mobile."""
        late = 2 * SECOND + self._rng.randrange(6 * SECOND)
        taken = replace(call, line=call.onward)
        root = self._record(taken, "incoming", self._other(taken), self._line(taken), Leg(late=late))
        mobile = _pstn(call.agent.mobile, _channel_of(taken))
        return [root, self._record(taken, "outgoing", self._line(taken), mobile, Leg(root["id"], late + SECOND))]

    def _over_sip(self, call: RealCall) -> Record:
        sip = {
            "type": "sip",
            "number": f"sip:{call.agent.first.lower()}@pbx.example.com",
            "identity": call.line.number.e164,
        }
        record = self._record(call, "outgoing", {"number": sip}, self._other(call))
        if not call.outbound:
            record = self._record(call, "incoming", self._other(call), {"number": sip})
        return record | {"sipType": self._rng.choice(("elastic", "byoc", "forward"))}

    def _line(self, call: RealCall) -> Record:
        return _pstn(call.line.number, _channel_of(call))

    def _other(self, call: RealCall) -> Record:
        if call.number is None:
            hidden = self._rng.choice(("anonymous", "+266696687", "+7378742833"))
            return {"number": {"type": "pstn", "number": hidden, "anonymous": True}}
        spelling = call.number.variant if call.number.digits.endswith(_VARIANT_ENDING) else ""
        party = _pstn(call.number, _channel_of(call), spelling)
        contact_id = self._book.ids.get(call.number.e164)
        if contact_id is None:
            return party
        return {
            "contact": {"id": contact_id, "identifierKey": "phonenumber", "identifierValue": call.number.e164}
        } | party

    def _record(self, call: RealCall, direction: str, source: Record, target: Record, leg: Leg = _ROOT) -> Record:
        rng = self._rng
        at = call.at + self._skew + leg.late + rng.randrange(2 * SECOND)
        status = rng.choice(_STATUS[call.outcome])
        kind = "webrtc" if "webrtc" in {source["number"]["type"], target["number"]["type"]} else "pstn"
        record: Record = {
            "id": uuid(rng),
            "channelId": _channel_of(call),
            "originator": source,
            "receiver": target,
            "from": _address(source),
            "to": _address(target),
            "direction": direction,
            "status": status,
            "type": "sip" if source["number"]["type"] == "sip" else kind,
        }
        if leg.parent:
            record["parentId"] = leg.parent
        return record | self._times(call, status, at) | self._details(call, status, record["id"])

    def _times(self, call: RealCall, status: str, at: int) -> Record:
        rng = self._rng
        if call.live:
            return self._unfinished(status, at)
        rung, answered, ended = at + min(call.ring, 3 * SECOND), at + call.ring, at + call.ring + call.talk
        times = {
            "createdAt": trimmed(at),
            "updatedAt": trimmed(ended + 100 + rng.randrange(200)),
            "endedAt": trimmed(ended),
        }
        if rng.random() < 0.93:
            times["ringingAt"] = trimmed(rung)
        if call.talked or (status == "no-answer" and rng.random() < 0.2):
            times["answeredAt"] = trimmed(answered if call.talked else rung - 3)
        return times

    def _unfinished(self, status: str, at: int) -> Record:
        times: Record = {"createdAt": trimmed(at), "updatedAt": trimmed(at + SECOND)}
        if status == "scheduled":
            times["scheduledFor"] = trimmed(at + 90 * MINUTE)
        return times | ({"endedAt": _ZERO_TIME} if self._rng.random() < 0.5 else {})

    def _details(self, call: RealCall, status: str, call_id: str) -> Record:
        if status not in _HANGUP:
            return {}
        rng = self._rng
        cause, sip = _HANGUP[status]
        details: Record = {
            "duration": call.talk // SECOND + (call.talk % SECOND > rng.randrange(SECOND)),
            "hangupCauseCode": cause,
            "hangupSource": rng.choice(("callee", "caller", "api", "timeout", "none", None)),
            "sipInsights": {"hangupSipCode": sip},
            "qualityInsights": {"mos": "4.50" if call.talked else "0.00", "pdd": f"{call.ring / SECOND:.2f}"},
        }
        if rng.random() < 0.1:
            details |= _rarities(rng, call, call_id)
        return details


def _rarities(rng: Random, call: RealCall, call_id: str) -> Record:
    flow = uuid(rng)
    command = {"id": uuid(rng), "callId": call_id, "command": "answer", "status": "accepted", "callFlowId": flow}
    condition = {"variable": "keys", "operator": "eq", "value": "1"}
    everything: dict[str, Any] = {
        "callFlow": {"id": flow, "commands": [command, command | {"command": "gather", "conditions": [condition]}]},
        "notification": {"url": "https://hooks.example.com/voice"},
        "tags": rng.sample(("vip", "campaign-7", "callback", "fr"), 2),
        "amdResult": {"result": "machine" if call.outcome == "voicemail" else "human", "speech": "", "locale": "en-US"},
        "reason": "carrier",
        "hangupSipCode": "200",
        "sipInsights": _SIP_INSIGHTS,
    }
    return {name: everything[name] for name in rng.sample(tuple(everything), 3)}


def _channel_of(call: RealCall) -> str:
    return CHANNELS[call.line.channel]


def _client(client: str, shown: Number | None) -> Record:
    number = {"type": "webrtc", "number": client, "callerIdName": client}
    return {"number": number | ({"identity": shown.e164} if shown else {})}


def _pstn(number: Number, channel: str, spelling: str = "") -> Record:
    written = (spelling or number.e164).removeprefix("+" if channel == _WITHOUT_PLUS else "")
    party = {"type": "pstn", "number": written, "countryIsoCode": number.country, "pstnNumberType": "mobile"}
    return {"number": party | ({"identity": number.e164} if number.digits[-1] == "2" else {})}


def _address(party: Record) -> str:
    number = party["number"]
    written: str = number["number"]
    return f"client:{written}" if number["type"] == "webrtc" else written
