"""`python -m host_tools console`: a board's console, and MicroPython's prompt, by mpremote."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from host_tools.device import choice
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("It shows what the firmware says. Ctrl-C ends that, in order, and mail is "
                     "down until Ctrl-D at the prompt starts it again.")
    choice.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Until who types leaves; raises UserError. The exit status is mpremote's."""
    port = choice.port(options)
    if not os.path.exists(port.device):
        raise UserError(f"there is no port {port.device}")
    if not sys.stdin.isatty():
        raise UserError("a console is for a terminal; `make logs` shows what the board says")
    print("`help` lists the firmware's commands. Ctrl-C ends it and gives MicroPython's prompt, "
          "Ctrl-D there starts it again.", flush=True)
    return subprocess.call([sys.executable, "-m", "mpremote", "connect",
                            os.path.realpath(port.device), "repl"])
