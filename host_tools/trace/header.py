"""A message's header as a list of fields, also where it stops being one before it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost.mime import encoded_words, parts  # isort: skip

# What is looked at of a message, octets. Servers take no header of more than a part of this
# (Postfix: 100 KB, Exchange: 256 KB).
MAX_HEADER = 256 * 1024

_MAX_FIELDS = 2_000
_BLANK_LINE = re.compile(rb"\n\r?\n|\A\r?\n")
# What may begin a line without being text (RFC 5322 2.2), and mbox' From_ lines, quoted or not.
_FIELD = re.compile(rb"[ \t\r\n]|[!-9;-~]+[ \t]*:|>?From ")


class Field(NamedTuple):
    """One field: its name as it is written, and its value, unfolded.

    truncated  the value goes on; limits.MIME_VALUE octets are kept
    behind     it stands behind a line that is no field: mail programs take it for text
    """

    name: str
    value: bytes
    truncated: bool
    behind: bool

    @property
    def text(self) -> str:
        """The value for people, decoded (RFC 2047)."""
        return encoded_words.decode(self.value).strip()


class Break(NamedTuple):
    """Where a header stops without a blank line: the line's number, from 1, and its text."""

    line: int
    text: str


@dataclass
class Header:
    """The fields in their order, newest trace first; `broken` says where they cease to be such."""

    fields: list[Field]
    broken: Break | None

    def all(self, name: str) -> list[Field]:
        """Those of this name: what mail programs see or, where there is none, what they do not."""
        found = [field for field in self.fields if field.name.lower() == name.lower()]
        return [field for field in found if not field.behind] or found

    def first(self, name: str) -> Field | None:
        return next(iter(self.all(name)), None)


def read(message: bytes) -> Header:
    """The header of a message, with LF or CRLF line ends. Raises nothing for what is in it.

    A line that is no field ends a header (RFC 5322 2.1). When a page or a program broke a field in
    two, the rest of the header is still worth reading: up to the blank line such lines are taken
    for continuations, and the fields among them are marked.
    """
    message = message[:MAX_HEADER]
    fields, end = _fields(message)
    before, rest = message[:end], message[end:]
    if not rest or before.endswith((b"\n\n", b"\n\r\n")) or before in (b"\n", b"\r\n"):
        return Header([Field(*field, False) for field in fields], None)
    line = rest.partition(b"\n")[0].rstrip(b"\r")
    broken = Break(before.count(b"\n") + 1, encoded_words.plain(line[:200]).strip())
    blank = _BLANK_LINE.search(message)
    lines = message[:blank.start() if blank else len(message)].splitlines(keepends=True)
    mended = b"".join(line if _FIELD.match(line) else b" " + line for line in lines)
    seen = len(fields)
    return Header([Field(*field, number >= seen)
                   for number, field in enumerate(_fields(mended)[0])], broken)


def _fields(message: bytes) -> tuple[list[tuple[str, bytes, bool]], int]:
    """The fields as the firmware's reader tells them, and where the body begins."""
    parser = parts.Parser(bytearray(4096))
    found = []
    at = 0
    while (event := parser.next()) not in (parts.BODY, parts.DONE):
        if event == parts.NEED:
            room = parser.room()
            piece = message[at:at + len(room)]
            room[:len(piece)] = piece
            parser.filled(len(piece))
            at += len(piece)
        elif event == parts.FIELD and len(found) < _MAX_FIELDS:
            name = parser.name.decode("ascii", "replace").strip()
            found.append((name, parser.value.rstrip(), parser.truncated))
    return found, parser.body_start if event == parts.BODY else len(message)
