"""Which board is meant: the options `--port` and `--usb`, and the question where there are several.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from host_tools.device.usb import FolderUsb, Port, Usb
from host_tools.errors import UserError

BY_PORT = "say which with PORT="


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say it."""
    parser.add_argument("--port", metavar="DEVICE",
                        help="serial port of the board (default: the one there is)")
    parser.add_argument("--usb", type=Path, metavar="FOLDER",
                        help="of an emulated board: the one that was given to `run --usb`")


def usb(options: argparse.Namespace) -> Usb:
    """Where to look for it."""
    return FolderUsb(options.usb) if options.usb else Usb()


def port(options: argparse.Namespace) -> Port:
    """The board's, which has MicroPython on it. Raises UserError."""
    if options.port:
        return Port(options.port, options.port)
    at = usb(options)
    ports = at.ports()
    if ports:
        return one(ports, lambda found: found.title, BY_PORT)
    if at.drives():
        raise UserError("the board there waits for an image: `make flash` gives it MicroPython")
    raise UserError("no board was found; is it a cable that carries data, not only power?")


def drive(drives: list[Path]) -> Path:
    """Of the board that waits for an image. Raises UserError."""
    return one(drives, str, "leave only one of those that wait for an image plugged in")


def one(found: list, title: Callable[[object], str], how: str):
    """The one of `found` that is meant, asked for at a terminal; `how` it is said where there is
    none. Raises UserError.
    """
    if len(found) == 1:
        return found[0]
    titles = [title(each) for each in found]
    if not sys.stdin.isatty():
        raise UserError(f"there are several boards, {how}: " + "; ".join(titles))
    for number, text in enumerate(titles, 1):
        print(f"{number}: {text}")
    while True:
        answer = input(f"Which one (1 to {len(found)})? ").strip()
        if answer.isdigit() and 1 <= int(answer) <= len(found):
            return found[int(answer) - 1]


def confirm(question: str, yes: bool) -> None:
    """Returns when the answer is yes, or was given before (`--yes`). Raises UserError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is there to be asked: --yes (YES=1) says that it is meant")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was done")
