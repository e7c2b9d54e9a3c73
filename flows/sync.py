"""One sync flow per provider, all made by one function, and the backfill."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from functools import partial
from threading import Event, Thread
from typing import Any

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.alerts import after_a_run, message
from flows.artifacts import Artifacts
from flows.drain import Drain
from flows.forms import BACKFILL, SYNC, Moment, NotSet
from models.errors import CallweaveError, DatabaseUnavailable
from models.provider import Provider
from models.vocabulary import RunState, StreamName
from tasks.home import database
from tasks.people import link_people
from tasks.providers import PROVIDERS
from tasks.run import Request, StreamRun, runtime
from tasks.settings import Settings, workers

HEARTBEAT_SECONDS = 5.0

ProviderName = StrEnum("ProviderName", list(PROVIDERS))  # type: ignore[misc]  # the registry decides


def sync(provider: Provider, request: Request) -> State[Any]:
    """Syncs the configured account as asked; the state is computed from what came of each stream."""
    settings = Settings()
    account = settings.account(provider.name)
    with ExitStack() as stack:
        url = stack.enter_context(database(settings))
        opened = stack.enter_context(runtime(settings, account, url, bulk=request.backfill))
        runs = [StreamRun(opened, stream, request, flow_run.id) for stream in account.streams(request.streams)]
        people = partial(link_people, opened.engine, full=request.full and StreamName.CONTACTS in request.streams)
        _work(runs, Artifacts(provider, runs, opened.engine), people)
        if problem := after_a_run(settings, opened.engine, account.key):
            get_run_logger().error(problem)
    return _conclude(runs)


def _work(runs: list[StreamRun], artifacts: Artifacts, link: Callable[[], None]) -> None:
    try:
        for run in runs:
            run.begin()
        with _alive(runs):
            for run in runs:
                run.plan()
            Drain(runs, artifacts.move).work()
            link()
    except CallweaveError as error:
        for run in runs:
            run.failed(error)
    except (KeyboardInterrupt, TerminationSignal):
        for run in runs:
            run.abandon()
        raise
    for run in runs:
        try:
            run.end()
        except DatabaseUnavailable as error:
            get_run_logger().error("The receipt could not be written: %s", error)
    artifacts.finish()


@contextmanager
def _alive(runs: list[StreamRun]) -> Iterator[None]:
    """Keeps the receipts alive: a run without a sign of life is taken for killed."""
    over = Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            with suppress(DatabaseUnavailable):
                for run in runs:
                    run.heartbeat()

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _conclude(runs: list[StreamRun]) -> State[Any]:
    lines = [run.line for run in runs]
    for line in lines:
        get_run_logger().info(line.told)
    state = RunState.of([line.state for line in lines])
    if state is RunState.COMPLETED:
        warnings = "".join(f"; {line.stream}: {line.warning}" for line in lines if line.warning)
        return Completed(message=f"{sum(line.counts.fetched for line in lines):,} records read{warnings}")
    if state is RunState.PARTIAL:
        return Completed(name="Partial", message=message(lines))
    return Failed(message=message(lines))


def make_sync(provider: Provider) -> Flow[..., State[Any]]:
    """The sync flow of one provider; its form in the UI shows that provider's own filters."""

    def flow_function(  # noqa: PLR0913, PLR0917 - the form's fields, by contract
        streams: list[StreamName] = list(StreamName),  # noqa: B006 - Prefect shows it as the form's default
        since: Moment = None,
        until: Moment = None,
        full: bool = False,
        call_ids: list[str] = [],  # noqa: B006
        filters: Any = None,
        allow_deletes: bool = False,
    ) -> State[Any]:
        given = filters.model_dump(mode="json", by_alias=True, exclude_none=True) if filters else {}
        request = Request(
            streams=tuple(streams),
            since=since,
            until=until,
            full=full,
            call_ids=tuple(call_ids),
            filters=given,
            allow_deletes=allow_deletes,
        )
        return sync(provider, request)

    flow_function.__annotations__["filters"] = provider.filters | NotSet
    description = f"Calls and contacts of {provider.title} into Postgres."
    return _named(flow_function, f"sync-{provider.name}", description, SYNC)


def _named(function: Any, name: str, description: str, form: str) -> Flow[..., State[Any]]:
    function.__name__ = name.replace("-", "_")
    # Prefect takes the help texts of its form from here.
    function.__doc__ = description + form
    runner: Any = ThreadPoolTaskRunner(max_workers=workers())
    made: Flow[..., State[Any]] = flow(name=name, description=description, task_runner=runner)(function)
    return made


sync_sakari = make_sync(PROVIDERS["sakari"])
sync_bird = make_sync(PROVIDERS["bird"])
sync_skipcall = make_sync(PROVIDERS["skipcall"])


def _backfill(
    provider: ProviderName, since: datetime, until: datetime, filters: dict[str, Any] | NotSet = None
) -> State[Any]:
    request = Request(streams=(StreamName.CALLS,), since=since, until=until, filters=filters or {}, backfill=True)
    return sync(PROVIDERS[provider], request)


backfill = _named(
    _backfill,
    "backfill",
    "An explicit range of one provider's calls; goes on where an earlier one was stopped.",
    BACKFILL,
)
