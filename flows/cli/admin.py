"""Commands that keep the installation: the database, merges of people, the watchdog, the sandbox."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from contextlib import nullcontext

from flows.cli.local import running_stack
from flows.cli.status import show_incidents
from flows.rendering import terminal
from models.errors import UsageError
from models.wording import counted
from tasks.alerts.automations import apply
from tasks.alerts.notifier import beat
from tasks.alerts.store import read_open
from tasks.database import one_engine
from tasks.home import database
from tasks.identity.linker import undo_merge
from tasks.identity.merges import Merge, merges
from tasks.ledger.forget import forget as forget_account
from tasks.migrate import grant_rights, upgrade
from tasks.rights import advice
from tasks.settings import Settings

BLIND = (
    "Prefect's server does not answer or refuses its key, so schedules were not looked at: start it, or correct "
    "PREFECT_API_URL and PREFECT_API_AUTH_STRING."
)


def migrate(options: Namespace) -> int:
    settings = Settings()
    own = settings.general.database_url
    which = "The database of DATABASE_URL" if own else "The embedded database"
    with nullcontext(own) if own else database(settings) as url:
        done = "rights are set" if options.grants else _upgraded(url)
        missing = grant_rights(url)
    sys.stderr.write(f"{which}: {done}.\n")
    if missing:
        sys.stderr.write(f"Note: {advice(missing)}.\n")
    return 0


def _upgraded(url: str) -> str:
    ran = upgrade(url)
    return f"{counted(ran, 'migration')} run, now at the newest" if ran else "at the newest migration already"


def person(options: Namespace) -> int:
    """`person merges`, and `person undo MERGE`, which shows the merge and asks."""
    with database(Settings()) as url, one_engine(url) as engine:
        if options.action == "merges":
            _show_merges(merges(engine))
            return 0
        held = list(merges(engine, options.merge))
        if held and not _is_meant(held, is_sure=options.yes):
            sys.stderr.write("callweave: nothing was changed\n")
            return 1
        persons = undo_merge(engine, options.merge)
    sys.stdout.write(f"Apart again, for good: persons {', '.join(map(str, persons))}\n")
    return 0


def _show_merges(found: Iterable[Merge]) -> None:
    rows = [
        [str(one.id), f"{one.changed_at:%Y-%m-%d %H:%M}", one.display_name or "-", ", ".join(one.e164s)]
        for one in found
    ]
    terminal.show_rows(["merge", "since", "person", "numbers held to be one person"], rows)


def _is_meant(held: list[Merge], *, is_sure: bool) -> bool:
    """Shows the merge and asks. Raises `UsageError` without a terminal to ask in."""
    if is_sure:
        return True
    if not sys.stdin.isatty():
        raise UsageError("person undo changes data for good: say --yes, or run it in a terminal, where it asks.")
    _show_merges(held)
    return input("Take this apart for good? These numbers will never be one person again. [y/N] ").lower() == "y"


def forget(options: Namespace) -> int:
    """One that answers again is simply known again: nothing is lost by it, so nothing is asked."""
    provider, _, account = options.account.partition(":")
    with database(Settings()) as url, one_engine(url) as engine:
        forget_account(engine, provider, account)
    sys.stdout.write(f"Forgotten: {provider}:{account}\n")
    return 0


def sandbox(options: Namespace) -> int:
    from sandbox.cli import describe_deviations, describe_faults, serve
    from sandbox.deviations.deviations import DEVIATIONS
    from sandbox.faults.faults import FAULTS

    if "help" in options.faults + options.deviations:
        sys.stdout.write(f"{describe_faults() if 'help' in options.faults else describe_deviations()}\n")
        return 0
    if unknown := [name for name in options.faults if name not in FAULTS]:
        raise UsageError(f"There is no fault {unknown[0]!r}. There are:\n{describe_faults()}")
    if unknown := [name for name in options.deviations if name not in DEVIATIONS]:
        raise UsageError(f"There is no deviation {unknown[0]!r}. There are:\n{describe_deviations()}")
    wrong = {"faults": options.faults, "deviations": options.deviations}
    return serve(port=options.port, calls=options.calls, seed=options.seed, **wrong)


def watchdog(_options: Namespace) -> int:
    """Without a worker and, where none is configured, without Prefect: for cron and for people.

    Exit status 1 where an incident is open, alerts cannot be delivered, or Prefect could not be asked.
    """
    from flows.watchdog import schedules, watch

    settings = Settings()
    with database(settings) as url, one_engine(url) as engine:
        asks_prefect = settings.general.prefect_api_url is not None
        found = schedules() if asks_prefect else None
        problem = watch(settings, engine, found)
        incidents = read_open(url)
        show_incidents(incidents)
    if problem:
        sys.stderr.write(f"callweave: {problem}\n")
        return 1
    if heartbeat := settings.heartbeat_url:
        beat(heartbeat)
    if asks_prefect and found is None:
        sys.stderr.write(f"callweave: {BLIND}\n")
        return 1
    return int(bool(incidents))


def automations(_options: Namespace) -> int:
    settings = Settings()
    with running_stack(settings):
        for name in apply(settings.alert_url):
            sys.stdout.write(f"{name}\n")
    if settings.general.callweave_alert_url is None:
        sys.stderr.write("CALLWEAVE_ALERT_URL is not set: the automations that send alerts were left out.\n")
    return 0
