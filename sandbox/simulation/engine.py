"""The real engine at work in a story: runs one after the other, in one thread, each on connections of its own."""

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from models.coverage import Sizes
from models.errors import CallweaveError
from models.provider import Params, Stream
from models.request import Request
from models.vocabulary import StreamName
from tasks.client.client import Answer, Client, RetryPolicy
from tasks.client.rate_limit import Budget
from tasks.client.transport import Tally
from tasks.extract.runtime import Runtime, open_runtime
from tasks.extract.stream_run import StreamRun
from tasks.ledger.windows import OpenWindow
from tasks.settings import Settings

_FEW = 7
"""Records a page: short lists then have several pages."""
_SIZES = Sizes(pieces=4, pages=3)
_AT_ONCE = RetryPolicy(first_pause=0.001)


class Killed(BaseException):
    """The process is gone: nothing of ours is run after it."""


class MortalClient(Client):
    """Asks as often as it may, and then dies."""

    def __init__(self, runtime: Runtime, requests: int) -> None:
        account = runtime.account
        budget = Budget(runtime.budget_engine, account.key, account.requests_per_second)
        super().__init__(account, budget, runtime.settings.general.callweave_workers, _AT_ONCE)
        self._left = requests

    def get(self, path: str, params: Params, tally: Tally) -> Answer:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().get(path, params, tally)


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs of one account against one database."""

    settings: Settings
    provider: str
    database_url: str

    def run(self, stream: StreamName, *, dies_after: int | None = None, **request: Any) -> StreamRun | None:
        """A whole run; None where it died, `dies_after` so many requests, and left all as it was."""
        account = self.settings.account(self.provider)
        with closing(open_runtime(self.settings, account, self.database_url, sizes=_SIZES, retry=_AT_ONCE)) as runtime:
            if dies_after is not None:
                runtime.client.close()
                runtime.client = MortalClient(runtime, dies_after)
            run = StreamRun(runtime, _short(account.provider.stream(stream)), Request(**request))
            try:
                _work(run)
            except Killed:
                return None
            return run


def _short(stream: Stream) -> Stream:
    paging: Any = stream.paging
    return replace(stream, paging=replace(paging, limit=_FEW))


def _work(run: StreamRun) -> None:
    """As the flows do: records by id, then windows until none is open that was not tried, then what is missing."""
    run.begin()
    try:
        run.open()
        _read(run)
        run.confirm_deletions()
    except CallweaveError as error:
        run.failed(error)
    run.end()


def _read(run: StreamRun) -> None:
    for context, external_id in run.plan.records():
        try:
            run.read_record(context, external_id)
        except CallweaveError as error:
            run.failed(error)
    tried: set[OpenWindow] = set()
    while todo := [one for one in run.plan.open_windows() if one[1] not in tried and not run.stop.is_set()]:
        for context, window in todo:
            tried.add(window)
            try:
                run.read_window(context, window)
            except CallweaveError as error:
                run.failed(error)
