"""`python -m host_tools run`: the appliance on an emulated board, for use and for tests."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import accounts, boards, firmware_build, tls_identity
from host_tools.emulator import flash as emulated_flash
from host_tools.emulator import littlefs_image, rp2040_board
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.channel import ProtocolError
from host_tools.emulator.lan import PortError
from host_tools.emulator.usb import UsbFolder
from host_tools.errors import UserError
from host_tools.run import asked, shown

_DEFAULT_HOSTNAME = "picopost"  # as firmware/picopost/settings.py has it


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--board", default=boards.DEFAULT, metavar="NAME",
                        help="one of " + ", ".join(boards.names()))
    parser.add_argument("--engine", choices=("vm", "rp2040"), default="vm",
                        help="what runs the firmware: the MicroPython VM (default), or a real image"
                             " on an emulated RP2040, see --image")
    parser.add_argument("--image", type=Path, metavar="FILE.uf2",
                        help="MicroPython for the Pico or the W5500-EVB-Pico, for --engine rp2040")
    parser.add_argument("--card", type=Path, metavar="FILE",
                        help="image of the SD card, made when missing "
                             "(default: build/BOARD/card.img)")
    parser.add_argument("--port-offset", type=int, default=2000, metavar="N",
                        help="port p of the board is 127.0.0.1:(N+p) outside (default: 2000)")
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD",
                        help="the accounts, all of them; may be repeated (default: those of the "
                             "last run; the first one makes `me` and shows its password)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", dest="settings",
                        help="a setting, e.g. 'hostname=\"xyz.com\"', may be repeated")
    parser.add_argument("--heap", metavar="KIB", default=None,
                        help="heap as `heapsize` writes it, e.g. 96wK (default: the board's)")
    parser.add_argument("--in-place", action=argparse.BooleanOptionalAction, default=None,
                        help="the firmware is in the board's image, where its code takes no heap "
                             "(default, but for --usb: there it is what `deploy` brings)")
    parser.add_argument("--json", action="store_true", help="one JSON object per event")
    parser.add_argument("--usb", type=Path, metavar="FOLDER",
                        help="a board as it is bought, its USB port in this folder: for `deploy "
                             "--usb FOLDER`; its flash is a file there and stays")
    parser.add_argument("--unplug-after", type=int, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--main", type=Path, metavar="FILE", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Run until Ctrl-C; raises UserError. The exit status is the firmware's."""
    try:
        definition = boards.load(options.board)
    except boards.BoardError as error:
        raise UserError(str(error)) from error
    asked.check_engine(options, definition)
    card_path = options.card or emulated_flash.default_card(options.board)
    try:
        card_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"card image {card_path}: {error.strerror}") from error
    users = asked.users(options.user)
    settings = asked.settings(options.settings)
    try:
        lines = [accounts.line(name, password) for name, password in users.items()]
    except accounts.AccountError as error:
        raise UserError(str(error)) from error
    heap_kib = asked.heap(options.heap)
    identity = None if options.usb else _identity(card_path, settings)
    flash = emulated_flash.beside(card_path)
    with _card(card_path) as card, _flash(flash, card_path):
        main = options.main and options.main.resolve()
        if not options.usb:
            prepare_flash(flash, definition, settings, lines or None, identity)
        if options.engine == "rp2040":
            board = rp2040_board.Rp2040Board(definition, card, flash, options.port_offset,
                                             options.image, main)
        else:
            usb = UsbFolder(options.usb, boards.chip_of(definition),
                            options.unplug_after) if options.usb else None
            board = EmulatedBoard(definition, card, usb.folder / "flash.img" if usb else flash,
                                  options.port_offset, heap_kib, main, usb,
                                  not usb if options.in_place is None else options.in_place,
                                  _keys(options))
        try:
            board.claim(asked.ports(settings))
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: board.stop())
            show = (shown.Json(options) if options.json else shown.Usb(options) if options.usb
                    else shown.Text(options, users, card_path, identity))
            status = board.run(show.line)
            safe_mode = show.safe_mode
        except PortError as error:
            raise UserError(f"{error}; choose another --port-offset") from error
        except ProtocolError as error:
            raise UserError(f"the firmware on it is another board's ({error}): say that one's "
                            "--board, or another --usb FOLDER") from error
        except (firmware_build.BuildError, littlefs_image.NoRoom,
                rp2040_board.ChipError) as error:
            raise UserError(str(error)) from error
    if board.power_cut:
        raise UserError("the power was cut")
    if safe_mode:
        raise UserError(f"safe mode: {safe_mode}")
    if status:
        raise UserError("the firmware ended:\n" + "\n".join(board.console_tail[-20:]))
    return 0


def _keys(options: argparse.Namespace) -> int | None:
    """Where somebody types commands for the board's console; with --usb it is the port."""
    if options.usb or not (sys.stdin and sys.stdin.isatty()):
        return None
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background the terminal is others'
    return sys.stdin.fileno()


@contextmanager
def _flash(folder: Path, card_path: Path) -> Iterator[None]:
    """The board's flash, which is nobody else's meanwhile."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with emulated_flash.claimed(folder):
            yield
    except emulated_flash.InUse:
        raise UserError(f"another emulated board runs with {card_path}") from None


def _identity(card_path: Path, settings: dict) -> tuple[bytes, bytes] | None:
    """Key and certificate, kept beside the card; None for a host name that can have none."""
    hostname = settings.get("hostname", _DEFAULT_HOSTNAME)
    folder = card_path.with_suffix(".tls")
    try:
        return tls_identity.keep(folder, str(hostname), ("127.0.0.1",))
    except ValueError:
        return None  # the firmware says what is wrong with that name
    except OSError as error:
        raise UserError(f"TLS key {folder}: {error.strerror}") from error


def _card(path: Path) -> CardImage:
    try:
        if path.exists():
            return CardImage(path)
        return CardImage.create(path)
    except OSError as error:
        raise UserError(f"card image {path}: {error.strerror or error}") from error
