"""List the messages of a mailbox, one line each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import compat32

from host_tools.card import store
from host_tools.card.finding import printable
from host_tools.card.source import FolderCard, ImageCard
from host_tools.card.store import Mailbox, Record

# What is read of a message for its header; ours takes at most 1,280 octets of it.
_HEADER = 16 * 1024


def lines(card: ImageCard | FolderCard, mailbox: Mailbox, deleted: bool) -> Iterator[str]:
    """A line a message, by UID: unique-id, date (UTC), octets, sender, subject.

    With `deleted` the deleted ones too, marked D, as far as their segments are still there.
    """
    parser = BytesHeaderParser(policy=compat32)
    for record in mailbox.index.sound_records():
        if record.deleted and not deleted:
            continue
        try:
            raw = store.read_message(card, mailbox,
                                     record._replace(size=min(record.size, _HEADER)))
            sender, subject = _sender_and_subject(parser, raw, record)
            if record.deleted and not store.is_own(raw, mailbox, record):
                sender, subject = "", "(gone)"
        except OSError as error:
            sender, subject = "", f"({error.strerror or error})"
        mark = "D" if record.deleted else " "
        date = time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.date)) if record.date else "-"
        yield (f"{mark} {mailbox.index.unique_id(record)}  {date:<16}  {record.octets:>9}  "
               f"{sender:<30.30}  {subject}").rstrip()


def _sender_and_subject(parser: BytesHeaderParser, raw: bytes, record: Record) -> tuple[str, str]:
    fields: dict[str, str] = {}
    header = raw[record.from_line:].split(b"\n\n")[0]
    for name, value in parser.parsebytes(header).raw_items():
        fields.setdefault(name.lower(), value)
    envelope = raw[5:record.from_line].split(b" ")[0].decode("ascii", "surrogateescape")
    return decoded(fields.get("from", envelope)), decoded(fields.get("subject", ""))


def decoded(value: str) -> str:
    """A header field's value for the eye: encoded words (RFC 2047) read, on one line."""
    octets = value.encode("ascii", "surrogateescape")
    try:
        value = octets.decode()  # 8-bit headers are UTF-8 (RFC 6532) ...
    except UnicodeDecodeError:
        value = octets.decode("latin-1")  # ... or older than that
    try:
        value = str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        pass  # an unknown charset, or broken base64: as it stands
    return printable(" ".join(value.split()))
