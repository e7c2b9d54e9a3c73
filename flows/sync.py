"""One sync flow per provider, all made by one function, and the backfill."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from functools import partial
from threading import Event, Thread
from typing import Any, Protocol, cast

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.alerts import after_a_run, message
from flows.artifacts import Artifacts
from flows.events import tell_of_incidents, tell_of_runs
from flows.forms import BACKFILL, SYNC, Moment, NotSet
from flows.late_runs import superseded
from flows.run_logs import show_in_runs
from flows.run_names import of_backfill, of_sync
from flows.window_tasks import WindowTasks
from models.errors import CallweaveError, DatabaseUnavailable, UsageError
from models.provider import Provider
from models.request import Request
from models.vocabulary import RunState, StreamName
from tasks.extract.runtime import runtime
from tasks.extract.stream_run import StreamRun
from tasks.home import database
from tasks.identity.linker import link_people
from tasks.ledger.receipt import RunReceipt
from tasks.providers import PROVIDERS
from tasks.settings import Settings, workers

HEARTBEAT_SECONDS = 5.0

ProviderName = StrEnum("ProviderName", list(PROVIDERS))  # type: ignore[misc]  # the registry decides


class Observer(Protocol):
    """Follows the runs of this process, as a terminal does."""

    def begun(self, run: StreamRun) -> None: ...
    def moved(self, receipt: RunReceipt) -> None: ...


class Unobserved:
    """Of a worker's run, which no terminal follows."""

    def begun(self, run: StreamRun) -> None:
        pass

    def moved(self, receipt: RunReceipt) -> None:
        pass


def sync(provider: Provider, request: Request, observer: Observer, whose: str | None = None) -> State[Any]:
    """Syncs the configured account as asked; the state is computed from what came of each stream.

    Raises `UsageError` where the account is not the one that was asked for, `whose`.
    """
    show_in_runs()
    if skipped := superseded():
        return skipped
    settings = Settings()
    account = settings.account(provider.name)
    if whose not in {None, account.name}:
        raise UsageError(
            f"account: this worker reads {account.name} of {provider.title}, not {whose}. Run the backfill of the work "
            "pool whose worker has that account: docs/operating.md, Keys."
        )
    with ExitStack() as stack:
        url = stack.enter_context(database(settings))
        opened = stack.enter_context(runtime(settings, account, url, bulk=request.backfill))
        streams = account.streams(request.streams)
        runs = [StreamRun(opened, stream, request, flow_run.id, observer.moved) for stream in streams]
        people = partial(link_people, opened.engine, full=request.full and StreamName.CONTACTS in request.streams)
        _work(runs, Artifacts(provider, runs, opened.engine), people, observer)
        if problem := after_a_run(settings, opened.engine, account.key, tell_of_incidents):
            get_run_logger().error(problem)
    return _conclude([run.receipt for run in runs])


def _work(runs: list[StreamRun], artifacts: Artifacts, link: Callable[[], None], observer: Observer) -> None:
    try:
        for run in runs:
            run.begin()
            observer.begun(run)
        with _alive(runs):
            for run in runs:
                run.open()
            WindowTasks(runs, artifacts.move).work()
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
    if found := artifacts.finish():
        tell_of_runs(runs, found.streams)


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


def _conclude(receipts: list[RunReceipt]) -> State[Any]:
    """The flow's state; its result are the receipts."""
    for one in receipts:
        get_run_logger().info(one.sentence)
    state = RunState.of([one.state for one in receipts])
    if state is RunState.COMPLETED:
        warnings = "".join(f"; {one.stream}: {one.warning}" for one in receipts if one.warning)
        records = sum(one.counts.fetched for one in receipts)
        return Completed(message=f"{records:,} records read{warnings}", data=receipts)
    if state is RunState.PARTIAL:
        return Completed(name="Partial", message=message(receipts), data=receipts)
    return Failed(message=message(receipts), data=receipts)


def make_sync(provider: Provider, observer: Observer | None = None) -> Flow[..., State[Any]]:
    """The sync flow of one provider; its form in the UI shows that provider's own filters."""
    watching = observer or Unobserved()

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
        return sync(provider, request, watching)

    flow_function.__annotations__["filters"] = provider.filters | NotSet
    description = f"Calls and contacts of {provider.title} into Postgres."
    return _named(flow_function, f"sync-{provider.name}", description + SYNC, of_sync(provider.title))


def _named(function: Any, name: str, form: str, run_name: Callable[[], str]) -> Flow[..., State[Any]]:
    function.__name__ = name.replace("-", "_")
    # Prefect takes the help texts of its form from here.
    function.__doc__ = form
    description, runner = form.partition("\n")[0], cast("Any", ThreadPoolTaskRunner(max_workers=workers()))
    named = flow(name=name, description=description, task_runner=runner, flow_run_name=run_name)
    return cast("Flow[..., State[Any]]", named(function))


sync_sakari = make_sync(PROVIDERS["sakari"])
sync_bird = make_sync(PROVIDERS["bird"])
sync_skipcall = make_sync(PROVIDERS["skipcall"])


def make_backfill(observer: Observer | None = None) -> Flow[..., State[Any]]:
    """The backfill flow, of any provider."""
    watching = observer or Unobserved()

    def flow_function(
        provider: ProviderName,
        since: datetime,
        until: datetime,
        account: str | NotSet = None,
        filters: dict[str, Any] | NotSet = None,
    ) -> State[Any]:
        calls = (StreamName.CALLS,)
        request = Request(streams=calls, since=since, until=until, filters=filters or {}, backfill=True)
        return sync(PROVIDERS[provider], request, watching, account)

    description = "An explicit range of one provider's calls; goes on where an earlier one was stopped."
    return _named(flow_function, "backfill", description + BACKFILL, of_backfill)


backfill = make_backfill()
