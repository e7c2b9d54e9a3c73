"""What each command takes. Says it at once; what is heavy is imported by the command that needs it."""

import argparse
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeAlias

Command = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="callweave", description="Every call, once.")
    _verbose(made, default=False)
    made.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    basic = (_demo, _up, _migrate, _check, _sync, _backfill, _reconcile, _status, _explain, _review, _judge, _verdicts)
    for add in (
        *basic,
        _settings,
        _health,
        _person,
        _forget,
        _export,
        _metrics,
        _psql,
        _watchdog,
        _automations,
        _sandbox,
        _simulate,
        _completion,
    ):
        add(commands)
    return made


class _Version(argparse.Action):
    """Looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"callweave {version('callweave')}\n")
        parser.exit()


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def _add(commands: Commands, module: str, name: str, what: str) -> argparse.ArgumentParser:
    """A command whose work is the function of that name in `flows.cli.<module>`."""

    def run(options: argparse.Namespace) -> int:
        command: Command = getattr(import_module(f"flows.cli.{module}"), name)
        return command(options)

    sub: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    sub.set_defaults(command=run)
    return sub


def _verbose(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """Before the command or after it; after it, what was said before it stands."""
    what = "log windows, retries and requests on stderr, with the reasons"
    parser.add_argument("-v", "--verbose", action="store_true", default=default, help=what)


def _demo(commands: Commands) -> None:
    _add(commands, "demo", "demo", "three fake providers into an embedded Postgres, from nothing, and a summary")


def _up(commands: Commands) -> None:
    _add(commands, "up", "up", "the stack left running: Prefect UI, schedules, a worker; Ctrl-C stops it")


def _migrate(commands: Commands) -> None:
    sub = _add(commands, "admin", "migrate", "bring the database to the newest migration, and set the rights on v1")
    sub.add_argument("--grants", action="store_true", help="only the rights of callweave_reader and callweave_judge")


def _check(commands: Commands) -> None:
    sub = _add(commands, "check", "check", "try configuration, credentials and one small request per stream")
    sub.add_argument("providers", nargs="*", metavar="PROVIDER", help="all that are configured if not given")


def _sync(commands: Commands) -> None:
    sub = _add(commands, "sync", "sync", "run the sync flows now, in this process")
    sub.add_argument("providers", nargs="+", metavar="PROVIDER", help="a provider, provider:account, or all")
    sub.add_argument(
        "--stream",
        dest="streams",
        action="append",
        choices=["calls", "contacts"],
        metavar="STREAM",
        help="calls or contacts; without it both",
    )
    _range(sub, required=False)
    sub.add_argument("--full", action="store_true", help="read every window of the range again")
    sub.add_argument(
        "--call-id",
        dest="call_ids",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="only these calls, by their ids",
    )
    sub.add_argument("--allow-deletes", action="store_true", help="carry out deletes that the brake would hold back")
    _shared(sub)


def _backfill(commands: Commands) -> None:
    sub = _add(commands, "sync", "backfill", "an explicit range of calls; goes on where an earlier one was stopped")
    sub.add_argument("provider", metavar="PROVIDER")
    _range(sub, required=True)
    sub.add_argument("--dry-run", action="store_true", help="print windows, requests and minutes expected")
    _shared(sub)


def _reconcile(commands: Commands) -> None:
    sub = _add(commands, "matching", "reconcile", "recognise the same call in several accounts, now, in this process")
    _range(sub, required=False)
    sub.add_argument("--full", action="store_true", help="learn the clocks again and decide every call again")
    _verbose(sub)
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _explain(commands: Commands) -> None:
    sub = _add(commands, "matching", "explain", "which real call a record belongs to, why, and its rivals")
    sub.add_argument("provider", metavar="PROVIDER")
    sub.add_argument("call_id", metavar="CALL_ID")


def _review(commands: Commands) -> None:
    sub = _add(
        commands, "matching", "review", "what is undecided, most valuable first, each with the command to judge it"
    )
    sub.add_argument("--limit", type=int, default=20, metavar="N", help="pairs to show (default 20)")


def _judge(commands: Commands) -> None:
    sub = _add(commands, "matching", "judge", "your judgement of two records; it always wins over the rules")
    sub.add_argument("provider", metavar="PROVIDER")
    sub.add_argument("call_id", metavar="CALL_ID")
    sub.add_argument("verdict", choices=["same", "different"])
    sub.add_argument("other_provider", metavar="PROVIDER")
    sub.add_argument("other_call_id", metavar="CALL_ID")


def _verdicts(commands: Commands) -> None:
    _add(commands, "matching", "verdicts", "what people judged, as CSV: the labelled set")


def _status(commands: Commands) -> None:
    sub = _add(commands, "status", "status", "freshness, holes and rejected rows, per provider and stream")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
    wrong = "exit 1 where an incident is open, a stream's last run did not complete, or nothing was synced"
    sub.add_argument("--check", action="store_true", help=wrong)


def _settings(commands: Commands) -> None:
    sub = _add(commands, "settings", "settings", "the settings in force and where each came from, secrets as ***")
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
    sub.add_argument("--markdown", action="store_true", help="the reference of all settings, as docs/settings.md")


def _health(commands: Commands) -> None:
    _add(commands, "status", "health", "exit 0 where the database answers and is up to date; asks nothing else")


def _person(commands: Commands) -> None:
    sub = _add(commands, "admin", "person", "which numbers are held to be one person, and taking that back for good")
    actions = sub.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("merges", help="the merges that hold, the newest first")
    undo = actions.add_parser("undo", help="give back the persons that a merge made one")
    undo.add_argument("merge", type=int, metavar="MERGE", help="its number, as `person merges` shows it")
    undo.add_argument("--yes", action="store_true", help="do not ask")


def _forget(commands: Commands) -> None:
    sub = _add(commands, "admin", "forget", "forget an account of which nothing was ever stored: its id was mistyped")
    sub.add_argument("account", metavar="PROVIDER:ACCOUNT", help="as `callweave status` names it")


def _export(commands: Commands) -> None:
    sub = _add(commands, "export", "export", "a view of v1 as a file, streamed")
    sub.add_argument("view", metavar="VIEW", help="e.g. call, unified_call, person")
    sub.add_argument("--format", choices=["parquet", "csv"], required=True)
    _range(sub, required=False)
    sub.add_argument("--output", metavar="FILE", help="stdout where it is not given")


def _metrics(commands: Commands) -> None:
    sub = _add(
        commands, "metrics", "metrics", "freshness, backlog, incidents and budget per account, as OpenMetrics text"
    )
    sub.add_argument("--listen", metavar="HOST:PORT", help="serve them at /metrics until stopped")


def _psql(commands: Commands) -> None:
    sub = _add(commands, "psql", "psql", "open psql on the database in force")
    sub.usage = "callweave psql [ARGUMENTS for psql itself, e.g. -c 'SELECT 1']"


def _watchdog(commands: Commands) -> None:
    _add(
        commands,
        "admin",
        "watchdog",
        "look for trouble now and send alerts, as the flow does; for cron or by hand",
    )


def _automations(commands: Commands) -> None:
    _add(commands, "admin", "automations", "install what Prefect itself watches, e.g. that the watchdog runs")


def _sandbox(commands: Commands) -> None:
    sub = _add(commands, "admin", "sandbox", "serve the three fake providers until stopped; prints what points at them")
    sub.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    sub.add_argument("--calls", type=int, default=5000, help="call records, about, over the three providers")
    sub.add_argument("--seed", type=int, default=1, help="another number, another world")
    faults = "a fault to inject; `--fault help` lists them"
    sub.add_argument("--fault", dest="faults", nargs="+", action="extend", default=[], metavar="NAME", help=faults)
    other = "an assumption about a provider to break; `--deviate help` lists them"
    sub.add_argument("--deviate", dest="deviations", nargs="+", action="extend", default=[], metavar="NAME", help=other)


def _simulate(commands: Commands) -> None:
    what = "play a provider's life in virtual time against the real engine, and hold what is promised against the truth"
    sub = _add(commands, "simulate", "simulate", what)
    sub.add_argument("--seed", type=int, help="of the life; a random one where it is not given")
    sub.add_argument("--seeds", type=int, default=1, metavar="COUNT", help="lives, of this seed and those after")
    sub.add_argument("--days", type=float, default=3.0, help="of virtual time, each life")


def _completion(commands: Commands) -> None:
    sub = _add(commands, "completion", "completion", "what a shell reads to complete commands and options")
    sub.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="which one; docs/operating.md says how to use it")


def _range(sub: argparse.ArgumentParser, *, required: bool) -> None:
    sub.add_argument(
        "--since",
        type=_moment,
        required=required,
        metavar="T",
        help="calls that began then or later, e.g. 2026-01-31T00:00:00Z",
    )
    sub.add_argument(
        "--until",
        type=_moment,
        required=required,
        metavar="T",
        help="calls that began before",
    )


def _shared(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--filter",
        dest="filters",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="a documented filter of the provider",
    )
    _verbose(sub)
    sub.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time such as 2026-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; write it like 2026-01-31T00:00:00Z")
    return moment
