"""`python -m host_tools user`: the accounts of a board, emulated or not, or changes on a card."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from host_tools import accounts, boards
from host_tools.emulator import flash
from host_tools.errors import UserError
from host_tools.user.card import open_changes
from host_tools.user.flash import EmulatedFlash
from host_tools.user.place import Place


def arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and where they act."""
    parser.epilog = ("A password is asked for, or read as one line from standard input; an empty "
                     "one means: make one up and show it.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, (summary, _) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary, epilog=parser.epilog)
        if name != "list":
            action.add_argument("name", metavar="NAME")
        places = action.add_mutually_exclusive_group()
        places.add_argument("--port", metavar="DEVICE",
                            help="of the board at a serial port, e.g. /dev/ttyACM0")
        places.add_argument("--card", type=Path, metavar="FILE",
                            help="as changes on a card, for the board that takes it next: image, "
                                 "block device, or the folder where it is mounted")
        places.add_argument("--flash", type=Path, metavar="FOLDER",
                            help="of an emulated board that runs with another card: CARD.flash")
        places.add_argument("--board", default=boards.DEFAULT, metavar="NAME",
                            help=f"of an emulated board (default: {boards.DEFAULT})")


def run(options: argparse.Namespace) -> int:
    """Do what was asked; raises UserError."""
    if options.action != "list":
        try:
            accounts.check_name(options.name)
        except accounts.AccountError as error:
            raise UserError(str(error)) from error
    place = _place(options)
    if options.action == "list":
        with place:
            _list(place)
        return 0
    # Before anything is read: who sits at the prompt must not hold up others, nor undo what they
    # do meanwhile, nor stop a board's mail.
    password, made = (None, False) if options.action == "remove" else _password(options.name)
    with place, place.locked():
        ACTIONS[options.action][1](place, options.name, password)
        if made:
            print(f"password of {options.name}: {password}")
        _say(place, _DONE[options.action].format(options.name))
    return 0


def _place(options: argparse.Namespace) -> Place:
    if options.port:
        from host_tools.user.port import Board  # needs pyserial, which nothing else does

        return Board(options.port)
    if options.card:
        return open_changes(options.card)
    if options.flash:
        if not options.flash.is_dir():
            raise UserError(f"{options.flash} is no folder")
        return EmulatedFlash(options.flash)
    if options.board not in boards.names():
        raise UserError(f"no board is called {options.board}; there are "
                        + ", ".join(boards.names()))
    return EmulatedFlash(flash.beside(flash.default_card(options.board)))


def _add(place: Place, name: str, password: str) -> None:
    lines = place.read()
    if name in lines and not place.changes:
        raise UserError(f"there is an account {name} already: passwd gives it another password")
    if len(lines) >= accounts.MAX_ACCOUNTS and not place.changes:
        raise UserError(f"there are {len(lines)} accounts already, and no board has room for more")
    _set(place, lines, name, password)


def _passwd(place: Place, name: str, password: str) -> None:
    lines = place.read()
    if not place.changes:
        _known(lines, name)
    _set(place, lines, name, password)


def _set(place: Place, lines: dict[str, str], name: str, password: str) -> None:
    try:
        lines[name] = accounts.line(name, password)
    except accounts.AccountError as error:
        raise UserError(str(error)) from error
    _write(place, lines)


def _remove(place: Place, name: str, _: None) -> None:
    lines = place.read()
    if place.changes:
        lines[name] = accounts.removal(name)
    else:
        _known(lines, name)
        del lines[name]
    named = _settings_that_name(name, place.settings())
    if named:
        raise UserError(f"{name} is named by the setting {', '.join(named)}: without that account "
                        f"the board would not start. Change it first ({place.told_by})")
    _write(place, lines)
    if not lines:
        print("no account is left: the next start makes `me` and shows its password")


def _list(place: Place) -> None:
    for name, line in place.read().items():
        if place.changes:
            removed = line == accounts.removal(name)
            print(f"{name}  {'is removed' if removed else 'is added, or gets another password'}")
        else:
            print(name)


def _known(lines: dict[str, str], name: str) -> None:
    if name not in lines:
        raise UserError(f"there is no account {name}; there are {', '.join(lines) or 'none'}")


def _write(place: Place, lines: dict[str, str]) -> None:
    if len(accounts.text(lines)) > accounts.MAX_FILE:
        raise UserError(f"the changes would take more than {accounts.MAX_FILE} octets")
    place.write(lines)


def _say(place: Place, what: str) -> None:
    print(what + (f": {place.effect}" if place.effect else ""))


def _password(name: str) -> tuple[str, bool]:
    """The password to set, and whether it was made up."""
    if sys.stdin.isatty():
        given = getpass.getpass(f"New password of {name} (empty: make one up): ")
        if given and getpass.getpass("Once more: ") != given:
            raise UserError("these were two different passwords")
    else:
        try:
            given = sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UserError(f"the password of {name} is not {error.encoding}") from error
    return (given, False) if given else (accounts.make_password(), True)


def _settings_that_name(name: str, settings: dict) -> list[str]:
    """As firmware/picopost/settings.py `check_accounts` looks for them. Raises UserError."""
    aliases = settings.get("aliases", {})
    if not isinstance(aliases, dict):
        raise UserError("settings.json: aliases is no object, so nothing is removed")
    found = [key for key in ("catch_all", "default_mailbox", "silence_alarm")
             if settings.get(key) == name]
    for alias, means in aliases.items():
        if name == means or (isinstance(means, list) and name in means):
            found.append(f"aliases: {alias}")
    notices = settings.get("notices", [])
    if any(isinstance(rule, dict) and rule.get("mailbox") == name
           for rule in (notices if isinstance(notices, list) else ())):
        found.append("notices: mailbox")
    return found


_DONE = {"add": "{} is added", "passwd": "{} has another password",
         "remove": "{} is removed; its mail stays on the card"}
ACTIONS = {
    "add": ("make an account", _add),
    "passwd": ("give an account another password", _passwd),
    "remove": ("remove an account; its mail stays", _remove),
    "list": ("list the accounts, or the changes that wait on a card", _list),
}
