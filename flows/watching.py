"""The commands beside the watchdog's flow: the same look from a shell, and what Prefect itself watches."""

import sys
from argparse import Namespace

from flows.here import running_stack
from flows.inspection import show_incidents
from tasks.automations import apply
from tasks.channel import beat
from tasks.database import one_engine
from tasks.home import database
from tasks.incidents import read_open
from tasks.settings import Settings


def watchdog(_options: Namespace) -> int:
    """Without a worker and, where none is configured, without Prefect: for cron and for people."""
    from flows.watchdog import schedules, watch

    settings = Settings()
    with database(settings) as url, one_engine(url) as engine:
        problem = watch(settings, engine, schedules() if settings.general.prefect_api_url else None)
        show_incidents(read_open(url))
    if problem:
        sys.stderr.write(f"callweave: {problem}\n")
        return 1
    if heartbeat := settings.heartbeat_url:
        beat(heartbeat)
    return 0


def automations(_options: Namespace) -> int:
    settings = Settings()
    with running_stack(settings):
        for name in apply(settings.alert_url):
            sys.stdout.write(f"{name}\n")
    if settings.general.callweave_alert_url is None:
        sys.stderr.write("CALLWEAVE_ALERT_URL is not set: the automations that tell people were left out.\n")
    return 0
