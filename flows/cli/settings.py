"""The command `settings`: what is in force and where it came from, and the reference."""

import sys
from argparse import Namespace
from dataclasses import asdict

from flows.rendering import terminal
from flows.rendering.settings_page import page
from tasks.settings import Settings
from tasks.settings_reference import in_force
from tasks.settings_reference import settings as every_setting


def settings(options: Namespace) -> int:
    """Exit status 2 where one of them cannot be read."""
    if options.markdown:
        sys.stdout.write(page(every_setting()))
        return 0
    found = in_force()
    if options.json:
        terminal.show_json([asdict(one) for one in found])
    else:
        terminal.show_rows(["setting", "value", "from"], [[one.variable, one.value, one.source] for one in found])
    for provider in Settings().configured:
        Settings().account(provider, with_secrets=False)
    return 0
