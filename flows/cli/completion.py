"""The command `completion`: what makes a shell complete commands and options."""

import sys
from argparse import Namespace

import shtab

from flows.cli.arguments import parser


def completion(options: Namespace) -> int:
    sys.stdout.write(shtab.complete(parser(), options.shell) + "\n")
    return 0
