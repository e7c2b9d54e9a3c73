"""One record of Bird's call log: its times, its status, and what only some records tell."""

from random import Random
from typing import Any, NamedTuple

from sandbox.providers.table import Record
from sandbox.world.clock import MINUTE, SECOND, trimmed
from sandbox.world.happenings import RealCall
from sandbox.world.people import uuid

CHANNELS = tuple(f"c4a20000-0000-4000-a000-00000000000{n}" for n in range(1, 4))
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
_ZERO_TIME = "0001-01-01T00:00:00Z"


class Leg(NamedTuple):
    """How a record hangs on another: the other's id, and how much later it began."""

    parent: str = ""
    late: int = 0


ROOT = Leg()


class CallLog:
    """Writes down calls by a clock that is `skew` milliseconds off."""

    def __init__(self, rng: Random, skew: int) -> None:
        self._rng, self._skew = rng, skew

    def record(self, call: RealCall, direction: str, source: Record, target: Record, leg: Leg = ROOT) -> Record:
        rng = self._rng
        at = call.at + self._skew + leg.late + rng.randrange(2 * SECOND)
        status = rng.choice(_STATUS[call.outcome])
        kind = "webrtc" if "webrtc" in {source["number"]["type"], target["number"]["type"]} else "pstn"
        record: Record = {
            "id": uuid(rng),
            "channelId": channel_of(call),
            "originator": source,
            "receiver": target,
            "from": address(source),
            "to": address(target),
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


def channel_of(call: RealCall) -> str:
    return CHANNELS[call.line.channel]


def address(party: Record) -> str:
    number = party["number"]
    written: str = number["number"]
    return f"client:{written}" if number["type"] == "webrtc" else written
