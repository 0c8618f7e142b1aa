"""`python -m host_tools restore`: what `backup` made, onto the card in a board."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_tools.care import tree
from host_tools.device import choice
from host_tools.device.card_files import CardFiles
from host_tools.device.progress import bar, terminal
from host_tools.device.prompt import Prompt


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("The card must have no mail: none is ever overwritten. Accounts are not part "
                     "of a backup; who has none on this board finds the mail when there is one.")
    choice.arguments(parser)
    parser.add_argument("--from", type=Path, required=True, metavar="FOLDER", dest="folder",
                        help="what `backup` made")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    console = terminal()
    tree.local(options.folder)
    port = choice.port(options)
    with Prompt(port.device) as prompt, bar(console, "mail") as progress:
        moved = tree.restore(CardFiles(prompt, write=True), options.folder, progress)
    console.print(f"{moved.files} files ({moved.octets >> 10} KB) are on the card, read back and "
                  "compared. The board starts again with them.")
    return 0
