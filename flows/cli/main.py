"""The command line: what it ends with, whatever happens to a command."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from flows.cli.arguments import Command, parser
from flows.run_logs import log_as_json, show_on_stderr
from models.errors import CallweaveError, UsageError
from tasks.client.proxies import spare_loopback


def entry() -> None:
    """For the shell: leaves at once, where Prefect would keep a process waiting for a server that has gone."""
    # Also where a shell started us with Ctrl-C ignored: what we started is stopped first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    spare_loopback(os.environ)
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has read enough, such as `head`
        status = 0
    sys.stderr.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: all done; 1: something failed or is partial; 2: wrong usage or configuration."""
    try:
        options = _parsed(sys.argv[1:] if arguments is None else arguments)
        _begin_logs(verbose=options.verbose)
        command: Command = options.command
        return command(options)
    except UsageError as error:
        return _complain(error, 2)
    except CallweaveError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("stopped; the next run continues where this one was", 130)
    except SystemExit as left:
        return int(left.code or 0)


def _begin_logs(*, verbose: bool) -> None:
    if not verbose and "CALLWEAVE_LOG" not in os.environ:
        return
    from tasks.settings import Settings

    as_json = Settings().general.callweave_log == "json"
    if as_json:
        log_as_json(os.environ)
    if verbose:
        show_on_stderr(as_json=as_json)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options; what follows `psql` is psql's own and not looked at, `--help` alone aside."""
    ours = 1 if words[:1] == ["psql"] and list(words[1:]) not in ([], ["-h"], ["--help"]) else len(words)
    options = parser().parse_args(words[:ours])
    options.arguments = list(words[ours:])
    return options


def _complain(problem: object, status: int) -> int:
    sys.stderr.write(f"callweave: {problem}\n")
    return status
