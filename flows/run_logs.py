"""What tasks/ logs: INFO in the log of a run in Prefect's UI, everything on stderr with `--verbose`."""

import json
import logging
import sys
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime

LOGGER = logging.getLogger("tasks")
FORMAT = "%(asctime)s.%(msecs)03dZ %(name)s: %(message)s"


class _Stderr(logging.Handler):
    """Writes to what stderr is at that moment: progress bars take its place while they move."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _JsonLine(logging.Formatter):
    """One object a line: `time` in ISO 8601 and UTC, `level`, `logger`, `message`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps(line | {"message": record.getMessage()}, ensure_ascii=False)


def show_on_stderr(*, as_json: bool = False) -> None:
    """Windows, retries and requests of this process, with the time in UTC."""
    handler = _Stderr()
    handler.setFormatter(_JsonLine() if as_json else logging.Formatter(FORMAT, datefmt="%H:%M:%S"))
    handler.formatter.converter = time.gmtime  # type: ignore[union-attr]
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)


def log_as_json(environ: MutableMapping[str, str]) -> None:
    """Has Prefect write its own lines on the console likewise, in this process and those that it starts."""
    environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER", "json")


def show_in_runs() -> None:
    """Sends INFO and above to Prefect, for the run in whose flow or task it was logged; once for a process."""
    from prefect.logging.handlers import APILogHandler  # noqa: PLC0415 - the command line asks for stderr alone

    if any(isinstance(handler, APILogHandler) for handler in LOGGER.handlers):
        return
    handler = APILogHandler(logging.INFO)
    handler.addFilter(_is_in_a_run)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(min(LOGGER.level or logging.INFO, logging.INFO))


def _is_in_a_run(_record: logging.LogRecord) -> bool:
    from prefect.context import FlowRunContext, TaskRunContext  # noqa: PLC0415 - see above

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
