"""`python -m host_tools backup`: the mail of a board, all of it over USB, or one mailbox over the
network."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from pathlib import Path

from rich.console import Console

from host_tools import tls_identity
from host_tools.care import known, mailbox, tree
from host_tools.device import choice
from host_tools.device.card_files import CardFiles
from host_tools.device.progress import bar, terminal
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("Over USB the board serves nobody meanwhile, and starts again at the end. What"
                     " it makes is for `card check`, `list` and `export`, and for `restore`.")
    choice.arguments(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="PATH",
                        help="the folder to make (with --from: the mbox file); it must not be there"
                             " yet")
    parser.add_argument("--from", metavar="HOST[:PORT]", dest="host",
                        help="one mailbox over the network, by POP3 (default port: 110; 995 is for "
                             "SSL/TLS)")
    parser.add_argument("--user", metavar="NAME",
                        help="whose; the password is asked for, or read as one line from standard "
                             "input")
    parser.add_argument("--tls", action="store_true",
                        help="SSL/TLS from the start at another port than 995 too")
    parser.add_argument("--fingerprint", metavar="HEX",
                        help="SHA-256 of the server's certificate, as the board says it; needed "
                             "once, where nobody can be asked")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    console = terminal()
    if bool(options.host) != bool(options.user):
        raise UserError("--from and --user go together")
    if options.host and (options.port or options.usb):
        raise UserError("--from is for the network, --port and --usb are not")
    tree.refuse_taken(options.to)
    return (_over_network if options.host else _over_usb)(options, console)


def _over_usb(options: argparse.Namespace, console: Console) -> int:
    port = choice.port(options)
    with Prompt(port.device) as prompt, bar(console, "mail") as progress:
        card = CardFiles(prompt)
        began = time.monotonic()
        moved = tree.back_up(card, options.to, progress)
        seconds = time.monotonic() - began
    console.print(f"{moved.files} files ({moved.octets >> 10} KB) are in {options.to}, each with "
                  f"the SHA-256 that the board has of it; {moved.octets / seconds / 1024:.0f} KB/s."
                  " The board starts again.")
    return 0


def _over_network(options: argparse.Namespace, console: Console) -> int:
    host, port = mailbox.address(options.host)
    connection = mailbox.Connection(host, port, options.tls,
                                    lambda found: _trust(found, options.fingerprint),
                                    lambda line: print(line, file=sys.stderr))
    try:
        connection.log_in(options.user, _password(options.user))
        with bar(console, "mail") as progress:
            count = connection.fetch(options.to, progress)
    finally:
        connection.close()
    console.print(f"{count} messages are in {options.to}; they are still in the mailbox.")
    return 0


def _trust(found: str, given: str | None) -> None:
    shown = tls_identity.in_pairs(found)
    if given:
        if given.replace(":", "").lower() != found:
            raise UserError(f"its certificate is another one, with the fingerprint {shown}")
    elif known.is_known(found):
        return
    elif not sys.stdin.isatty():
        raise UserError(f"nobody here knows its certificate: --fingerprint {shown} if the board "
                        "says the same")
    else:
        choice.confirm(f"SHA-256 fingerprint of its certificate:\n{shown}\nDid the board say the "
                       "same (`make deploy`, or `make doctor` at its USB)?", False)
    known.remember(found)


def _password(user: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {user}: ")
    return sys.stdin.readline().rstrip("\r\n")
