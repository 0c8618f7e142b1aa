"""`python -m host_tools deploy`: from a bare board to a running inbox, and from one version to the
next."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from host_tools import boards, firmware_build, tls_identity
from host_tools.deploy import answers as questions
from host_tools.deploy import checked, image, services, transfer, version
from host_tools.deploy.answers import Answers
from host_tools.deploy.configuration import Configuration
from host_tools.device import choice, flash_files, kind
from host_tools.device.progress import bar, terminal
from host_tools.device.prompt import Prompt
from host_tools.device.usb import Port, Usb
from host_tools.doctor import in_network
from host_tools.errors import UserError

# Architectures as sys.implementation._mpy has them (MicroPython, docs/reference/mpyfiles.rst), by
# mpy-cross' names for them.
_ARCHITECTURES = {2: "x64", 4: "armv6m", 7: "armv7emsp"}
_MPY_VERSION = 6


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("Settings, accounts, and the board's TLS key stay as they are on a board that "
                     "has them, unless they are given here.")
    parser.add_argument("--board", metavar="NAME", help="one of " + ", ".join(boards.names())
                        + " (default: what the board was, or what its image is for)")
    choice.arguments(parser)
    parser.add_argument("--uf2", type=Path, metavar="FILE",
                        help="image with MicroPython, for a board without (default: one in "
                             f"{image.cache()}, or downloaded)")
    parser.add_argument("--answers", type=Path, metavar="FILE",
                        help='JSON: {"hostname": ..., "wifi": {"ssid": ..., "password": ...}, '
                             '"user": {"name": ..., "password": ...}, "settings": {...}}; what is '
                             "missing and not on the board is asked for")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", dest="settings",
                        help="a setting, e.g. 'hostname=\"xyz.com\"', may be repeated")
    parser.add_argument("--user", metavar="NAME",
                        help="an account to add or give another password, which is asked for")
    parser.add_argument("--yes", action="store_true",
                        help="leave out settings and accounts that the board cannot start with, "
                             "and replace another project's main.py, without a question")
    parser.add_argument("--reach", metavar="HOST[:OFFSET]",
                        help="where its ports are reached, and by how much higher, for an emulated "
                             "board or behind a router (default: at its own address)")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    console = terminal()
    say = console.print
    host, offset = in_network.reach(options.reach)
    given = _answers(options)
    definition = _definition(options.board) if options.board else None
    usb = choice.usb(options)
    port = _port(options, usb, definition, given, say)
    with Prompt(port.device) as prompt:
        definition, arch = _examine(prompt, definition)
        in_image = _in_image(prompt)
        is_ours = any(prompt.read(path) for path in (flash_files.LIST, flash_files.BOARD))
        if not is_ours and prompt.read(flash_files.MAIN):
            choice.confirm(f"{port.device}: there is another project's main.py. Replace it?",
                           options.yes)
        configuration = Configuration.of(prompt, given, options.yes)
        configuration.complete(definition)
        built = _build(definition, arch)
        # A board without a firmware of ours is told what it must not do before it can do anything;
        # another one only when it has the version that knows these settings.
        changed = [] if is_ours else configuration.write()
        if not in_image and arch == firmware_build.ARCHITECTURES["RP2040"]:
            say("Note: loaded from its files the firmware takes more heap than this board has; "
                "README, \"An image with the firmware in it\", says how to get one.")
        if in_image:
            sent = transfer.use_image(prompt, built)
        else:
            with bar(console, "firmware") as progress:
                sent = transfer.send(prompt, built, progress)
        changed += configuration.write()
    say(_summary(sent, changed))
    ready = services.wait_ready(port.device, say)
    _introduce(ready, services.greetings(ready, host or ready["address"], offset), say)
    return 0


# --- which board, and what is on it -----------------------------------------------------------

def _definition(name: str) -> dict:
    try:
        return boards.load(name)
    except boards.BoardError as error:
        raise UserError(str(error)) from error


def _port(options: argparse.Namespace, usb: Usb, definition: dict | None, given: Answers,
          say: Callable[[str], None]) -> Port:
    """The board's port, which it has once MicroPython is on it."""
    ports, drives = ([], []) if options.port else (usb.ports(), usb.drives())
    if not (options.port or ports or drives):
        say("No board is there. A new one: hold down BOOTSEL while you plug it in.\nOne that has "
            "MicroPython: plug it in. Waiting for it ...")
        image.wait(lambda: usb.ports() or usb.drives())
        ports, drives = usb.ports(), usb.drives()
    if drives and (options.uf2 or not ports):
        found = choice.drive(drives)  # an image is for who waits for one
    elif drives:
        found = choice.one([*ports, *drives], _title, choice.BY_PORT
                           + ", or with UF2=FILE the one that waits for an image")
    else:
        found = choice.port(options)
    if isinstance(found, Port):
        if options.uf2:
            say("Note: this board has MicroPython, and UF2= is for one without. For another image: "
                "`make flash UF2=FILE`, then `make deploy`.")
        return found
    if not definition:
        raise UserError("which board is it? BOARD=" + " or BOARD=".join(boards.names()))
    if given.users:
        checked.check_given(given.settings, given.where, list(given.users))
    return image.flash(usb, found, image.find(definition, options.uf2), say)


def _title(found: Port | Path) -> str:
    return found.title if isinstance(found, Port) else f"{found} (waits for an image)"


def _examine(prompt: Prompt, definition: dict | None) -> tuple[dict, str | None]:
    """(the board's definition, what mpy-cross is to compile for)."""
    name, number, mpy, machine = kind.facts(prompt)
    if name != "micropython" or mpy & 0xFF != _MPY_VERSION:
        raise UserError(f"{prompt.device}: {name} {number} cannot run what mpy-cross makes here "
                        f"(.mpy version {mpy & 0xFF}, want {_MPY_VERSION})")
    definition = definition or _definition(kind.known(prompt, machine))
    if not boards.fits(definition, number):
        raise UserError(f"{prompt.device}: MicroPython {number} is not one that "
                        f"{definition['name']} was tried with ({definition['image']['versions']}); "
                        "for another image hold down BOOTSEL while you plug it in")
    may_be = kind.MACHINES.get(machine)
    if may_be and definition["name"] not in may_be:
        raise UserError(f"{prompt.device}: its image is for a {machine.split(' with ')[0]}, not "
                        f"for {definition['name']}")
    return definition, _ARCHITECTURES.get(mpy >> 10 & 0xF)


def _in_image(prompt: Prompt) -> bool:
    """Whether its image has the firmware in it. Raises UserError for another than ours."""
    found = kind.frozen(prompt)
    if found and found != firmware_build.stamp():
        raise UserError(f"{prompt.device}: its image has another version of the firmware in it "
                        f"({found}, here is {firmware_build.stamp()}): build one from this source "
                        "(README, \"An image with the firmware in it\") and `make flash UF2=` it "
                        "first, or deploy from that one's")
    return bool(found)


# --- what goes on it --------------------------------------------------------------------------

def _answers(options: argparse.Namespace) -> Answers:
    given = questions.from_file(options.answers) if options.answers else Answers(where="--set")
    for setting in options.settings:
        key, equals, value = setting.partition("=")
        try:
            given.settings[key] = json.loads(value)
        except ValueError as error:
            raise UserError(f"--set {setting}: want KEY=JSON, with strings in quotes") from error
    if options.settings:
        checked.check_given(given.settings, "--set")
        if options.answers:
            given.where += " and --set"
    if options.user:
        given.add_user(options.user, questions.password(options.user))
    return given


def _build(definition: dict, arch: str | None) -> version.Version:
    try:
        return version.build(definition, arch)
    except firmware_build.BuildError as error:
        raise UserError(str(error)) from error


def _summary(sent: transfer.Sent, changed: list[str]) -> str:
    files = (f"{sent.files} files sent ({sent.octets >> 10} KB)" if sent.files
             else "nothing of the firmware has changed")
    return "; ".join([files, *([f"written: {', '.join(changed)}"] if changed else [])])


# --- does it serve ----------------------------------------------------------------------------

_SHOWN = {"smtp": "SMTP, for devices (STARTTLS)", "pop3": "POP3 (STARTTLS)",
          "pop3s": "POP3 (SSL/TLS)", "smtps": "SMTP with a login (SSL/TLS)",
          "submission": "SMTP with a login (STARTTLS)"}


def _introduce(ready: dict, found: dict[str, tuple[int, str]], say: Callable[[str], None]) -> None:
    """What to type into devices and mail programs."""
    say(f"picopost serves at {ready['address']} ({ready['hostname']}); all {len(found)} services "
        "answer:")
    for service, (port, greeting) in sorted(found.items(), key=lambda item: item[1][0]):
        say(f"  {_SHOWN.get(service, service):<30} port {port:<5} {greeting}")
    say(f"Devices:       server {ready['address']}, port 25, mail to NAME@{ready['hostname']}")
    say(f"Mail program:  incoming POP3 {ready['address']}, port 995, SSL/TLS, your name and "
        "password")
    if ready.get("tls"):
        say(f"TLS certificate, SHA-256 fingerprint:\n  {tls_identity.in_pairs(ready['tls'])}")
