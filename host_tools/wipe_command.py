"""`python -m host_tools wipe`: a board without picopost."""

from __future__ import annotations

import argparse
import os

from host_tools.care.wipe import wipe
from host_tools.deploy import image
from host_tools.device import choice
from host_tools.device.progress import terminal
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("Firmware, settings, accounts and TLS key go from the board's flash. Other "
                     "files stay there, and the mail on its card. What stood on the flash is free, "
                     "not overwritten.")
    choice.arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    port = choice.port(options)
    choice.confirm(f"wipe? Firmware, settings, accounts and TLS key of the board at {port.title} "
                   "go; the mail on its card stays.", options.yes)
    with Prompt(port.device) as prompt:
        gone = wipe(prompt)
    if not image.wait(lambda: [port] if os.path.exists(port.device) else []):
        raise UserError("the board is wiped, but it did not come back: unplug it and plug it in")
    terminal().print(f"{gone} files are gone. The board is at MicroPython's prompt."
                     if gone else "There was no picopost on it. The board has started again.")
    return 0
