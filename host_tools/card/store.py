"""A mailbox as the firmware lays it out: index files and segments.

The layouts are those of firmware/picopost/store/index.py and segment.py; DESIGN.md, "The store",
says why they are so.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from host_tools.card.fat import Entry
from host_tools.card.source import FolderCard, ImageCard

INDEX_NAMES = ("INDEX0.PIX", "INDEX1.PIX")
HEADER_SIZE = 512
RECORD_SIZE = 32
FREE = 0
LIVE = 0x4C
DELETED = 0x44
SHARED = 1
UNENDED = 2

_MAGIC = 0x70636970
_VERSION = 1
_SHARD_NAME = re.compile(r"[0-9A-F]{2}")
_SEGMENT_NAME = re.compile(r"([0-9A-F]{4})\.MBX")
# firmware/picopost/limits.py, MAX_SEGMENTS
_MAX_SEGMENTS = 16384
# Our Received line is the first in the text, within limits.MAX_TRACE octets.
_UNIQUE_ID = re.compile(rb"\n\tby [^\n]* id ([0-9a-f]{8}\.[0-9a-f]{8})[;\n]")
_MAX_TRACE = 1280
_QUOTED_FROM = re.compile(rb"\n>(?=>*From )")


class Record(NamedTuple):
    """One index record; `sound` says whether its CRC is right. Sizes in octets."""

    slot: int
    state: int
    uid: int
    segment: int
    from_line: int
    attributes: int
    offset: int
    size: int
    octets: int
    date: int
    sound: bool
    torn: bool  # its end was never written: what a power cut leaves of a commit

    @property
    def deleted(self) -> bool:
        return self.state == DELETED  # an unknown state never hides a letter

    @property
    def end(self) -> int:
        return self.offset + self.size


class Index:
    """One index file, read from its octets.

    problem   what is wrong with the header, None: nothing
    records   up to the first free one; `free` is what lies behind, unsound or not
    """

    def __init__(self, path: str, data: bytes):
        self.path = path
        self.octets = len(data)
        header = data[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0")
        magic, version, self.uid_validity, _, self.generation = struct.unpack_from("<5I", header)
        self.problem = None
        if not any(header):  # it is written last
            self.problem = "has no header"
        elif magic != _MAGIC:
            self.problem = "the header's magic number is wrong"
        elif zlib.crc32(header[:508]) != struct.unpack_from("<I", header, 508)[0]:
            self.problem = "the header's CRC is wrong"
        elif version != _VERSION:
            self.problem = f"written in version {version}, known is {_VERSION}"
        self.records: list[Record] = []
        self.free: list[Record] = []
        for record in _records(data, self.uid_validity):
            (self.free if self.free or record.state == FREE else self.records).append(record)

    def sound_records(self) -> list[Record]:
        """Those whose CRC is right, by UID."""
        return sorted((record for record in self.records if record.sound),
                      key=lambda record: record.uid)

    def unique_id(self, record: Record) -> str:
        """As POP3's UIDL and the message's Received line show it."""
        return f"{self.uid_validity:08x}.{record.uid:08x}"


def _records(data: bytes, uid_validity: int) -> Iterator[Record]:
    whole = HEADER_SIZE + (len(data) - HEADER_SIZE) // RECORD_SIZE * RECORD_SIZE
    slots = memoryview(data)[HEADER_SIZE:max(whole, HEADER_SIZE)]
    for slot, words in enumerate(struct.iter_unpack("<8I", slots)):
        state, uid, where, offset, size, octets, date, crc = words
        at = slot * RECORD_SIZE
        yield Record(slot, state & 0xFF, uid, where & 0xFFFF, where >> 16 & 0x1FF, where >> 25,
                     offset, size, octets, date,
                     zlib.crc32(slots[at + 4:at + 28], uid_validity) == crc,
                     not slots[at + RECORD_SIZE - 1])


@dataclass
class Mailbox:
    """What lies in `mail/<name>`.

    index       the one in force; one that is damaged where no other is left; None: there is none
    others      index files that are not in force
    misplaced   segment files that the firmware would look for elsewhere, or nowhere
    """

    name: str
    path: str
    index: Index | None = None
    others: list[Index] = field(default_factory=list)
    segments: dict[int, Entry] = field(default_factory=dict)
    misplaced: list[Entry] = field(default_factory=list)

    def segment_path(self, number: int) -> str:
        """Where segment `number` lies or should lie."""
        return f"{self.path}/{number >> 8:02X}/{number:04X}.MBX"


def mailboxes(card: ImageCard | FolderCard) -> dict[str, Entry]:
    """The mailboxes' folders by name. Raises OSError."""
    mail = card.listing().get("MAIL")
    if mail is None or not mail.is_directory:
        return {}
    return {entry.name: entry for _, entry in sorted(card.listing(mail).items())
            if entry.is_directory and entry.legal and not entry.name.startswith(".")}


def read_mailbox(card: ImageCard | FolderCard, folder: Entry) -> Mailbox:
    """Read a mailbox's indexes and list its segments. Raises OSError."""
    found = card.listing(folder)
    mailbox = Mailbox(folder.name, folder.path)
    indexes = [Index(found[name].path, card.read(found[name], 0, found[name].size))
               for name in INDEX_NAMES if name in found]
    if indexes:
        mailbox.index = max(indexes, key=lambda index: (index.problem is None, index.generation))
        mailbox.others = [index for index in indexes if index is not mailbox.index]
    for name, shard in found.items():
        if not shard.is_directory or not _SHARD_NAME.fullmatch(name):
            continue
        for file_name, entry in card.listing(shard).items():
            match = _SEGMENT_NAME.fullmatch(file_name)
            if not match or entry.is_directory:
                continue  # a person put it there
            number = int(match[1], 16)
            if number >> 8 == int(name, 16) and number < _MAX_SEGMENTS:
                mailbox.segments[number] = entry
            else:
                mailbox.misplaced.append(entry)
    return mailbox


# --- messages ---------------------------------------------------------------------------------

def read_message(card: ImageCard | FolderCard, mailbox: Mailbox, record: Record) -> bytes:
    """A record's range of its segment: From_ line, text, blank line. OSError: why not.

    Where a PC left the blank line out, it is put in here.
    """
    entry = mailbox.segments.get(record.segment)
    if entry is None:
        raise OSError("its segment is missing")
    if record.end > entry.size:
        raise OSError(f"it ends at octet {record.end}, its segment at {entry.size}")
    raw = card.read(entry, record.offset, record.size)
    return raw + b"\n" if record.attributes & UNENDED else raw


def fault(raw: bytes, record: Record) -> str | None:
    """Why `raw` cannot be the message that the record tells of; None: it is."""
    if not raw.startswith(b"From "):
        return "does not begin with a From_ line"
    from_line = raw.find(b"\n") + 1
    if from_line != record.from_line:
        return f"its From_ line has {from_line} octets, the record says {record.from_line}"
    if not raw.endswith(b"\n\n") and stated_unique_id(raw):
        return "does not end with a blank line"  # a PC's last letter in a file need not
    if raw.find(b"\nFrom ", record.from_line - 1) >= 0:
        return "has a From_ line inside"
    octets = wire_octets(raw, record.from_line)
    if octets != record.octets:
        return f"has {octets} octets on the wire, the record says {record.octets}"
    return None


def wire_octets(raw: bytes, from_line: int) -> int:
    """Size of the text as POP3 sends it: CRLF line ends, From_ lines unquoted (RFC 1939 11)."""
    end = len(raw) - 1
    size = end - from_line + raw.count(b"\n", from_line, end)
    if size and raw[end - 1] != 10:
        size += 2  # where a PC left the last line end out
    return size - sum(1 for _ in _QUOTED_FROM.finditer(raw, from_line - 1))


def text_of(raw: bytes, record: Record) -> bytes:
    """The message itself, with LF line ends: no From_ line, no blank line, nothing quoted."""
    return _QUOTED_FROM.sub(b"\n", raw[record.from_line - 1:-1])[1:]


def stated_unique_id(raw: bytes) -> str | None:
    """The unique-id in the Received line that the firmware wrote."""
    match = _UNIQUE_ID.search(raw, 0, _MAX_TRACE)
    return match[1].decode() if match else None


def is_own(raw: bytes, mailbox: Mailbox, record: Record) -> bool:
    """Whether the Received line in `raw` names the record's unique-id.

    A deleted message's may not: the number of a freed segment is given out again one day.
    """
    return stated_unique_id(raw) == mailbox.index.unique_id(record)
