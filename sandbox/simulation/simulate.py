"""Plays stories against the real engine and a real Postgres, in virtual time; shortens those that fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from models.vocabulary import StreamName
from sandbox.deviations.deviations import DEVIATIONS
from sandbox.server import Sandbox
from sandbox.simulation.clock import Databases, VirtualClock
from sandbox.simulation.engine import Engine
from sandbox.simulation.life import Life
from sandbox.simulation.promises import Promises
from sandbox.simulation.story import RUNS, Kind, Step, Story
from sandbox.simulation.watch import Watch
from tasks.settings import Settings

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
_CALLS = 24
_AFTER_A_RUN = timedelta(minutes=1)
_STIRRED = timedelta(seconds=50)
"""After a run begins, when what moves under it is said to have happened: later than its readings began."""
_FIRST = BEGIN - timedelta(days=80)
"""Earlier than anything that a story asks for."""
_NEWEST = timedelta(minutes=5)
"""What is younger need not be complete yet."""
_LONGEST_RANGE = timedelta(days=2)
"""Where the provider refuses longer ones."""
_MOST_SECONDS = 30
"""By which the clock is corrected."""
_LEARNT = timedelta(days=8)
"""After which what was found out about a provider is found out again."""
_SHOWN = timedelta(days=1)
"""For which an incident shows that the provider changed."""
_TWICE = (Kind.FULL, Kind.CONTACTS, Kind.FULL, Kind.CONTACTS)
UNSEEN = {"list-omits", "denied-by-id"}
"""Deviations by which a provider is wrong consistently, which no reader can see."""
UNSEEN_AT_FIRST = {"suddenly-empty"}
"""The same, for a reader that never held anything."""
TRIED_WEEKLY = {"range-by-other-time"}
"""Only probes see these, so one that begins between two of them is not seen before the next: from the start alone."""


def deviations_of(provider: str, *, from_the_start: bool) -> tuple[str, ...]:
    """Those that a story may meet at this time of a life."""
    unseen = UNSEEN | (UNSEEN_AT_FIRST if from_the_start else TRIED_WEEKLY)
    return tuple(name for name, one in DEVIATIONS.items() if provider in one.providers and name not in unseen)


class Outcome(NamedTuple):
    """What playing a story came to."""

    story: Story
    failure: str | None = None
    """The promise that was broken, in words."""
    runs: int = 0
    at: int = 0
    """How many steps were played."""

    def __str__(self) -> str:
        life = f"seed {self.story.seed}: {self.story.provider}, {self.story.hours:,.0f} hours, {self.runs:,} runs"
        return f"{life}: {self.failure or 'every promise kept'}"


@dataclass(slots=True)
class Player:
    """One story under way."""

    clock: VirtualClock
    sandbox: Sandbox
    life: Life
    engine: Engine
    watch: Watch
    now: datetime = BEGIN
    runs: int = 0
    _stirred: int | None = None
    _revisions: dict[tuple[StreamName, str], int] = field(default_factory=dict)

    def play(self, step: Step) -> list[str]:
        """Does one step; the promises that are broken after it."""
        if step.kind in RUNS:
            return self._run(step)
        if step.kind is Kind.WAIT:
            self._set(self.now + timedelta(minutes=step.luck))
        elif step.kind is Kind.CLOCK:
            self._set(self.now + timedelta(seconds=step.luck % (2 * _MOST_SECONDS) - _MOST_SECONDS))
        elif step.kind is Kind.STIR:
            self._stirred = step.luck
        elif step.kind is Kind.DEVIATE:
            self.life.deviate(step.luck, deviations_of(self.life.provider, from_the_start=not self.runs))
        else:
            self.life.do(step, self.now)
        return []

    def end_as_it_is(self) -> list[str]:
        """Of a provider that is other than assumed, but can be read, two runs of each stream store all that exists."""
        deviations = self.sandbox.deviations
        if not deviations or not all(DEVIATIONS[name].is_read_whole for name in deviations):
            return []
        self.sandbox.faults.clear()
        self._set(self.now + _LEARNT)
        broken = self._all_of(*_TWICE)
        lacking = {stream: self._promises(stream).lacking(_FIRST) for stream in StreamName}
        return broken + [f"{stream}: {said}, with {', '.join(deviations)}" for stream, said in lacking.items() if said]

    def end_well(self) -> list[str]:
        """Once all is as assumed again, two runs of each stream make everything right."""
        self.life.calm()
        self._set(self.now + _LEARNT)
        began, broken = self.now, self._all_of(*_TWICE)
        behind = [stream for stream in StreamName if not self._promises(stream).is_complete(began - _NEWEST)]
        broken += [f"{stream} are not complete although all is well again" for stream in behind]
        self._set(self.now + _SHOWN)
        broken += self._all_of(Kind.SYNC, Kind.CONTACTS)
        return broken + [f"an incident is open although all is well again: {one}" for one in self.watch.open()]

    def _all_of(self, *kinds: Kind) -> list[str]:
        return [said for kind in kinds for said in self._run(Step(kind, 0), allow_deletes=True)]

    def _set(self, moment: datetime) -> None:
        self.now = moment
        self.clock.set(moment)

    def _run(self, step: Step, **more: Any) -> list[str]:
        self.runs += 1
        with self._stir():
            self.engine.run(**self._request(step), **more)
        self._set(max(self.clock.now(), self.now) + _AFTER_A_RUN)
        broken = [said for stream in StreamName for said in self._broken(stream)]
        return broken + list(self.watch.broken(self.now))

    def _request(self, step: Step) -> dict[str, Any]:
        luck, calls = step.luck, {"stream": StreamName.CALLS}
        match step.kind:
            case Kind.CONTACTS:
                return {"stream": StreamName.CONTACTS}
            case Kind.FULL:
                return calls | {"full": True, "since": _FIRST}
            case Kind.BACKFILL:
                since = self.now - timedelta(days=3 + luck % 40)
                return calls | {"since": since, "until": since + timedelta(days=1 + luck % 3), "backfill": True}
            case Kind.NOTICE:
                return calls | {"call_ids": self._one_id(luck)}
            case Kind.KILL:
                return calls | {"dies_after": luck % 12, "full": luck % 5 == 0}
        return calls

    def _one_id(self, luck: int) -> tuple[str, ...]:
        record = self.life.pick("calls", luck)
        return (record["id"],) if record else ("unknown",)

    @contextmanager
    def _stir(self) -> Iterator[None]:
        """Lets the lists move while they are read, where the story says so."""
        luck, self._stirred = self._stirred, None
        if luck is not None:
            self.sandbox.between_pages(self.life.mover(luck, self.now + _STIRRED))
        try:
            yield
        finally:
            self.sandbox.between_pages(None)

    def _promises(self, stream: StreamName) -> Promises:
        written = {id_: moment for (name, id_), moment in self.life.touched.items() if name == stream}
        return Promises(self.clock.connection, self.sandbox, self.life.provider, stream, written)

    def _broken(self, stream: StreamName) -> Iterator[str]:
        promises = self._promises(stream)
        yield from promises.broken()
        for id_, payload in promises.stored().items():
            revision = payload.get("revision", 0)
            if revision < self._revisions.get((stream, id_), 0):
                yield f"an older version of {id_} won"
            self._revisions[stream, id_] = revision


def play(databases: Databases, story: Story) -> Outcome:
    """Plays a story until a promise is broken."""
    with databases.one(BEGIN) as clock, Sandbox(calls=_CALLS, seed=story.seed, until=BEGIN) as sandbox:
        player = _player(clock, sandbox, story)
        for place, step in enumerate(story.steps, 1):
            if broken := _played(lambda step=step: player.play(step)):  # type: ignore[misc]
                return Outcome(story, broken[0], player.runs, place)
        broken = _played(player.end_as_it_is) or _played(player.end_well)
        return Outcome(story, broken[0] if broken else None, player.runs, len(story.steps))


def _player(clock: VirtualClock, sandbox: Sandbox, story: Story) -> Player:
    fast = {f"{story.provider.upper()}_REQUESTS_PER_SECOND": "1000"}
    settings = Settings(sandbox.environ | fast | {"CALLWEAVE_WORKERS": "1", "CALLWEAVE_HISTORY": "P70D"})
    numbers = sandbox.deviations.numbers
    numbers.offset_cap, numbers.default_size, numbers.limit_cap, numbers.longest_range = 20, 5, 4, _LONGEST_RANGE
    life = Life(sandbox, story.provider)
    return Player(clock, sandbox, life, Engine(settings, story.provider, clock.database_url), Watch(clock.database_url))


def _played(act: Callable[[], list[str]]) -> list[str]:
    """What was broken; a crash is a broken promise too."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - whatever it is, its story is wanted
        return [f"{type(error).__name__}: {error}"]


def shortened(databases: Databases, failed: Outcome, most_plays: int = 60) -> Outcome:
    """The shortest story found that still fails: stretches of steps are left out, ever shorter ones."""
    best, plays = failed, 0
    best = best._replace(story=best.story.of(best.story.steps[: best.at]))
    size = len(best.story.steps) // 2
    while size and plays < most_plays:
        begin = 0
        while begin < len(best.story.steps) and plays < most_plays:
            steps = best.story.steps
            tried = play(databases, best.story.of(steps[:begin] + steps[begin + size :]))
            plays += 1
            if tried.failure:
                best = tried._replace(story=tried.story.of(tried.story.steps[: tried.at]))
            else:
                begin += size
        size //= 2
    return best
