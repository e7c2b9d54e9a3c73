"""Proven means whole: each way in which a provider was seen to be other than assumed, and what is said of it then."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.coverage import Sizes
from sandbox.server import Sandbox
from tasks.extract.stream_run import StreamRun
from tests.support.builders import CALLS, CONTACTS, Json, Office, decoded, drained, sakari_call, skipcall_call
from tests.support.relay import Asked, Relay, Reply, reply

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
Answers = Callable[[Asked], Reply | None]


@pytest.fixture
def relay(own_sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(own_sandbox.url) as relay:
        yield relay


def skipcall(count: int) -> list[Json]:
    """Newest first, a minute apart."""
    times = [(START - timedelta(minutes=n)).isoformat() for n in range(count)]
    return [skipcall_call(id=f"k{n:04}", startedAt=at, createdAt=at, endedAt=None) for n, at in enumerate(times)]


def numbered(records: list[Json], *, base: int, size_name: str, total: bool) -> Answers:
    """Pages as a vendor may number them: `size_name` is obeyed (default 10, at most 100), all else is ignored."""

    def intervene(asked: Asked) -> Reply | None:
        if asked.path == "/v1/contacts" or not asked.path.startswith("/v1/calls"):
            return None
        if asked.path != "/v1/calls":
            found = [one for one in records if one["id"] == asked.path.rsplit("/", 1)[1]]
            return reply(200, found[0]) if found else reply(404, {"statusCode": 404})
        number = int(asked.query.get("page", [str(base)])[0]) - base
        size = min(int(asked.query.get(size_name, ["10"])[0]), 100)
        if number < 0:
            return reply(400, {"statusCode": 400, "message": "page must not be less than 1"})
        page = records[number * size : (number + 1) * size]
        return reply(200, {"data": page} | ({"meta": {"total": len(records)}} if total else {}))

    return intervene


def at_relay(office: Office, relay: Relay, provider: str = "skipcall") -> Office:
    variable = f"{provider.upper()}_BASE_URL"
    return Office(office.database_url, office.environ | {variable: relay.url}, sizes=Sizes(pieces=10))


@pytest.mark.parametrize("total", [True, False], ids=["total", "no-total"])
@pytest.mark.parametrize("size_name", ["limit", "size"])
@pytest.mark.parametrize("base", [0, 1])
def test_numbered_pages(own_office: Office, relay: Relay, base: int, size_name: str, total: bool) -> None:
    """Pages from 0 or from 1, their size called `limit` or `size`: every call arrives (rows 1 to 3)."""
    records = skipcall(237)
    relay.intervene = numbered(records, base=base, size_name=size_name, total=total)
    with at_relay(own_office, relay) as office:
        run = office.sync("skipcall")

    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    assert own_office.ids("skipcall") == {one["id"] for one in records}


@pytest.mark.parametrize("beyond", [200, 404], ids=["empty", "denied"])
@pytest.mark.parametrize("total", [True, False], ids=["total", "no-total"])
def test_pages_smaller_than_they_say(own_office: Office, relay: Relay, total: bool, beyond: int) -> None:
    """Pages of 50 beside the size that was asked for: every call arrives, whatever stands beyond the last page."""
    records = skipcall(237)

    def intervene(asked: Asked) -> Reply | None:
        if asked.path != "/v1/calls":
            return None
        page, limit = (int(asked.query[name][0]) for name in ("page", "limit"))
        size = min(limit, 50)
        held = records[(page - 1) * size : page * size]
        meta = {"page": page, "limit": limit} | ({"total": len(records)} if total else {})
        return reply(200 if held else beyond, {"data": held, "meta": meta})

    relay.intervene = intervene
    with at_relay(own_office, relay) as office:
        run = office.sync("skipcall")

    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    assert own_office.ids("skipcall") == {one["id"] for one in records}


@pytest.mark.parametrize("stream", [CALLS, CONTACTS])
def test_an_end_that_is_none(own_office: Office, relay: Relay, stream: Any) -> None:
    """A list that says that it ends, and goes on behind, proves nothing: neither by ranges nor read as a whole."""

    def intervene(asked: Asked) -> Reply | None:
        if asked.path.rsplit("/", 1)[1] != str(stream):
            return None
        whole = decoded(relay.fetched(asked, asked.query | {"limit": ["10"]}))
        return reply(200, whole | {"pagination": {"hasNext": False}})

    relay.intervene = intervene
    with at_relay(own_office, relay, "sakari") as office:
        run = office.sync("sakari", stream)

    assert run.receipt.state == "partial"
    assert "says that it ends" in str(run.receipt.error)
    assert own_office.rows("SELECT FROM sync_window WHERE verdict = 'proven' AND fetched > 0") == []


def test_a_list_without_an_end(own_office: Office, relay: Relay) -> None:
    """A list that shows its last page again for ever is left, not followed: a whole part of it held nothing new."""

    def intervene(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/contacts"):
            return None
        held = decoded(relay.fetched(asked, asked.query | {"offset": ["0"]}))
        return reply(200, held | {"pagination": {"hasNext": True, "totalCount": 150}})

    relay.intervene = intervene
    with at_relay(own_office, relay, "sakari") as office:
        office.sizes = Sizes(pages=3)
        run = office.sync("sakari", CONTACTS)

    assert run.receipt.state == "partial"
    assert "without an end" in str(run.receipt.error)


FAILURES: list[tuple[str, Json]] = [
    ("sakari", {"success": False, "error": {"code": "ACC-9", "message": "try later"}, "data": [], "pagination": {}}),
    ("bird", {"code": "Internal", "message": "try later", "results": []}),
    ("skipcall", {"statusCode": 500, "message": "try later", "data": []}),
]


@pytest.mark.parametrize(("provider", "body"), FAILURES, ids=[name for name, _ in FAILURES])
@pytest.mark.parametrize("stream", [CALLS, CONTACTS])
def test_failure_in_a_success(own_office: Office, relay: Relay, provider: str, body: Json, stream: Any) -> None:
    """A 200 that says it failed is a failure with the vendor's words, and buries nothing (airbyte#15055; row 4)."""
    own_office.sync(provider, stream)
    held = own_office.ids(provider, stream)
    relay.intervene = lambda asked: reply(200, body) if asked.method == "GET" and asked.query else None
    with at_relay(own_office, relay, provider) as office:
        run = office.sync(provider, stream, **({"full": True} if stream is CALLS else {}))

    assert run.receipt.state == "failed"
    assert "try later" in (run.receipt.error or "")
    assert run.receipt.counts.deleted == 0
    table = "call" if stream is CALLS else "contact"
    live = own_office.rows(f"SELECT external_id FROM v1.{table} WHERE deleted_at IS NULL")
    assert {row["external_id"] for row in live} == held - deleted(own_office, table)


def deleted(office: Office, table: str) -> set[str]:
    """What the provider itself says is deleted."""
    rows = office.rows(f"SELECT external_id FROM v1.{table} WHERE payload ->> 'deletedAt' IS NOT NULL")
    return {row["external_id"] for row in rows}


def burst(sandbox: Sandbox, count: int, since: datetime = START) -> None:
    """So many calls of Sakari, a second apart."""
    for number in range(count):
        at = (since + timedelta(seconds=number)).isoformat()
        sandbox.put("sakari", CALLS, sakari_call(id=f"b{number:04}", created={"at": at}))


def paged(relay: Relay, change: Callable[[Asked, Json], Json]) -> Answers:
    """The sandbox's lists of calls, changed."""

    def intervene(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/calls"):
            return None
        return reply(200, change(asked, decoded(relay.fetched(asked))))

    return intervene


def offset_of(asked: Asked) -> int:
    return int(asked.query.get("offset", ["0"])[0])


def empty_says_more(asked: Asked, found: Json) -> Json:
    return found if not offset_of(asked) else {"pagination": {"hasNext": True, "totalCount": 250}, "data": []}


def capped(asked: Asked, found: Json) -> Json:
    if offset_of(asked) <= 290:
        return found
    return found | {"data": [], "pagination": found["pagination"] | {"hasNext": True, "totalCount": 500}}


@pytest.mark.parametrize(("change", "count"), [(empty_says_more, 250), (capped, 500)])
def test_more_by_its_own_word(own_sandbox: Sandbox, own_office: Office, relay: Relay, change: Any, count: int) -> None:
    """A page that is empty while the provider says that more follows proves nothing (PostHog#101793; rows 5 and 6)."""
    burst(own_sandbox, count)
    relay.intervene = paged(relay, change)
    since, until = START - timedelta(minutes=1), START + timedelta(minutes=30)
    with at_relay(own_office, relay, "sakari") as office:
        run = office.sync("sakari", since=since, until=until)

    assert run.receipt.state == "partial"
    assert "records came" in (run.receipt.error or "")
    (status,) = own_office.rows("SELECT covered FROM v1.sync_status")
    assert not any(span.lower <= START < span.upper for span in status["covered"])


def test_a_list_that_leaves_out(own_sandbox: Sandbox, own_office: Office, relay: Relay) -> None:
    """A list that omits what exists by its id is not believed, and said so (amazonka#296; row 7)."""
    burst(own_sandbox, 20)
    own_office.sync("sakari")
    relay.intervene = paged(
        relay,
        lambda _asked, found: (
            found
            | {"data": [one for one in found["data"] if one["id"] != "b0007"]}
            | {"pagination": {"hasNext": found["pagination"]["hasNext"]}}
        ),
    )
    with at_relay(own_office, relay, "sakari") as office:
        run = office.sync("sakari", full=True)

    assert run.receipt.state == "partial"
    assert "b0007" in (run.receipt.error or "")
    assert run.receipt.counts.deleted == 0
    (status,) = own_office.rows("SELECT covered FROM v1.sync_status")
    began = START + timedelta(seconds=7)
    assert not any(span.lower <= began < span.upper for span in status["covered"])


def day(text: str) -> str:
    return text[:10] + "T00:00:00.000Z"


def by_day(relay: Relay) -> Answers:
    def intervene(asked: Asked) -> Reply | None:
        if asked.path.endswith("/calls"):
            cut = {name: [day(asked.query[name][0])] for name in ("from", "to") if name in asked.query}
            return reply(200, decoded(relay.fetched(asked, asked.query | cut)))
        return None

    return intervene


def test_range_cut_to_days(own_sandbox: Sandbox, own_office: Office, relay: Relay) -> None:
    """A range read as whole days, the last cut, is found out and read with wider bounds (airbyte#4070; row 8)."""
    burst(own_sandbox, 60, START.replace(hour=9, minute=0))
    relay.intervene = by_day(relay)
    with at_relay(own_office, relay, "sakari") as office:
        run = office.sync("sakari")

    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    assert own_office.ids("sakari") == set(own_sandbox.truth()["sakari"][CALLS])
    assert own_office.rows("SELECT value FROM observed_behaviour WHERE assumption = 'range'") == [{"value": "by_day"}]


def test_range_too_long(own_sandbox: Sandbox, own_office: Office, relay: Relay) -> None:
    """A range refused for its length is read in shorter ones, and so from then on (activepieces#8333; row 9)."""
    refused = list[int]()

    def intervene(asked: Asked) -> Reply | None:
        if asked.path.endswith("/calls") and "startAt" in asked.query:
            ends = [datetime.fromisoformat(asked.query[name][0]) for name in ("startAt", "endAt")]
            if ends[1] - ends[0] > timedelta(days=7):
                refused.append(len(relay.asked))
                return reply(400, {"code": "BadRequest", "message": "Invalid time range"})
        return None

    relay.intervene = intervene
    with at_relay(own_office, relay, "bird") as office:
        run = office.sync("bird")
        assert (run.receipt.error, run.receipt.state) == (None, "completed")
        first = len(relay.asked)
        again = office.sync("bird", full=True)

    assert own_office.ids("bird") == set(own_sandbox.truth()["bird"][CALLS])
    assert (again.receipt.error, again.receipt.state) == (None, "completed")
    assert 0 < len([number for number in refused if number <= first]) < 20
    assert not [number for number in refused if number > first], "what was learnt is kept"


def test_empty_pages(own_sandbox: Sandbox, own_office: Office, relay: Relay) -> None:
    """Six empty pages in a row, each with a new token, do not end a list (boto3#2643, AIP-158; row 10)."""

    def intervene(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/contacts"):
            return None
        token = asked.query.get("pageToken", [""])[0]
        step = int(token.removeprefix("empty-")) if token.startswith("empty-") else 0 if not token else 6
        if step < 6:
            return reply(200, {"results": [], "nextPageToken": f"empty-{step + 1}"})
        query = {name: values for name, values in asked.query.items() if name != "pageToken" or token != "empty-6"}
        return reply(200, decoded(relay.fetched(asked, query)))

    relay.intervene = intervene
    with at_relay(own_office, relay, "bird") as office:
        run = office.sync("bird", CONTACTS)

    assert (run.receipt.error, run.receipt.state) == (None, "completed")
    assert own_office.ids("bird", CONTACTS) == set(own_sandbox.truth()["bird"][CONTACTS])


def test_a_place_that_is_refused(own_sandbox: Sandbox, own_office: Office) -> None:
    """A scan that was left at a page that no longer exists begins again from the top, and not for ever there."""
    for call in skipcall(60):
        own_sandbox.put("skipcall", CALLS, call)
    year: Json = {
        "since": START - timedelta(days=365),
        "until": START + timedelta(days=1),
        "backfill": True,
        "limit": 2,
    }
    run = own_office.run("skipcall", **year)
    run.begin()
    run.open()
    run.read_window(*run.plan.open_windows()[0])
    run.abandon()
    for call in skipcall(60)[3:]:
        own_sandbox.remove("skipcall", CALLS, call["id"])
    for other in own_sandbox.truth()["skipcall"][CALLS].keys() - {"k0000", "k0001", "k0002"}:
        own_sandbox.remove("skipcall", CALLS, other)
    own_sandbox.deviations.add("page-beyond-400")
    run = own_office.sync("skipcall", allow_deletes=True, **year)

    assert run.receipt.error is None
    assert {"k0000", "k0001", "k0002"} <= own_office.ids("skipcall")
    (scans,) = own_office.rows(
        "SELECT count(*) FILTER (WHERE state = 'open') AS open,"
        " bool_or(starts_with(reason, 'begun again, its place is refused')) AS begun_again FROM sync_window"
    )
    assert scans == {"open": 0, "begun_again": True}


def test_a_scan_that_stops_early(own_sandbox: Sandbox, own_office: Office) -> None:
    """A scheduled scan of a list without ranges is held against the calls that are held within its time."""
    for number in range(30):
        at = (datetime.now(UTC) - timedelta(minutes=2 + number)).isoformat()
        call = skipcall_call(id=f"n{number:02}", startedAt=at, createdAt=at, endedAt=None)
        own_sandbox.put("skipcall", CALLS, call)
    for _ in range(2):
        assert own_office.sync("skipcall", limit=5).receipt.error is None
    before = complete_up_to(own_office)
    own_sandbox.deviations.add("page-from-zero")

    assert "leaves out records that exist" in str(own_office.sync("skipcall", limit=5).receipt.error)
    assert complete_up_to(own_office) is None
    own_sandbox.deviations.clear()
    assert own_office.sync("skipcall", limit=5).receipt.error is None
    assert complete_up_to(own_office) > before


def complete_up_to(office: Office) -> datetime:
    (status,) = office.rows("SELECT complete_up_to FROM v1.sync_status")
    up_to: datetime = status["complete_up_to"]
    return up_to


def remove_newest_call(sandbox: Sandbox, office: Office) -> None:
    """The provider deletes the newest call that we hold."""
    (newest,) = office.rows("SELECT external_id FROM v1.call WHERE deleted_at IS NULL ORDER BY started_at DESC LIMIT 1")
    sandbox.remove("sakari", CALLS, newest["external_id"])


def read_unsettled(office: Office, **request: Any) -> StreamRun:
    """A run that has read its windows, and was not asked yet what to think of them."""
    run = office.run("sakari", **request)
    run.begin()
    run.open()
    drained(run)
    return run


@pytest.mark.parametrize("provider", ["sakari", "bird", "skipcall"])
def test_silence_is_not_believed(own_sandbox: Sandbox, own_office: Office, provider: str) -> None:
    """A scheduled run whose lists hold nothing proves nothing while a call that we hold exists by its id."""
    own_office.sync(provider)
    before = complete_up_to(own_office)
    own_sandbox.deviations.add("suddenly-empty")
    run = own_office.sync(provider)

    assert run.receipt.state == "partial"
    assert "exists by its id" in str(run.receipt.error)
    assert complete_up_to(own_office) == before

    own_sandbox.deviations.clear()
    assert own_office.sync(provider).receipt.error is None
    assert complete_up_to(own_office) > before


def test_silence_from_the_middle_on(own_sandbox: Sandbox, own_office: Office) -> None:
    """Lists that fall silent under way prove no more than what was read before: the rest is read again."""
    burst(own_sandbox, 20)
    year: Json = {"since": START - timedelta(days=365), "backfill": True}
    run = own_office.run("sakari", **year)
    run.begin()
    run.open()
    for context, window in run.plan.open_windows():
        if run.read_window(context, window) or run.receipt.counts.fetched:
            own_sandbox.deviations.add("suddenly-empty")
    run.confirm_deletions()
    run.end()

    assert "exists by its id" in str(run.receipt.error)
    own_sandbox.deviations.clear()
    assert own_office.sync("sakari", **year).receipt.error is None
    assert {f"b{number:04}" for number in range(20)} <= own_office.ids("sakari")


def test_silence_of_a_run_that_is_killed(own_sandbox: Sandbox, own_office: Office) -> None:
    """Lists that held nothing prove nothing by themselves: a run that ends before it asks on leaves them unproven."""
    own_office.sync("sakari")
    before = complete_up_to(own_office)
    own_sandbox.deviations.add("suddenly-empty")
    read_unsettled(own_office)

    assert complete_up_to(own_office) == before


def test_silence_of_contacts(own_sandbox: Sandbox, own_office: Office) -> None:
    """A first list of contacts that holds none is not believed while a call names a contact that exists by its id."""
    own_office.sync("sakari")
    own_sandbox.deviations.add("suddenly-empty")

    assert "not even a contact that exists" in str(own_office.sync("sakari", CONTACTS).receipt.error)
    own_sandbox.deviations.clear()
    assert own_office.sync("sakari", CONTACTS).receipt.error is None
    assert own_office.ids("sakari", CONTACTS) == set(own_sandbox.truth()["sakari"][CONTACTS])


@pytest.mark.parametrize("left", range(6))
def test_silence_of_contacts_where_most_are_gone(own_sandbox: Sandbox, own_office: Office, left: int) -> None:
    """Contacts that the newest calls name may have been deleted: one that is left tells of the list."""
    own_office.sync("sakari")
    named = own_office.rows(
        "SELECT contact_external_id AS id FROM call WHERE contact_external_id <> '' ORDER BY started_at DESC LIMIT 20"
    )
    ids = list(dict.fromkeys(one["id"] for one in named))
    for id_ in own_sandbox.truth()["sakari"][CONTACTS].keys() - {ids[left]}:
        own_sandbox.remove("sakari", CONTACTS, id_)
    own_sandbox.deviations.add("suddenly-empty")

    assert ids[left] in str(own_office.sync("sakari", CONTACTS).receipt.error)


def test_silence_is_believed(own_sandbox: Sandbox, own_office: Office) -> None:
    """A night without calls is complete: the list shows the newest call, before it is read and after."""
    own_office.sync("sakari")
    before = complete_up_to(own_office)
    run = own_office.sync("sakari")

    assert run.receipt.error is None
    assert run.receipt.document["requests"] <= len(["token", "newest call", "window", "newest call"])
    assert complete_up_to(own_office) > before


def test_silence_after_the_newest_call_went(own_sandbox: Sandbox, own_office: Office) -> None:
    """Where the newest call was deleted meanwhile, its absence proves nothing against the list."""
    own_office.sync("sakari")
    before = complete_up_to(own_office)
    remove_newest_call(own_sandbox, own_office)
    run = own_office.sync("sakari")

    assert run.receipt.error is None
    assert complete_up_to(own_office) > before


def test_silence_after_the_newest_call_went_for_good(own_sandbox: Sandbox, own_office: Office) -> None:
    """Where the newest call was deleted, and the lists then hold nothing, the next newest one tells."""
    own_office.sync("sakari")
    before = complete_up_to(own_office)
    remove_newest_call(own_sandbox, own_office)
    own_sandbox.deviations.add("suddenly-empty")
    run = own_office.sync("sakari")

    assert "exists by its id" in str(run.receipt.error)
    assert complete_up_to(own_office) == before


@pytest.mark.parametrize("provider", ["sakari", "bird"])
def test_contacts_that_no_list_shows(own_sandbox: Sandbox, own_office: Office, provider: str) -> None:
    """A list that omits records from the first day on is not believed where calls name them and their ids are known."""
    own_office.sync(provider)
    own_sandbox.deviations.numbers.omits_every = 3
    own_sandbox.deviations.add("list-omits")
    run = own_office.sync(provider, CONTACTS)

    assert run.receipt.state == "partial"
    assert "a contact that a call names and that exists by its id" in str(run.receipt.error)
    assert contacts_up_to(own_office) is None
    assert "leaves out records that exist" in str(own_office.sync(provider, CONTACTS).receipt.error)

    own_sandbox.deviations.clear()
    assert own_office.sync(provider, CONTACTS).receipt.error is None
    assert contacts_up_to(own_office) is not None
    assert own_office.ids(provider, CONTACTS) == set(own_sandbox.truth()[provider][CONTACTS])


def test_contacts_that_are_gone_are_named(own_sandbox: Sandbox, own_office: Office) -> None:
    """Contacts that calls name and that were deleted meanwhile prove nothing against the list, nor cost much."""
    own_office.sync("sakari")
    for id_ in list(own_sandbox.truth()["sakari"][CONTACTS])[::2]:
        own_sandbox.remove("sakari", CONTACTS, id_)
    run = own_office.sync("sakari", CONTACTS)

    assert run.receipt.error is None
    assert contacts_up_to(own_office) is not None


def test_parents_that_are_gone_are_named(own_sandbox: Sandbox, own_office: Office) -> None:
    """A call that legs name and that was deleted since is denied by its id, and proves nothing against the list."""
    records = [decoded(body) for body in own_sandbox.truth()["bird"][CALLS].values()]
    parents = {str(one["parentId"]) for one in records if one.get("parentId")}
    for id_ in parents & {one["id"] for one in records}:
        own_sandbox.remove("bird", CALLS, id_)
    run = own_office.sync("bird", full=True)

    assert run.receipt.error is None
    assert run.receipt.state == "completed"


def test_calls_that_no_list_shows(own_sandbox: Sandbox, own_office: Office) -> None:
    """A call that a leg names and no list shows, though its id is known, takes back what it should have been in."""
    own_sandbox.deviations.numbers.omits_every = 3
    own_sandbox.deviations.add("list-omits")
    run = own_office.sync("bird", full=True)

    assert run.receipt.state == "partial"
    assert "a call that a call names and that exists by its id" in str(run.receipt.error)
    assert "leaves out records that exist" in str(own_office.sync("bird").receipt.error)


def test_an_account_without_any_call(own_sandbox: Sandbox, own_office: Office) -> None:
    """A first sync of 90 days without a call is complete, and asks whether this is the account that was meant."""
    for provider in ("sakari", "bird", "skipcall"):
        for id_ in list(own_sandbox.truth()[provider][CALLS]):
            own_sandbox.remove(provider, CALLS, id_)
        run = own_office.sync(provider)

        assert run.receipt.state == "completed"
        assert "no call at all" in str(run.receipt.warning)
        assert own_office.sync(provider).receipt.warning is None


def contacts_up_to(office: Office) -> datetime | None:
    (status,) = office.rows("SELECT complete_up_to FROM v1.sync_status WHERE stream = 'contacts'")
    up_to: datetime | None = status["complete_up_to"]
    return up_to


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
def test_what_was_left_undecided_is_dropped(own_sandbox: Sandbox, own_office: Office, killed: bool) -> None:
    """What a run read empty and could not decide is no evidence: it stays unproven beside no older proof."""
    own_office.sync("sakari")
    before = complete_up_to(own_office)
    own_sandbox.deviations.add("suddenly-empty")
    run = read_unsettled(own_office, full=True)
    if killed:
        own_office.change("UPDATE sync_run SET heartbeat_at = heartbeat_at - interval '3 minutes'")
    else:
        run.abandon()
    own_sandbox.deviations.clear()
    own_office.sync("sakari")

    left = own_office.rows("SELECT state, reason, fetched FROM sync_window WHERE verdict <> 'proven'")
    assert any("given up" in one["reason"] for one in left)
    assert [one for one in left if one["state"] == "done" and "no record came" in one["reason"]] == []
    assert complete_up_to(own_office) > before


@pytest.mark.parametrize("provider", ["sakari", "bird"])
def test_the_newest_call_tells_of_a_change(own_sandbox: Sandbox, own_office: Office, provider: str) -> None:
    """A range that is cut to days from some day on is found out by the next run, before that proves a window."""
    own_office.sync(provider)
    own_sandbox.deviations.add("range-by-day")
    run = own_office.sync(provider)

    assert "cut to whole days" in str(run.receipt.warning)
    assert run.receipt.error is None
    assert own_office.ids(provider) == set(own_sandbox.truth()[provider][CALLS])


def test_a_call_from_outside_of_the_range(own_sandbox: Sandbox, own_office: Office) -> None:
    """A window in which a call of the wrong day came is not proven, whatever its total says."""
    noon = START.replace(hour=12, minute=0, second=0)
    burst(own_sandbox, 3, noon - timedelta(hours=6))
    own_office.sync("sakari")
    began = datetime.now(UTC)
    run = own_office.run("sakari", since=noon, until=noon + timedelta(hours=18), full=True)
    run.begin()
    run.open()
    own_sandbox.deviations.add("range-by-day")
    drained(run)

    assert "were asked for and those of" in str(run.receipt.error)
    query = "SELECT DISTINCT verdict FROM sync_window WHERE since >= %s AND finished_at > %s"
    verdicts = own_office.rows(query, noon, began)
    assert verdicts == [{"verdict": "unproven"}]


def test_what_was_proven_before_a_change(own_sandbox: Sandbox, own_office: Office) -> None:
    """A range that is cut to days from some day on: what was proven since it was last tried is read once more."""
    own_office.sync("sakari")
    own_sandbox.deviations.add("range-by-day")
    burst(own_sandbox, 3, datetime.now(UTC) - timedelta(minutes=50))
    run = own_office.sync("sakari")

    assert "otherwise than before" in str(run.receipt.warning)
    assert own_office.ids("sakari") == set(own_sandbox.truth()["sakari"][CALLS])
