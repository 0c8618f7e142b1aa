"""`python -m host_tools card`: check, list, export and repair the mail on a card, on a PC, save
what is attached to it, and tell of the devices that it came from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from host_tools.card import devices, listing, repair, store
from host_tools.card import export as export_file
from host_tools.card.attachments import Damaged, attachments
from host_tools.card.check import Check
from host_tools.card.fat import CardError
from host_tools.card.finding import ERROR, printable
from host_tools.card.mounted import refuse_mounted
from host_tools.card.source import FolderCard, ImageCard, open_card
from host_tools.card.store import Mailbox
from host_tools.errors import UserError

_NOT_READABLE = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and their options."""
    parser.epilog = ("The exit status is 0 when all is well, 1 after errors, 2 when the card "
                     "cannot be read.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, (summary, add_arguments, _) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("card", type=Path, metavar="FILE", help=(
            "card image or block device" if name == "repair" else
            "card image, block device, or the folder where a card is mounted"))
        add_arguments(action)


def run(options: argparse.Namespace) -> int:
    """Do what was asked and return the exit status; raises UserError."""
    sys.stdout.reconfigure(errors="replace")  # a subject may not fit the terminal's encoding
    try:
        return ACTIONS[options.action][2](options)
    except CardError as error:
        print(f"python -m host_tools card: {error}", file=sys.stderr)
        return _NOT_READABLE
    except BrokenPipeError:  # `| head` has seen enough; nothing is left to be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


# --- check ------------------------------------------------------------------------------------

def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true",
                        help="one JSON object a finding, and one for the summary")


def _check(options: argparse.Namespace) -> int:
    with open_card(options.card) as card:
        check = Check(card)
        counts = {"error": 0, "note": 0}
        for finding in check.run():
            counts[finding.severity] += 1
            if options.json:
                print(json.dumps(finding._asdict()))
            else:
                print(printable(f"{finding.severity:<5}  {finding.where}  {finding.what}"))
    if options.json:
        print(json.dumps({"mailboxes": check.mailboxes, "messages": check.messages,
                          "deleted": check.deleted, "octets": check.octets,
                          "errors": counts[ERROR], "notes": counts["note"]}))
    else:
        print(f"{check.mailboxes} mailboxes, {check.messages} messages of {check.octets} octets, "
              f"{check.deleted} deleted: {counts[ERROR]} errors, {counts['note']} notes")
    return 1 if counts[ERROR] else 0


# --- list and export --------------------------------------------------------------------------

def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mailbox", nargs="?", metavar="MAILBOX", help="default: all of them")
    parser.add_argument("--all", action="store_true", help="deleted ones too, marked D")


def _list(options: argparse.Namespace) -> int:
    with open_card(options.card) as card:
        names = [options.mailbox] if options.mailbox else list(_names(card))
        for name in names:
            mailbox = mailbox_named(card, name)
            if not options.mailbox:
                print(f"{printable(name)}:")
            for line in listing.lines(card, mailbox, options.all):
                print(line)
    return 0


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mailbox", metavar="MAILBOX")
    parser.add_argument("--to", type=Path, required=True, metavar="PATH",
                        help="file (mbox) or folder to make; it must not be there yet")
    parser.add_argument("--format", choices=list(export_file.FORMATS), default="mbox",
                        help="mbox: one file, mboxrd quoting; maildir; eml: a file a message, "
                             "with CRLF line ends (default: mbox)")
    parser.add_argument("--all", action="store_true",
                        help="deleted ones too, as far as they are still on the card")


def _export(options: argparse.Namespace) -> int:
    with open_card(options.card) as card:
        export = export_file.Export(card, mailbox_named(card, options.mailbox), options.all)
        try:
            export.to(options.to, options.format)
        except OSError as error:
            raise UserError(f"{error.filename or options.to}: {error.strerror or error}") from error
    for line in export.damaged:
        print(f"damaged: {line}", file=sys.stderr)
    print(f"{export.written} messages" + (f", {export.gone} deleted ones are gone"
                                          if export.gone else ""))
    return 1 if export.damaged else 0


# --- attachments ------------------------------------------------------------------------------

def _attachments_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mailbox", metavar="MAILBOX")
    parser.add_argument("--message", action="append", default=[], metavar="UNIQUE-ID",
                        help="of this one alone, as `list` shows it; may be repeated")
    parser.add_argument("--to", type=Path, metavar="FOLDER",
                        help="save each in a file of this folder, which must not be there yet")


def _attachments(options: argparse.Namespace) -> int:
    damaged = False
    with open_card(options.card) as card:
        mailbox = mailbox_named(card, options.mailbox)
        known = {mailbox.index.unique_id(record) for record in mailbox.index.sound_records()
                 if not record.deleted}
        unknown = set(options.message) - known
        if unknown:
            raise UserError(f"no message {sorted(unknown)[0]} in {options.mailbox}")
        try:
            if options.to:
                options.to.mkdir()
            for found in attachments(card, mailbox, options.message, options.to):
                if isinstance(found, Damaged):
                    damaged = True
                    print(f"damaged: {found.unique_id}: {found.why}", file=sys.stderr)
                    continue
                where = f"  -> {found.saved}" if found.saved else ""
                print(printable(f"{found.unique_id}  {found.number:>3}  {found.octets:>9}  "
                                f"{found.content_type:<24}  {found.name}{where}").rstrip())
        except OSError as error:
            raise UserError(f"{error.filename or options.to}: {error.strerror or error}") from error
    return 1 if damaged else 0


# --- devices ----------------------------------------------------------------------------------

def _devices_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a device")


def _devices(options: argparse.Namespace) -> int:
    with open_card(options.card) as card:
        try:
            passports = devices.passports(card)
        except OSError as error:
            raise CardError(f"{devices.record.NAME}: {error.strerror or error}") from error
    if options.json:
        for passport in passports:
            print(json.dumps(devices.as_json(passport)))
    elif passports:
        print("\n".join(devices.lines(passports)))
    else:
        print("no devices: none has written yet, or the setting passports is false")
    return 0


# --- what they share --------------------------------------------------------------------------

def _names(card: ImageCard | FolderCard) -> dict:
    try:
        return store.mailboxes(card)
    except OSError as error:
        raise CardError(f"folder `mail`: {error.strerror or error}") from error


def mailbox_named(card: ImageCard | FolderCard, name: str) -> Mailbox:
    """The mailbox of that name, which must have an index; says on stderr what the index lacks."""
    folders = _names(card)
    if name not in folders:
        raise UserError(f"no mailbox {name}; there are {', '.join(folders) or 'none'}")
    try:
        mailbox = store.read_mailbox(card, folders[name])
    except OSError as error:
        raise CardError(f"mailbox {name}: {error.strerror or error}") from error
    if mailbox.index is None:
        raise UserError(f"mailbox {name} has no index: `card repair` first")
    unsound = sum(not record.sound for record in mailbox.index.records)
    if mailbox.index.problem or unsound:
        print(f"mailbox {printable(name)}: {mailbox.index.problem or f'{unsound} bad records'}, "
              "see `card check`", file=sys.stderr)
    return mailbox


# --- repair -----------------------------------------------------------------------------------

def _repair_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-backup", action="store_true",
                        help="no copy FILE.bak of the image first")
    parser.set_defaults(json=False)


def _repair(options: argparse.Namespace) -> int:
    if options.card.is_dir():
        raise UserError(f"{options.card} is a folder: repair wants the image or the device")
    refuse_mounted(options.card)
    open_card(options.card).close()  # what is no card is not copied either
    if not options.no_backup:
        repair.back_up(options.card)
        print(f"copy: {repair.backup_of(options.card)}")
    opened = repair.repair(options.card, lambda line: print(printable(line)))
    return max(_check(options), not opened)


ACTIONS = {
    "check": ("check file system, indexes and messages", _check_arguments, _check),
    "list": ("list the messages of one or all mailboxes", _list_arguments, _list),
    "export": ("write a mailbox's messages to a new file or folder", _export_arguments, _export),
    "attachments": ("list what is attached to a mailbox's messages, or save it",
                    _attachments_arguments, _attachments),
    "devices": ("tell of the devices that sent mail, and what to change on them",
                _devices_arguments, _devices),
    "repair": ("let the firmware recover the card, then check it", _repair_arguments, _repair),
}
