"""`python -m host_tools run`: the appliance on an emulated board, for use and for tests."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import accounts, boards, events, firmware_build, tls_identity
from host_tools.emulator import flash as emulated_flash
from host_tools.emulator import littlefs_image, rp2040_board, uf2
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.lan import PortError
from host_tools.emulator.usb import UsbFolder
from host_tools.errors import UserError

# What the firmware calls its services in the event `ready`, by port; SMTP at another port is
# called smtp<port>.
SERVICES = {25: "smtp", 110: "pop3", 465: "smtps", 587: "submission", 995: "pop3s"}
# As firmware/picopost/settings.py has them.
_DEFAULT_PORTS = {"listeners": ("25", "465", "587"), "pop3_listeners": ("110", "995")}
# How a person sets up a device or a mail program for each of them.
_SHOWN = {"smtp": "SMTP (no login, STARTTLS)", "pop3": "POP3 (STARTTLS)",
          "pop3s": "POP3 (SSL/TLS)", "smtps": "SMTP (login, SSL/TLS)",
          "submission": "SMTP (login, STARTTLS)"}
_DEFAULT_HOSTNAME = "picopost"  # as firmware/picopost/settings.py has it
# What --engine rp2040 imports, by the names of their packages.
_RP2040_PACKAGES = {"rp2040py": "rp2040py", "littlefs": "littlefs-python"}


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
    _check_engine(options, definition)
    card_path = options.card or emulated_flash.default_card(options.board)
    try:
        card_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"card image {card_path}: {error.strerror}") from error
    users = _users(options.user)
    settings = _settings(options.settings)
    try:
        lines = [accounts.line(name, password) for name, password in users.items()]
    except accounts.AccountError as error:
        raise UserError(str(error)) from error
    heap_kib = _heap(options.heap)
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
            usb = UsbFolder(options.usb, options.unplug_after) if options.usb else None
            board = EmulatedBoard(definition, card, usb.folder / "flash.img" if usb else flash,
                                  options.port_offset, heap_kib, main, usb,
                                  not usb if options.in_place is None else options.in_place,
                                  _keys(options))
        try:
            board.claim(_ports(settings))
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: board.stop())
            show = (_Json(options) if options.json else _Usb(options) if options.usb
                    else _Text(options, users, card_path, identity))
            status = board.run(show.line)
            safe_mode = show.safe_mode
        except PortError as error:
            raise UserError(f"{error}; choose another --port-offset") from error
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


def _check_engine(options: argparse.Namespace, definition: dict) -> None:
    """UserError unless this engine can run this board with what it was given."""
    if options.usb and (options.user or options.settings or options.main):
        raise UserError("with --usb the board is told its users and settings by `deploy`")
    if options.in_place and options.engine != "vm":
        raise UserError("--in-place is for the VM")
    if options.engine == "vm":
        if options.image:
            raise UserError("--image is for --engine rp2040")
        return
    if options.usb:
        raise UserError("--usb is for --engine vm")
    if options.heap:
        raise UserError("--heap is for the VM: with --engine rp2040 the image has its own heap")
    if definition["link"] == "wifi":
        raise UserError(f"--engine rp2040: {options.board} has Wi-Fi, and rp2040py's goes out only:"
                        f" nobody could connect to it; use --board {boards.DEFAULT}")
    if definition["link"] != "wiznet":
        raise UserError(f"--engine rp2040: the link of {options.board}, {definition['link']}, moves"
                        " whole frames through the W5500, which its model does not; use --board "
                        f"{boards.DEFAULT}")
    missing = [package for module, package in _RP2040_PACKAGES.items()
               if not importlib.util.find_spec(module)]
    if missing:
        raise UserError(f"--engine rp2040 needs {' and '.join(missing)}: "
                        "pip install -r tests/requirements.txt")
    if not options.image:
        raise UserError("--engine rp2040 wants --image FILE.uf2, MicroPython for the Pico or the "
                        "W5500-EVB-Pico (micropython.org/download)")
    try:
        uf2.file_system(uf2.read(options.image))
    except OSError as error:
        raise UserError(f"image {options.image}: {error.strerror}") from error
    except uf2.ImageError as error:
        raise UserError(f"image {options.image}: {error}") from error


def _users(given: list[str]) -> dict[str, str]:
    """{name: password}"""
    users = {}
    for user in given:
        name, colon, password = user.partition(":")
        if not colon:
            raise UserError("--user wants NAME:PASSWORD")
        if name in users:
            raise UserError(f"--user {name}: twice")
        users[name] = password
    if len(users) > accounts.MAX_ACCOUNTS:
        raise UserError(f"--user: no board has room for more than {accounts.MAX_ACCOUNTS}")
    return users


@contextmanager
def _flash(folder: Path, card_path: Path) -> Iterator[None]:
    """The board's flash, which is nobody else's meanwhile."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with emulated_flash.claimed(folder):
            yield
    except emulated_flash.InUse:
        raise UserError(f"another emulated board runs with {card_path}") from None


def _settings(given: list[str]) -> dict:
    settings = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        try:
            settings[key] = json.loads(value)
        except ValueError as error:
            raise UserError(f"--set {setting}: want KEY=JSON, with strings in quotes") from error
    return settings


def _ports(settings: dict) -> list[int]:
    """The board's ports; what is none in the settings is for the firmware to refuse."""
    ports = []
    for key, default in _DEFAULT_PORTS.items():
        given = settings.get(key)
        ports += [int(port) for port in (given if isinstance(given, dict) else default)
                  if port.isdigit() and 0 < int(port) < 65536]
    return ports


def _outside(event: dict, offset: int) -> dict[str, int]:
    """{service: outside port} of an event `ready`, which loses these fields."""
    names = [name for name, value in event.items()
             if isinstance(value, int) and name[:4] in ("smtp", "subm", "pop3")]
    return {name: offset + event.pop(name) for name in names}


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


def _heap(given: str | None) -> int | None:
    if given is None:
        return None
    digits = given.removesuffix("wK")
    if not digits.isdigit() or not int(digits):
        raise UserError(f"--heap {given}: want KiB as in 96wK")
    return int(digits)


def _card(path: Path) -> CardImage:
    try:
        if path.exists():
            return CardImage(path)
        return CardImage.create(path)
    except OSError as error:
        raise UserError(f"card image {path}: {error.strerror or error}") from error


class _Json:
    """Events as JSON objects, one a line; what is no event goes as {"event": "console"}.

    `safe_mode`: why the firmware left the prompt to its owner, "" where it did not.
    """

    def __init__(self, options: argparse.Namespace):
        self._offset = options.port_offset
        self.safe_mode = ""

    def line(self, text: str, measured: dict | None = None) -> None:
        """Print one console line, and what its engine measured with it."""
        event = events.parse(text) or {"event": "console", "text": text}
        if event["event"] == "safe_mode":
            self.safe_mode = event["why"]
        if event["event"] == "ready":
            self.safe_mode = ""
            event["ports"] = _outside(event, self._offset)
        print(json.dumps({**event, **(measured or {})}), flush=True)


class _Text:
    """Events for a person: how to use the appliance once it is ready, then a line each. `safe_mode`
    as with _Json.
    """

    def __init__(self, options: argparse.Namespace, users: dict[str, str], card: Path,
                 identity: tuple[bytes, bytes] | None):
        self._offset = options.port_offset
        self.safe_mode = ""
        self._passwords = dict(users)  # as far as they are known
        self._card = card
        # How `user` is told which board this is.
        self._target = (f" --flash {shlex.quote(str(emulated_flash.beside(card)))}"
                        if options.card else "" if options.board == boards.DEFAULT
                        else f" --board {options.board}")
        self._identity = identity

    def line(self, text: str, measured: dict | None = None) -> None:
        """Print one console line, and what its engine measured with it."""
        event = events.parse(text)
        if event is None:
            print(text, flush=True)
            return
        for key, value in (measured or {}).items():
            event[key] = f"{value:.6f}" if isinstance(value, float) else value
        name = event["event"]
        if name == "ready":
            self.safe_mode = ""
            self._introduce(event)
            return
        if name == "safe_mode":
            self.safe_mode = event["why"]
        if name == "first_start":
            self._passwords[event["user"]] = event["password"]
        if name == "accounts_changed":
            for user in event["set"].split(","):
                self._passwords.pop(user, None)
        print(events.shown(event), flush=True)

    def _introduce(self, event: dict) -> None:
        names = list(accounts.parse(
            (emulated_flash.beside(self._card) / emulated_flash.ACCOUNTS).read_text()))
        name = names[0]
        ports = _outside(event, self._offset)
        address = f"{name}@{event['hostname']}"
        print(f"picopost runs on an emulated {event['board']} ({event['address']} on its LAN),"
              f" card {self._card}")
        if "cycles" in event:
            print(f"  in its image on an emulated RP2040, ready after {event['cycles']} cycles,"
                  f" {event['emulated_seconds']} emulated seconds")
        for service, port in sorted(ports.items(), key=lambda item: item[1]):
            print(f"  {_SHOWN.get(service, service[:4].upper()):<28} 127.0.0.1 port {port}")
        for user in names:
            known = self._passwords.get(user)
            print(f"  user  {user}   " + (f"password  {known}" if known else
                  f"(another password: python -m host_tools user passwd {user}{self._target})"))
        if self._identity:
            print("  TLS certificate, SHA-256 fingerprint:\n    "
                  + tls_identity.fingerprint(self._identity[1]))
        login = f"{name}:{self._passwords[name]}" if name in self._passwords else name
        for line in _examples(ports, address, shlex.quote(login)):
            print(line)
        if sys.stdin and sys.stdin.isatty() and "cycles" not in event:
            print("Type `help` for the commands of its console.")
        print("Ctrl-C stops it.", flush=True)


class _Usb(_Text):
    """The same of a board that others told what it is."""

    def __init__(self, options: argparse.Namespace):
        super().__init__(options, {}, options.usb, None)
        print(f"{options.board} at {options.usb}: make deploy BOARD={options.board} "
              f"USB={options.usb} REACH=127.0.0.1:{options.port_offset}\nCtrl-C unplugs it.",
              flush=True)

    def _introduce(self, event: dict) -> None:
        for service, port in sorted(_outside(event, self._offset).items()):
            print(f"  {_SHOWN.get(service, service[:4].upper()):<28} 127.0.0.1 port {port}",
                  flush=True)


def _examples(ports: dict[str, int], address: str, login: str) -> list[str]:
    """How to send and fetch with curl: none of what has no port here that curl gets on with. The
    certificate is nobody's but ours, hence --insecure; at other ports than these the rules are
    not known."""
    lines = []
    for service, scheme, more in (("smtp", "smtp", ""), ("submission", "smtp", f" --user {login}"),
                                  ("smtps", "smtps", f" --insecure --user {login}")):
        if service in ports:
            lines.append(
                "Send a letter:\n  printf 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n' | curl -sS"
                f"{more} {scheme}://127.0.0.1:{ports[service]} --mail-from you@example.com"
                f" --mail-rcpt {address} -T -")
            break
    for service, scheme, more in (("pop3", "pop3", ""), ("pop3s", "pop3s", " --insecure")):
        if service in ports:
            lines.append(f"Fetch it:\n  curl -sS{more} {scheme}://127.0.0.1:{ports[service]}/1"
                         f" --user {login}")
            break
    return lines
