"""The command line. Says what it takes at once; what is heavy is imported by the command that needs it."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from typing import TypeAlias

from models.errors import CallweaveError, UsageError

Command = Callable[[argparse.Namespace], int]


def entry() -> None:
    """For the shell: leaves at once, where Prefect would keep a process waiting for a server that has gone."""
    # Whoever stops us, and also where a shell has told us to ignore Ctrl-C: what we started is stopped first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: all done; 1: something failed or is partial; 2: wrong usage or configuration."""
    try:
        options = parser().parse_args(arguments)
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


def _complain(problem: object, status: int) -> int:
    sys.stderr.write(f"callweave: {problem}\n")
    return status


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="callweave", description="Every call, once.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    adders = (_demo, _up, _migrate, _check, _sync, _backfill, _reconcile, _status, _explain, _judge, _verdicts, _person)
    for add in (*adders, _watchdog, _automations, _sandbox):
        add(commands)
    return made


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def _add(commands: Commands, module: str, name: str, what: str) -> argparse.ArgumentParser:
    """A command whose work is the function of that name in `flows.<module>`."""

    def run(options: argparse.Namespace) -> int:
        command: Command = getattr(import_module(f"flows.{module}"), name)
        return command(options)

    sub: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    sub.set_defaults(command=run)
    return sub


def _demo(commands: Commands) -> None:
    _add(commands, "showcase", "demo", "three fake providers into an embedded Postgres, from nothing, and a summary")


def _up(commands: Commands) -> None:
    _add(commands, "up", "up", "the stack left running: Prefect UI, schedules, a worker; Ctrl-C stops it")


def _migrate(commands: Commands) -> None:
    _add(commands, "commands", "migrate", "bring the database to the newest migration")


def _check(commands: Commands) -> None:
    sub = _add(commands, "checking", "check", "try configuration, credentials and one small request per stream")
    sub.add_argument("providers", nargs="*", metavar="PROVIDER")


def _sync(commands: Commands) -> None:
    sub = _add(commands, "commands", "sync", "run the sync flows now, in this process")
    sub.add_argument("providers", nargs="+", metavar="PROVIDER", help="a provider, provider:account, or all")
    sub.add_argument("--stream", dest="streams", action="append", choices=["calls", "contacts"], metavar="STREAM")
    _range(sub, required=False)
    sub.add_argument("--full", action="store_true", help="read every window of the range again")
    sub.add_argument("--call-id", dest="call_ids", nargs="+", action="extend", default=[], metavar="ID")
    sub.add_argument("--allow-deletes", action="store_true", help="carry out deletes that the brake would hold back")
    _shared(sub)


def _backfill(commands: Commands) -> None:
    sub = _add(commands, "commands", "backfill", "an explicit range of calls; goes on where an earlier one was stopped")
    sub.add_argument("provider", metavar="PROVIDER")
    _range(sub, required=True)
    sub.add_argument("--dry-run", action="store_true", help="print windows, requests and minutes expected")
    _shared(sub)


def _reconcile(commands: Commands) -> None:
    sub = _add(commands, "matching", "reconcile", "recognise the same call in several accounts, now, in this process")
    _range(sub, required=False)
    sub.add_argument("--full", action="store_true", help="learn the clocks anew and decide every call again")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _explain(commands: Commands) -> None:
    sub = _add(commands, "matching", "explain", "which real call a record belongs to, why, and its rivals")
    sub.add_argument("provider", metavar="PROVIDER")
    sub.add_argument("call_id", metavar="CALL_ID")


def _judge(commands: Commands) -> None:
    sub = _add(commands, "matching", "judge", "a human verdict on two records; wins over the rules for ever")
    sub.add_argument("provider", metavar="PROVIDER")
    sub.add_argument("call_id", metavar="CALL_ID")
    sub.add_argument("verdict", choices=["same", "different"])
    sub.add_argument("other_provider", metavar="PROVIDER")
    sub.add_argument("other_call_id", metavar="CALL_ID")


def _verdicts(commands: Commands) -> None:
    _add(commands, "matching", "verdicts", "what people judged, as CSV: the labelled set")


def _status(commands: Commands) -> None:
    sub = _add(commands, "inspection", "status", "freshness, holes and rejected rows, per provider and stream")
    sub.add_argument("--json", action="store_true")


def _person(commands: Commands) -> None:
    sub = _add(commands, "commands", "person", "undo a merge of two persons, for good")
    actions = sub.add_subparsers(dest="action", required=True, metavar="ACTION")
    undo = actions.add_parser("undo", help="give back the persons that a merge made one")
    undo.add_argument("merge", type=int, metavar="MERGE", help="its number, as v1.person.provenance tells it")


def _watchdog(commands: Commands) -> None:
    _add(
        commands,
        "watching",
        "watchdog",
        "look for trouble now and tell people; what the flow does, from cron or by hand",
    )


def _automations(commands: Commands) -> None:
    _add(commands, "watching", "automations", "install what Prefect itself watches, e.g. that the watchdog runs")


def _sandbox(commands: Commands) -> None:
    sub = _add(
        commands, "commands", "sandbox", "serve the three fake providers until stopped; prints what points at them"
    )
    sub.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    sub.add_argument("--calls", type=int, default=5000, help="call records, about, over the three providers")
    sub.add_argument("--seed", type=int, default=1)
    faults = "what is to go wrong; `--fault help` tells what can"
    sub.add_argument("--fault", dest="faults", nargs="+", action="extend", default=[], metavar="NAME", help=faults)


def _range(sub: argparse.ArgumentParser, *, required: bool) -> None:
    sub.add_argument("--since", type=_moment, required=required, metavar="T", help="e.g. 2026-01-31T00:00:00Z")
    sub.add_argument("--until", type=_moment, required=required, metavar="T")


def _shared(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--filter", dest="filters", nargs="+", action="extend", default=[], metavar="NAME=VALUE")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time such as 2026-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; write it like 2026-01-31T00:00:00Z")
    return moment
