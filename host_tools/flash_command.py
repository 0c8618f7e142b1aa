"""`python -m host_tools flash`: MicroPython on a board, whatever was on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_tools import boards
from host_tools.deploy import image
from host_tools.device import choice, kind
from host_tools.device.progress import terminal
from host_tools.device.prompt import Prompt
from host_tools.device.usb import Port, Usb
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("A board that waits for an image, BOOTSEL held down, comes first; one with "
                     "MicroPython is sent to its bootloader. Its files stay, as far as the new "
                     "image has its file system in the same place.")
    choice.arguments(parser)
    parser.add_argument("--board", metavar="NAME", help="one of " + ", ".join(boards.names())
                        + " (default: what the board was, or what its image is for)")
    parser.add_argument("--uf2", type=Path, metavar="FILE",
                        help=f"the image (default: one in {image.cache()}, or downloaded)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    say = terminal().print
    usb = choice.usb(options)
    drives = [] if options.port else usb.drives()
    if drives:
        drive = choice.drive(drives)
        file = _image(options, options.board or "")
        choice.confirm(f"Put {file.name} on the board at {drive}?", options.yes)
    else:
        # Before anything is stopped or asked: the image, as far as it can be known.
        file = image.find(None, options.uf2) if options.uf2 else None
        port = choice.port(options)
        choice.confirm(f"Put {file.name if file else 'MicroPython'} on the board at {port.title}?",
                       options.yes)
        drive, file = _to_bootloader(options, usb, port, file)
    port = image.flash(usb, drive, file, say)
    say(f"MicroPython is on the board at {port.title}. `make deploy` brings picopost, `make "
        "console` its prompt.")
    return 0


def _to_bootloader(options: argparse.Namespace, usb: Usb, port: Port,
                   file: Path | None) -> tuple[Path, Path]:
    """(the drive that the board is now, the image for it)"""
    before = usb.drives()
    with Prompt(port.device) as prompt:
        if file is None:
            file = _image(options, options.board or kind.known(prompt, kind.facts(prompt)[3]))
        prompt.bootloader()
    drives = image.wait(lambda: [drive for drive in usb.drives() if drive not in before])
    if not drives:
        raise UserError("the board waits for an image, but its drive ("
                        + " or ".join(chip.board_id for chip in boards.CHIPS)
                        + ") is not mounted here: mount it, then once more")
    return drives[0], file


def _image(options: argparse.Namespace, name: str) -> Path:
    if options.uf2:
        return image.find(None, options.uf2)
    if not name:
        raise UserError("which board is it? BOARD=" + " or BOARD=".join(boards.names())
                        + ", or UF2=FILE")
    try:
        return image.find(boards.load(name), None)
    except boards.BoardError as error:
        raise UserError(str(error)) from error
