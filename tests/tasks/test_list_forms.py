"""Forms that a vendor may give its lists, drawn at random: what is proven is whole, what makes sense is read whole."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Any, NamedTuple

import pytest

from models.coverage import Sizes
from sandbox.server import Sandbox
from tests.support.builders import CALLS, Json, Office, sakari_call, skipcall_call
from tests.support.relay import Asked, Relay, Reply, reply

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
SINCE, UNTIL = START - timedelta(days=12), START + timedelta(hours=1)
LENGTHS = (0, 1, 3, 37, 50, 99, 100, 101, 150, 237)
NUMBERS = [*range(5), *(pytest.param(number, marks=pytest.mark.faults) for number in range(5, 100))]


class Form(NamedTuple):
    """How a list of calls is served; drawn from what vendors do."""

    length: int
    size: int | None
    """The most that a page holds."""
    total: str
    beyond: str | int
    """What stands behind the last page."""
    order: str
    base: int
    size_param: str
    size_said: str
    more: str
    """Whether an offset list says that more follow."""

    @classmethod
    def drawn(cls, seed: int) -> "Form":
        choice: Callable[[Sequence[Any]], Any] = Random(seed).choice
        return cls(
            length=choice(LENGTHS),
            size=choice([None, None, 10, 20, 50, 99]),
            total=choice(["right", "right", "none", "text", "too-many", "too-few", "page"]),
            beyond=choice(["empty", "empty", 404, 400, "last", "first"]),
            order=choice(["newest", "oldest", "mixed"]),
            base=choice([0, 1, 1]),
            size_param=choice(["limit", "limit", "size", "per_page"]),
            size_said=choice(["asked", "served", "nothing"]),
            more=choice(["right", "right", "nothing", "never"]),
        )

    @property
    def is_sensible(self) -> bool:
        """Whether what it says is true, or says nothing: a client can tell where such a list ends."""
        return self.total in {"right", "none", "text"} and (self.total == "right" or self.beyond != 400)

    def total_of(self, came: int) -> Any:
        known = {"right": self.length, "text": str(self.length), "too-many": self.length + 2, "page": came}
        return max(self.length - 2, 0) if self.total == "too-few" else known.get(self.total)

    def page(self, records: list[Json], first: int, size: int) -> list[Json] | int:
        """The records from `first` on, or what is answered where there are none."""
        if first < len(records) or first == 0:
            return records[first : first + size]
        if isinstance(self.beyond, int):
            return self.beyond
        return {"first": records[:size], "last": records[-size:]}.get(self.beyond, [])

    def calls(self, make: Callable[[int, str], Json]) -> list[Json]:
        """The newest first, a minute apart, then in the order of the list."""
        found = [make(n, (START - timedelta(minutes=n)).isoformat()) for n in range(self.length)]
        if self.order == "mixed":
            Random(self.length).shuffle(found)
        return found[::-1] if self.order == "oldest" else found


def numbered(form: Form, asked: Asked) -> Reply | None:
    """Skipcall's list, as the form has it."""
    if not asked.path.startswith("/v1/calls"):
        return None
    records = form.calls(lambda n, at: skipcall_call(id=f"k{n:04}", startedAt=at, createdAt=at, endedAt=None))
    if asked.path != "/v1/calls":
        return one_of(records, asked)
    wanted = int(asked.query.get(form.size_param, ["10"])[0])
    size = min(wanted, form.size or wanted)
    number = int(asked.query.get("page", [str(form.base)])[0]) - form.base
    found = form.page(records, number * size, size) if number >= 0 else 400
    if isinstance(found, int):
        return reply(found, {"statusCode": found, "message": "there is no such page"})
    said = {"asked": {"limit": wanted}, "served": {"limit": size}}.get(form.size_said, {})
    total = form.total_of(len(found))
    return reply(200, {"data": found, "meta": said | ({} if total is None else {"total": total})})


def by_offset(form: Form, asked: Asked) -> Reply | None:
    """Sakari's list of calls, as the form has it, its ranges obeyed."""
    if "/calls" not in asked.path:
        return None
    records = form.calls(lambda n, at: sakari_call(id=f"s{n:04}", created={"at": at}))
    if not asked.path.endswith("/calls"):
        return one_of(records, asked)
    low, high = (datetime.fromisoformat(asked.query.get(name, [other])[0]) for name, other in EVER.items())
    held = [one for one in records if low <= datetime.fromisoformat(one["created"]["at"]) <= high]
    within = form._replace(length=len(held))
    wanted, first = (int(asked.query[name][0]) for name in ("limit", "offset"))
    size = min(wanted, form.size or wanted)
    found = within.page(held, first, size)
    if isinstance(found, int):
        return reply(found, {"success": False, "error": {"code": "X-1", "message": "there is no such page"}})
    total, more = within.total_of(len(found)), {"right": first + size < len(held), "never": False}.get(form.more)
    said = {"totalCount": total, "hasNext": more}
    pagination = {name: value for name, value in said.items() if value is not None}
    return reply(200, {"success": True, "data": found, "pagination": pagination})


EVER = {"from": "1970-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


def one_of(records: list[Json], asked: Asked) -> Reply:
    found = next((one for one in records if one["id"] == asked.path.rsplit("/", 1)[1]), None)
    return reply(200, {"success": True, "data": found}) if found else reply(404, {"success": False, "error": {}})


def lacking(office: Office, provider: str, form: Form) -> tuple[set[str], bool]:
    """Ids of the calls that are not stored, and whether the time of one of them is said to be whole."""
    prefix, held = provider[0] if provider == "sakari" else "k", office.ids(provider)
    missing = {f"{prefix}{n:04}": START - timedelta(minutes=n) for n in range(form.length)}
    missing = {id_: at for id_, at in missing.items() if id_ not in held}
    (status,) = office.rows("SELECT covered FROM v1.sync_status WHERE stream = 'calls'")
    return set(missing), any(at in stretch for stretch in status["covered"] or () for at in missing.values())


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("provider", "served"), [("skipcall", numbered), ("sakari", by_offset)])
def test_a_form(
    own_sandbox: Sandbox,
    own_office: Office,
    provider: str,
    served: Callable[[Form, Asked], Reply | None],
    number: int,
) -> None:
    """Whatever a list looks like, no call is missing from what is proven; one that makes sense is proven whole."""
    form = Form.drawn(SystemRandom().randrange(10**6))
    with Relay(own_sandbox.url) as relay:
        relay.intervene = lambda asked: served(form, asked)
        variable = {f"{provider.upper()}_BASE_URL": relay.url}
        with Office(own_office.database_url, own_office.environ | variable, sizes=Sizes(pieces=4, pages=4)) as office:
            runs = [office.sync(provider, CALLS, since=SINCE, until=UNTIL, full=bool(turn)) for turn in range(2)]
            missing, is_claimed = lacking(office, provider, form)

    assert not is_claimed, f"{form}: {len(missing)} calls are missing from what is proven"
    if form.is_sensible and (provider == "skipcall" or form.more != "never"):
        errors = [run.receipt.error for run in runs]
        assert (missing, errors[-1]) == (set(), None), f"{form}: {errors}"
