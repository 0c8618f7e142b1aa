"""`python -m host_tools mail`: the mail on a board that serves, over USB."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from host_tools.card.attachments import file_name
from host_tools.card.finding import printable
from host_tools.device import ask, choice
from host_tools.errors import UserError
from host_tools.new_file import new_file

_USAGE = """\
mail                          the mailboxes
mail NAME                     a mailbox's newest messages
mail NAME 1-50                those with these numbers
mail NAME 3                   one to read
mail NAME 3 save 1 --to PATH  what is attached to it, into a new file, or a folder
mail NAME 3 delete            it, for good"""
# As firmware/picopost/console/mail.py understands it.
_COMMAND = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)"
                      r"(?: \d+-\d+| \d+(?: (?P<deed>delete|save \d+))?)?")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _USAGE + "\n\nThe board goes on taking mail meanwhile."
    choice.arguments(parser)
    parser.add_argument("words", nargs="*", metavar="WORD", help="see below")
    parser.add_argument("--to", type=Path, metavar="PATH",
                        help="where `save` puts it; never over a file")


def run(options: argparse.Namespace) -> int:
    """Do it; raises UserError."""
    words = " ".join(options.words).lower()
    understood = _COMMAND.fullmatch(words)
    if words and not understood:
        raise UserError("want " + "; ".join(
            re.split("  +", line)[0] for line in _USAGE.splitlines()))
    saving = bool(understood and (understood["deed"] or "").startswith("save"))
    if saving != bool(options.to):
        raise UserError("`save` wants --to PATH, a new file or a folder" if saving else
                        "--to is for `save`")
    answer = ask.answers(choice.port(options).device, f"mail {words}".strip())
    if saving:
        path, octets = _save(answer, options.to)
        print(f"{octets} octets, with the SHA-256 that the board has of them, are in {path}")
        return 0
    for line in answer:
        if isinstance(line, str):
            print(printable(line.replace("\xa0", " ")), flush=True)
    return 0


def _save(answer: Iterator[str | dict | bytes], to: Path) -> tuple[Path, int]:
    """Into a file that has its name once it is whole; (path, octets)."""
    path, file = to, None
    total = hashlib.sha256()
    octets = 0
    attached: dict = {}
    with contextlib.closing(answer), contextlib.ExitStack() as opened:
        for piece in answer:
            if isinstance(piece, bytes) and file:
                file.write(piece)
                total.update(piece)
                octets += len(piece)
            elif isinstance(piece, dict) and piece["event"] == "attachment":
                if to.is_dir():
                    path = to / file_name(str(piece.get("name", "")), str(piece["type"]))
                if path.exists():
                    raise UserError(f"{path} is there already")
                file = opened.enter_context(new_file(path))
            elif isinstance(piece, dict) and piece["event"] == "attached":
                attached = piece
        if not file:
            raise UserError("the board sent nothing")
        if (octets, total.hexdigest()) != (attached.get("octets"), str(attached.get("sha256"))):
            raise UserError("what came has another size or SHA-256 than what is on the board; once "
                            "more, please")
    return path, octets
