"""`python -m host_tools trace`: where a message came from, and what looks forged."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from host_tools.card import store
from host_tools.card.fat import CardError
from host_tools.card.source import open_card
from host_tools.card_command import mailbox_named
from host_tools.errors import UserError
from host_tools.trace import drawing, table
from host_tools.trace.header import MAX_HEADER
from host_tools.trace.report import as_json, report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which message, and how to show it."""
    parser.epilog = ("A sender can write any line of a header, so what is found proves nothing; "
                     "what the recipient's own servers wrote on top of it can be believed.")
    parser.add_argument("file", nargs="?", metavar="FILE.eml",
                        help="the message; - for standard input")
    parser.add_argument("--card", nargs=3, metavar=("CARD", "MAILBOX", "UNIQUE-ID"),
                        help="a message on a card, or its image, as `card list` shows it")
    parser.add_argument("--trust", action="append", default=[], metavar="DOMAIN",
                        help="believe the lines of its servers too, beside those of the server "
                             "that took the message last; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--svg", type=Path, metavar="FILE",
                        help="draw its way; the file must not be there yet")


def run(options: argparse.Namespace) -> int:
    """Read, judge, show; raises UserError."""
    if (options.file is None) == (options.card is None):
        raise UserError("either a file or --card CARD MAILBOX UNIQUE-ID")
    found = report(_from_card(*options.card) if options.card else _from_file(options.file),
                   options.trust)
    if options.svg:
        try:
            with open(options.svg, "x", encoding="utf-8") as file:
                file.write(drawing.svg(found))
        except OSError as error:
            raise UserError(f"{options.svg}: {error.strerror or error}") from error
    sys.stdout.reconfigure(errors="replace")  # a name may not fit the terminal's encoding
    try:
        if options.json:
            print(json.dumps(as_json(found), indent=2))
        else:
            table.show(found)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; nothing is left to be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _from_file(name: str) -> bytes:
    """As much of a file as may be header."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_HEADER)
        with open(name, "rb") as file:
            return file.read(MAX_HEADER)
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from error


def _from_card(path: str, name: str, unique_id: str) -> bytes:
    try:
        with open_card(Path(path)) as card:
            mailbox = mailbox_named(card, name)
            for record in mailbox.index.sound_records():
                if not record.deleted and mailbox.index.unique_id(record) == unique_id:
                    raw = store.read_message(card, mailbox, record)
                    return store.text_of(raw, record)
    except CardError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{unique_id}: {error.strerror or error}") from error
    raise UserError(f"no message {unique_id} in {name}")
