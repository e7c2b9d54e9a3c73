"""The sandbox providers over real HTTP: their lists against the world's truth, their doors, and every fault."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any

import httpx
import phonenumbers
import pytest

from sandbox import cli
from sandbox.examples import example
from sandbox.faults.faults import FAULTS
from sandbox.providers import bird, sakari, skipcall
from sandbox.providers.bird_contacts import WORKSPACE
from sandbox.providers.bird_log import CHANNELS
from sandbox.providers.sakari import conversation
from sandbox.server import Sandbox
from tasks.client.connection import certificates
from tests.support.patience import PATIENCE

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAKARI = f"/v1/accounts/{sakari.ACCOUNT}"
BIRD = f"/workspaces/{WORKSPACE}"
BIRD_KEY = {"authorization": f"AccessKey {bird.ACCESS_KEY}"}
SKIPCALL_KEY = {"authorization": f"Bearer {skipcall.API_KEY}"}
LISTS = [
    ("sakari", "calls", f"{SAKARI}/calls"),
    ("sakari", "contacts", f"{SAKARI}/contacts"),
    ("bird", "calls", f"{BIRD}/channels/calls"),
    ("bird", "contacts", f"{BIRD}/contacts"),
    ("skipcall", "calls", "/v1/calls"),
    ("skipcall", "contacts", "/v1/contacts"),
]

Json = dict[str, Any]
Client = httpx.Client


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=1500, seed=7, until=UNTIL) as running:
        yield running


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """A small one that a test may change."""
    with Sandbox(calls=400, seed=3, until=UNTIL) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with httpx.Client(base_url=sandbox.url, verify=certificates()) as client:
        yield client


@pytest.fixture
def own_client(own_sandbox: Sandbox) -> Iterator[Client]:
    with httpx.Client(base_url=own_sandbox.url, verify=certificates()) as client:
        yield client


def token(client: Client) -> dict[str, str]:
    body = {"grant_type": "client_credentials", "client_id": sakari.CLIENT_ID, "client_secret": sakari.CLIENT_SECRET}
    return {
        "authorization": f"Bearer {client.post('/oauth2/token', json=body).raise_for_status().json()['access_token']}"
    }


def walk_sakari(client: Client, path: str, **query: Any) -> list[Any]:
    headers, found, more = token(client), list[Any](), True
    while more:
        page = (
            client.get(path, params={"limit": 100, "offset": len(found), **query}, headers=headers)
            .raise_for_status()
            .json()
        )
        assert page["pagination"]["offset"] == len(found)
        assert ("totalCount" in page["pagination"]) == path.endswith("/calls")
        found += page["data"]
        more = page["pagination"]["hasNext"]
    return found


def walk_bird(client: Client, path: str, **query: Any) -> list[Any]:
    found, params = list[Any](), {"limit": 100, **query}
    while True:
        page = client.get(path, params=params, headers=BIRD_KEY).raise_for_status().json()
        found += page["results"]
        if "nextPageToken" not in page:
            return found
        params["pageToken"] = page["nextPageToken"]


def walk_skipcall(client: Client, path: str, **query: Any) -> list[Any]:
    found: list[Any] = []
    while True:
        params = {"page": len(found) // 100 + 1, "limit": 100, **query}
        page = client.get(path, params=params, headers=SKIPCALL_KEY).raise_for_status().json()
        found += page["data"]
        if len(found) == page["meta"]["total"]:
            return found


WALKS: dict[str, Callable[..., list[Any]]] = {"sakari": walk_sakari, "bird": walk_bird, "skipcall": walk_skipcall}


def truth(sandbox: Sandbox, provider: str, stream: str) -> dict[str, Json]:
    return {record_id: json.loads(body) for record_id, body in sandbox.truth()[provider][stream].items()}


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
def test_walk_gives_the_truth(sandbox: Sandbox, client: Client, provider: str, stream: str, path: str) -> None:
    """Walking a list page by page gives every record of the world once, and nothing else."""
    found = WALKS[provider](client, path)

    assert len(found) == len(truth(sandbox, provider, stream)) > 100
    assert {record["id"]: record for record in found} == truth(sandbox, provider, stream)


@pytest.mark.parametrize(("provider", "path"), [(name, path) for name, _, path in LISTS if name != "sakari"])
def test_newest_first(client: Client, provider: str, path: str) -> None:
    """Bird and Skipcall list by creation, the newest first."""
    times = [datetime.fromisoformat(record["createdAt"]) for record in WALKS[provider](client, path)]

    assert times == sorted(times, reverse=True)


def test_sakari_order(client: Client) -> None:
    """Sakari's order is not that of time, but is the same every time."""
    found = [call["created"]["at"] for call in walk_sakari(client, f"{SAKARI}/calls")]

    assert found not in (sorted(found), sorted(found, reverse=True))
    assert found == [call["created"]["at"] for call in walk_sakari(client, f"{SAKARI}/calls")]


def test_bird_contacts_reversed(client: Client) -> None:
    """Bird lists contacts the other way round when asked to."""
    path = f"{BIRD}/contacts"

    assert walk_bird(client, path, reverse="true") == walk_bird(client, path)[::-1]


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
def test_single_record(sandbox: Sandbox, client: Client, provider: str, stream: str, path: str) -> None:
    """A record is answered by id as it is listed; an unknown id is 404."""
    record_id, record = list(truth(sandbox, provider, stream).items())[-1]
    path = path if (provider, stream) != ("bird", "calls") else f"{BIRD}/channels/{record['channelId']}/calls"
    headers = {"sakari": token(client), "bird": BIRD_KEY, "skipcall": SKIPCALL_KEY}[provider]
    found = client.get(f"{path}/{record_id}", headers=headers).json()

    assert found == ({"success": True, "data": record} if provider == "sakari" else record)
    assert client.get(f"{path}/unknown", headers=headers).status_code == 404


def test_sakari_window(sandbox: Sandbox, client: Client) -> None:
    """Sakari's from and to are inclusive at both ends."""
    times = sorted(call["created"]["at"] for call in truth(sandbox, "sakari", "calls").values())
    low, high = times[100], times[250]
    found = walk_sakari(client, f"{SAKARI}/calls", **{"from": low, "to": high})

    assert sorted(call["created"]["at"] for call in found) == [at for at in times if low <= at <= high]


def test_bird_window(sandbox: Sandbox, client: Client) -> None:
    """Bird's startAt and endAt are inclusive, to the millisecond."""
    calls = sorted(truth(sandbox, "bird", "calls").values(), key=lambda call: datetime.fromisoformat(call["createdAt"]))
    found = walk_bird(
        client, f"{BIRD}/channels/calls", startAt=calls[100]["createdAt"], endAt=calls[250]["createdAt"], limit=1000
    )

    assert [call["id"] for call in found] == [call["id"] for call in calls[100:251]][::-1]


def sakari_filters(call: Json) -> Json:
    return {
        "direction": call["direction"],
        "status": call["status"],
        "contactId": call["contact"]["id"],
        "userId": call["user"]["id"],
        "groupId": call["group"]["id"],
        "phonenumberId": call["phoneNumber"]["id"],
        "conversationId": conversation(call),
    }


def test_sakari_call_filters(sandbox: Sandbox, client: Client) -> None:
    """Each of Sakari's call filters keeps exactly the calls that fit it."""
    calls = truth(sandbox, "sakari", "calls")
    whole = {
        key: call
        for key, call in calls.items()
        if call.get("user") and "id" in (call["contact"] or {}) and "group" in call
    }
    for name, value in sakari_filters(whole[max(whole)]).items():
        fitting = {key for key, call in whole.items() if sakari_filters(call)[name] == value}
        found = {call["id"] for call in walk_sakari(client, f"{SAKARI}/calls", **{name: value})}

        assert fitting <= found < calls.keys()


@pytest.mark.parametrize("name", ["firstName", "lastName", "email", "mobile", "tags"])
def test_sakari_contact_filters(sandbox: Sandbox, client: Client, name: str) -> None:
    """Sakari's contact filters find parts of texts."""
    part = {"mobile": "123-456", "tags": "VIP", "email": "ana."}.get(name, "oli")
    found = walk_sakari(client, f"{SAKARI}/contacts", **{name: part})

    assert 0 < len(found) < len(truth(sandbox, "sakari", "contacts"))
    assert all(part.lower() in json.dumps(contact, ensure_ascii=False).lower() for contact in found)


def test_sakari_ignores_unknown_names(sandbox: Sandbox, client: Client) -> None:
    """A misspelt filter of Sakari's changes nothing."""
    found = walk_sakari(client, f"{SAKARI}/calls", phoneNumberId="none", since="2030-01-01T00:00:00Z")

    assert len(found) == len(truth(sandbox, "sakari", "calls"))


@pytest.mark.parametrize(
    "name", ["status", "type", "direction", "to", "from", "duration", "id", "tag[]", "channelId[]"]
)
def test_bird_filters(sandbox: Sandbox, client: Client, name: str) -> None:
    """Each of Bird's call filters keeps exactly the calls that fit it."""
    calls = truth(sandbox, "bird", "calls")
    field = {"tag[]": "tags", "channelId[]": "channelId"}.get(name, name)
    example_call = next(call for _, call in sorted(calls.items()) if call.get("tags") and call["type"] == "webrtc")
    value = example_call[field][:1] if field == "tags" else example_call[field]
    fitting = {key for key, call in calls.items() if fits(call.get(field), value)}

    assert {call["id"] for call in walk_bird(client, f"{BIRD}/channels/calls", **{name: value})} == fitting


def fits(held: Any, value: Any) -> bool:
    return bool(held) and value[0] in held if isinstance(value, list) else bool(held == value)


@pytest.mark.parametrize("channel", CHANNELS)
def test_bird_channel(sandbox: Sandbox, client: Client, channel: str) -> None:
    """A channel lists its own calls."""
    own = {key for key, call in truth(sandbox, "bird", "calls").items() if call["channelId"] == channel}

    assert {call["id"] for call in walk_bird(client, f"{BIRD}/channels/{channel}/calls")} == own


def test_bird_channels(sandbox: Sandbox, client: Client) -> None:
    """The channels list holds every channel a call names, in pages."""
    used = {call["channelId"] for call in truth(sandbox, "bird", "calls").values()}

    assert {channel["id"] for channel in walk_bird(client, f"{BIRD}/channels", limit=2)} == used
    assert walk_bird(client, f"{BIRD}/channels", platform="sms") == []


def test_bird_identifiers(sandbox: Sandbox, client: Client) -> None:
    """A contact's identifiers are as many as it counts, also where it features fewer."""
    contacts = truth(sandbox, "bird", "contacts").values()
    fewer = next(contact for contact in contacts if contact["identifierCount"] > len(contact["featuredIdentifiers"]))
    equal = next(contact for contact in contacts if contact["identifierCount"] == len(contact["featuredIdentifiers"]))
    for contact in (fewer, equal):
        found = client.get(f"{BIRD}/contacts/{contact['id']}/identifiers", headers=BIRD_KEY).json()["results"]

        assert len(found) == contact["identifierCount"]
        assert [{"key": one["key"], "value": one["value"]} for one in found][:2] == contact["featuredIdentifiers"]


def test_skipcall_workspaces(sandbox: Sandbox, client: Client) -> None:
    """Skipcall's workspaces part its calls among them."""
    parts = [walk_skipcall(client, "/v1/calls", workspaceIds=one) for one in skipcall.WORKSPACES]

    assert all(parts)
    assert {call["id"] for part in parts for call in part} == truth(sandbox, "skipcall", "calls").keys()
    assert sum(map(len, parts)) == len(walk_skipcall(client, "/v1/calls", workspaceIds=",".join(skipcall.WORKSPACES)))


def test_skipcall_describes_itself(client: Client) -> None:
    """Skipcall's OpenAPI document names the lists, their parameters and their envelope."""
    document = client.get("/docs-json").json()
    names = [parameter["name"] for parameter in document["paths"]["/v1/calls"]["get"]["parameters"]]

    assert names == ["page", "limit", "workspaceIds"]
    assert set(document["components"]["schemas"]["CallPage"]["properties"]) == {"data", "meta"}


def test_skipcall_tells_its_limit(client: Client) -> None:
    """Every answer of Skipcall's says what is left of its limit, refusals too."""
    for headers in (SKIPCALL_KEY, {}):
        answer = client.get("/v1/calls", headers=headers)

        assert answer.headers["X-RateLimit-Limit"] == "1000"
        assert 0 < int(answer.headers["X-RateLimit-Remaining"]) < 1000
        assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 60


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "AccessKey wrong", "Bearer"])
def test_closed_doors(client: Client, provider: str, stream: str, path: str, authorization: str) -> None:
    """Without a good credential every list answers 401."""
    assert client.get(path, headers={"authorization": authorization}).status_code == 401


def test_wrong_client(client: Client) -> None:
    """Sakari gives no token for a wrong secret, nor for a form."""
    body = {"grant_type": "client_credentials", "client_id": sakari.CLIENT_ID, "client_secret": "wrong"}

    assert client.post("/oauth2/token", json=body).status_code == 401
    assert client.post("/oauth2/token", data=body | {"client_secret": sakari.CLIENT_SECRET}).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{SAKARI}/calls?limit=101", 400),
        (f"{SAKARI}/calls?limit=0", 400),
        (f"{SAKARI}/calls?offset=-1", 400),
        (f"{SAKARI}/calls?status=done", 400),
        (f"{SAKARI}/calls?from=yesterday", 400),
        ("/v1/accounts/other/calls", 404),
        (f"{SAKARI}/messages", 404),
        (f"{BIRD}/channels/calls?limit=1001", 422),
        (f"{BIRD}/channels/calls?limit=many", 422),
        (f"{BIRD}/channels/calls?status=ended", 422),
        (f"{BIRD}/channels/calls?startAt=now", 422),
        (f"{BIRD}/channels/calls?pageToken=abc", 422),
        (f"{BIRD}/channels/calls?id=abc", 422),
        (f"{BIRD}/channels/calls?to=", 422),
        (f"{BIRD}/contacts?limit=101", 422),
        (f"{BIRD}/channels/unknown/calls", 404),
        ("/workspaces/other/contacts", 404),
        ("/v1/calls?limit=101", 400),
        ("/v1/calls?page=0", 400),
        ("/v1/calls?workspaceIds=one", 400),
    ],
)
def test_refusals(client: Client, path: str, status: int) -> None:
    """What a provider cannot take it refuses in its own words."""
    bodies = {"/v1/acc": {"success", "error"}, "/worksp": {"code", "message", "details"}}
    headers = token(client) if path.startswith("/v1/acc") else BIRD_KEY if path.startswith("/work") else SKIPCALL_KEY
    answer = client.get(path, headers=headers)

    assert answer.status_code == status
    assert answer.json().keys() == bodies.get(path[:7], {"statusCode", "message", "error"})


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
def test_default_page(client: Client, provider: str, stream: str, path: str) -> None:
    """Without a limit the pages are short: 10 with Bird, 25 with the others."""
    headers = {"sakari": token(client), "bird": BIRD_KEY, "skipcall": SKIPCALL_KEY}[provider]
    page = client.get(path, headers=headers).json()

    assert len(page.get("data") or page["results"]) == (10 if provider == "bird" else 25)


def test_examples_are_served(sandbox: Sandbox) -> None:
    """The documented example records are part of every world, at their own dates."""
    calls = {name: truth(sandbox, name, "calls") for name in ("sakari", "bird", "skipcall")}
    documented = example("bird_calls")

    assert len(documented) == 12
    assert [calls["bird"][call["id"]] for call in documented] == documented
    assert calls["skipcall"][example("skipcall_call")["id"]] == example("skipcall_call")
    assert calls["sakari"]["seed-call"]["created"] == example("sakari_call")["created"] | {
        "by": calls["sakari"]["seed-call"]["created"]["by"]
    }
    assert calls["sakari"]["seed-call"].keys() == example("sakari_call").keys()
    assert calls["sakari"]["seed-call"]["contact"]["id"] in truth(sandbox, "sakari", "contacts")


def test_same_seed_same_world() -> None:
    """A seed makes the same bytes each time, another seed others."""
    first, again, other = (Sandbox(calls=300, seed=seed, until=UNTIL) for seed in (5, 5, 6))
    for one in (first, again, other):
        one.close()

    assert first.truth() == again.truth()
    assert first.world.truth == again.world.truth
    assert first.truth() != other.truth()


def test_world_shape(sandbox: Sandbox) -> None:
    """The world holds what was asked for: records in number, calls seen by one, two and three, a truth for each."""
    records = {(name, key) for name in WALKS for key in truth(sandbox, name, "calls")}
    seen = [len({name for name, _ in same}) for same in sandbox.world.truth]
    contacts = sum(len(truth(sandbox, name, "contacts")) for name in WALKS)

    assert 1500 <= len(records) < 1550
    assert set().union(*sandbox.world.truth) == records
    assert sum(map(len, sandbox.world.truth)) == len(records)
    assert min(seen.count(number) for number in (1, 2, 3)) > 50
    assert 0.35 < contacts / len(records) < 0.65


def test_world_is_varied(sandbox: Sandbox) -> None:
    """The rare things are there: legs, clients, hidden callers, open calls, times that are none, deletions."""
    bird_calls = list(truth(sandbox, "bird", "calls").values())
    skipcall_calls = list(truth(sandbox, "skipcall", "calls").values())
    sakari_calls = list(truth(sandbox, "sakari", "calls").values())

    assert {call["type"] for call in bird_calls} == {"pstn", "sip", "webrtc"}
    assert {call["id"] for call in bird_calls} & {call.get("parentId") for call in bird_calls}
    assert any(call["originator"]["number"].get("anonymous") for call in bird_calls)
    assert any(call["from"].startswith("+") for call in bird_calls)
    assert any(call["from"][:1].isdigit() for call in bird_calls)
    assert {"forwarded", "missed", "rejected", "ended"} < {call["status"] for call in sakari_calls}
    assert any(call["contact"] is None for call in sakari_calls)
    assert any(call["voicemail"] for call in sakari_calls if "voicemail" in call)
    assert sum(bool(call.get("deletedAt")) for call in skipcall_calls) > 1
    assert any(call.get("syncedWithCrmDate") == {} for call in skipcall_calls)


def test_numbers_are_numbers(sandbox: Sandbox) -> None:
    """Every number of the world is a valid one, in eight countries."""
    found = {
        number for contact in truth(sandbox, "skipcall", "contacts").values() for number in contact["phoneNumbers"]
    }
    parsed = [phonenumbers.parse(number) for number in found]

    assert [number for number in parsed if not phonenumbers.is_valid_number(number)] == []
    assert {phonenumbers.region_code_for_number(number) for number in parsed} >= {
        "US",
        "FR",
        "DE",
        "NL",
        "PT",
        "MX",
        "BR",
    }


def statuses(client: Client, path: str, count: int, headers: dict[str, str]) -> list[httpx.Response]:
    return [client.get(path, headers=headers) for _ in range(count)]


def test_throttle(own_sandbox: Sandbox, own_client: Client) -> None:
    """Throttled, every seventh request is told to wait a second, by turns as a number and as a date."""
    own_sandbox.faults.add("throttle")
    answers = statuses(own_client, "/v1/calls", 14, SKIPCALL_KEY)
    refused = [answer for answer in answers if answer.status_code == 429]
    date = parsedate_to_datetime(refused[0].headers["retry-after"])

    assert [answer.status_code for answer in answers] == ([200] * 6 + [429]) * 2
    assert abs((date - datetime.now(UTC)).total_seconds()) < 2
    assert refused[1].headers["retry-after"] == "1"


def test_errors(own_sandbox: Sandbox, own_client: Client) -> None:
    """One request in ten fails, with each of three statuses."""
    own_sandbox.faults.add("errors")
    found = [answer.status_code for answer in statuses(own_client, f"{BIRD}/contacts", 30, BIRD_KEY)]

    assert sorted(status for status in found if status != 200) == [500, 502, 503]


def test_slow(own_sandbox: Sandbox, own_client: Client) -> None:
    """Slow answers come 300 ms late, and quick ones again once the fault is off."""
    own_sandbox.faults.add("slow")
    late = own_client.get("/v1/calls", headers=SKIPCALL_KEY).elapsed.total_seconds()
    own_sandbox.faults.discard("slow")

    assert own_client.get("/v1/calls", headers=SKIPCALL_KEY).elapsed.total_seconds() < 0.3 <= late


def test_token_expiry(own_sandbox: Sandbox, own_client: Client) -> None:
    """A Sakari token dies after five requests; a new one works."""
    own_sandbox.faults.add("token-expiry")
    found = [answer.status_code for answer in statuses(own_client, f"{SAKARI}/calls", 6, token(own_client))]

    assert found == [200] * 5 + [401]
    assert own_client.get(f"{SAKARI}/calls", headers=token(own_client)).status_code == 200


@pytest.mark.parametrize("victim", ["sakari", "bird", "skipcall"])
def test_down(own_sandbox: Sandbox, own_client: Client, victim: str) -> None:
    """A provider that is down answers 503 to everything, the others as ever."""
    own_sandbox.faults.add(f"down-{victim}")
    found = {provider: own_client.get(path).status_code for provider, _, path in LISTS}

    assert found == {"sakari": 401, "bird": 401, "skipcall": 401} | {victim: 503}


def is_readable(provider: str, stream: str, record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("id"), str) or len(record["id"]) > 1000:
        return False
    if stream == "contacts":
        return True
    held = [
        record.get("createdAt"),
        record.get("startedAt"),
        (record.get("created") or {}) if provider == "sakari" else None,
    ]
    return any(one and one != "yesterday" for one in held)


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
def test_unreadable(own_sandbox: Sandbox, own_client: Client, provider: str, stream: str, path: str) -> None:
    """Some records cannot be read: always the same, and the sandbox tells which."""
    own_sandbox.faults.add("unreadable")
    found = WALKS[provider](own_client, path)
    readable = {record["id"]: record for record in found if is_readable(provider, stream, record)}
    spoilt = own_sandbox.spoilt("unreadable", provider, stream)
    whole = truth(own_sandbox, provider, stream)

    assert spoilt
    assert len(found) == len(whole)
    assert readable == {key: record for key, record in whole.items() if key not in spoilt}


@pytest.mark.parametrize(("provider", "stream", "path"), LISTS)
def test_odd(own_sandbox: Sandbox, own_client: Client, provider: str, stream: str, path: str) -> None:
    """Odd records keep what they need to be read, whatever else they hold or lack."""
    own_sandbox.faults.add("odd")
    found = WALKS[provider](own_client, path)
    whole = truth(own_sandbox, provider, stream)
    changed = {record["id"] for record in found if record != whole[record["id"]]}

    assert len(found) == len(whole)
    assert changed == own_sandbox.spoilt("odd", provider, stream)
    assert all(is_readable(provider, stream, record) for record in found)


def test_odd_things(own_sandbox: Sandbox, own_client: Client) -> None:
    """Among odd records are NULs, lone surrogates, endless numbers and unknown words."""
    own_sandbox.faults.add("odd")
    found = [record for provider, _, path in LISTS for record in WALKS[provider](own_client, path)]
    text = json.dumps(found)

    assert "\\u0000" in text
    assert "\\ud83d" in text
    assert inf in [record.get("score") for record in found]
    assert "teleported" in text


def test_unknown_fault(own_sandbox: Sandbox) -> None:
    """An unknown fault is refused, and the known ones are named."""
    for attempt in (lambda: Sandbox(calls=20, faults=["gremlins"]), lambda: own_sandbox.faults.add("gremlins")):
        with pytest.raises(ValueError, match=r"gremlins.*throttle.*odd"):
            attempt()


def test_put_and_remove(own_sandbox: Sandbox, own_client: Client) -> None:
    """A test may add, change and remove records, and every list follows."""
    for provider, stream, path in LISTS:
        record = list(truth(own_sandbox, provider, stream).values())[5]
        own_sandbox.put(provider, stream, record | {"id": "new", "status": "new"})
        own_sandbox.put(provider, stream, record | {"status": "changed"})
        found = {one["id"]: one for one in WALKS[provider](own_client, path)}

        assert found["new"]["status"] == "new"
        assert found[record["id"]]["status"] == "changed"
        own_sandbox.remove(provider, stream, "new")
        own_sandbox.remove(provider, stream, record["id"])
        assert {one["id"] for one in WALKS[provider](own_client, path)} == found.keys() - {"new", record["id"]}


def test_requests_are_counted(own_sandbox: Sandbox, own_client: Client) -> None:
    """The sandbox remembers who asked for what, when, and what it answered."""
    before = time.monotonic()
    own_client.get("/v1/calls?limit=3", headers=SKIPCALL_KEY)
    own_client.get(f"{BIRD}/contacts")
    first, second = own_sandbox.requests

    assert first[:-1] == ("skipcall", "GET", "/v1/calls", {"limit": ["3"]}, 200)
    assert (second.provider, second.status) == ("bird", 401)
    assert before < first.at < second.at < time.monotonic()


def test_backstage(sandbox: Sandbox, client: Client) -> None:
    """Another process may ask for the truth over HTTP."""
    ids = client.get("/_truth").json()
    unified = client.get("/_truth/unified").json()

    assert ids == {
        name: {stream: list(held) for stream, held in streams.items()} for name, streams in sandbox.truth().items()
    }
    assert client.get("/_truth/counts").json()["bird"]["calls"] == len(ids["bird"]["calls"])
    assert [{tuple(record) for record in same} for same in unified] == sandbox.world.truth
    assert client.get("/elsewhere").status_code == 404


def test_program() -> None:
    """The program prints first what points Callweave at it, serves, and ends with 0 on SIGTERM."""
    command = [sys.executable, "-m", "flows", "sandbox", "--calls", "100", "--fault", "errors", "odd"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stderr
        lines = [program.stdout.readline().removeprefix("export ").strip().partition("=") for _ in range(9)]
        environ = {name: value for name, _, value in lines}
        counts = httpx.get(f"{environ['SKIPCALL_BASE_URL']}/_truth/counts").json()
        summary = program.stderr.readline()
        os.kill(program.pid, signal.SIGTERM)

        assert program.wait(PATIENCE) == 0
    assert counts["skipcall"]["calls"] > 0
    assert "with errors, odd" in summary


def test_every_fault_is_described() -> None:
    """The help names every fault."""
    assert all(name in cli.describe_faults() for name in FAULTS)
