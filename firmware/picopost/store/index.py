"""A mailbox's index: one fixed-size record a message, on the card, overwritten in place.

The file is a header sector and then records of 32 bytes, sixteen a sector, in the order in
which the messages were committed. It is preallocated in steps, so that a commit moves no FAT
chain. All words are 32-bit little-endian, as both the RP2040 and its emulation store them:

    header   0 magic   1 version   2 uid_validity   3 first uid   4 generation
             127 CRC-32 of words 0-126
    record   0 state   1 uid   2 segment | from_line << 16 | attributes << 25   3 offset
             4 size on card   5 octets on the wire   6 date   7 CRC-32 of words 1-6

The CRC starts from uid_validity, so a record of another mailbox never passes. The state stands
outside it: deleting flips one byte, which a torn write leaves either old or new.

There are two names, so that a new index can be written beside the one that is in force: the
sound header with the higher generation wins (index_builder.py).
"""

import gc
import binascii
from array import array
from micropython import const

from picopost.store.segment import ENOENT

FREE = const(0)
LIVE = const(0x4C)  # "L"
DELETED = const(0x44)  # "D"

# attributes
SHARED = const(1)  # it stands in a segment with others; otherwise the segment is its own
UNENDED = const(2)  # a PC wrote it without the blank line that ends a message in mbox

UID = const(1)
WHERE = const(2)
OFFSET = const(3)
SIZE = const(4)
OCTETS = const(5)
DATE = const(6)
_CRC = const(7)

NAMES = ("INDEX0.PIX", "INDEX1.PIX")

_MAGIC = const(0x70636970)  # "picp"
_VERSION = const(1)
_WORDS = const(8)  # a record
_PER_SECTOR = const(16)
_GROWTH = const(4096)  # eight sectors: 128 records a step
# What CRC-32 makes of words with their own CRC behind them, from whatever it started: a small
# integer on a board, where every other CRC to compare would be 16 octets of heap a record.
_RESIDUE = const(0x2144DF1C)

# Records are read one sector at a time into one buffer that all mailboxes share: whoever is
# reading runs to its next await, and asks again after it.
_sector = array("I", bytes(512))
_view = memoryview(_sector)
_checked = tuple(_view[i * _WORDS + 1 : (i + 1) * _WORDS] for i in range(_PER_SECTOR))
_owner = [None, -1, False]  # whose sector stands in the buffer, its number, changed or not


# EACCES, ENOSPC: what FatFs has for a new name, and for data, that the card has no room for.
NO_ROOM = (13, 28)


class IndexDamaged(OSError):
    """The index cannot be trusted; the text says which file and why."""


def segment_of(where):
    """The segment's number in a record's WHERE word."""
    return where & 0xFFFF


def from_line_of(where):
    """Length of the From_ line, in octets, in a record's WHERE word."""
    return (where >> 16) & 0x1FF


def attributes_of(where):
    """SHARED and what may come, in a record's WHERE word."""
    return where >> 25


def crc(words, uid_validity):
    """CRC-32 of a record's words 1 to 6."""
    return binascii.crc32(words, uid_validity)


def header(words, uid_validity, first_uid, generation):
    """Fill a sector of 128 words with a sound header."""
    for i in range(127):
        words[i] = 0
    words[0] = _MAGIC
    words[1] = _VERSION
    words[2] = uid_validity
    words[3] = first_uid
    words[4] = generation
    words[127] = binascii.crc32(memoryview(words)[:127])


class Index:
    """The index file in force, kept open. Raises OSError where the card does.

    `volume.structural` is counted up around what changes the FAT: see guard.py.

    generation    of the file in force, 0 before `choose`
    damaged       its records are not known to be sound
    slots         records in use, deleted ones included
    live, octets  messages that are not deleted, and their sum of octets
    next_uid      the UID that the next message gets
    """

    def __init__(self, directory, volume):
        self.path = ""
        self.generation = 0
        self.damaged = True
        self.uid_validity = 0
        self.slots = 0
        self.live = 0
        self.octets = 0
        self.next_uid = 1
        self._pending = 0  # marked, and counted as live until `sync`
        self._pending_octets = 0
        self._directory = directory
        self._volume = volume
        self._capacity = 0
        self._file = None

    def choose(self):
        """Find the file in force; False when neither name has a sound header."""
        for name in NAMES:
            path = f"{self._directory}/{name}"
            try:
                with open(path, "rb") as file:
                    self.write_back()
                    _owner[0] = None
                    if file.readinto(_view) != 512:
                        continue
            except OSError as error:
                if error.errno != ENOENT:
                    raise
                continue
            if (_sector[0] == _MAGIC and _sector[1] == _VERSION and _sector[4] > self.generation
                    and _sector[127] == binascii.crc32(_view[:127])):
                self.path = path
                self.generation = _sector[4]
                self.uid_validity = _sector[2]
                self.next_uid = _sector[3]
        return self.generation > 0

    def open(self, visit=None):
        """Read the chosen file through once: check each CRC, count, find the end.

        visit(state, where, offset, size) is called for every sound record. A bad CRC in the
        last record is a commit that the power cut: never acknowledged, its slot is used again.
        Anywhere else it is damage: IndexDamaged.
        """
        self._file = open(self.path, "r+b")
        self._capacity = (self._file.seek(0, 2) - 512) // (_WORDS * 4)
        slot = 0
        suspect = -1
        while slot < self._capacity:
            base = self.load(slot)
            state = _sector[base] & 0xFF
            if state == FREE:
                break
            if suspect >= 0:
                raise IndexDamaged(f"{self.path}: record {suspect} has a bad CRC")
            if not self._sound(base):
                suspect = slot
            else:
                if state != DELETED:  # an unknown state byte never hides a letter
                    self.live += 1
                    self.octets += _sector[base + OCTETS]
                if _sector[base + UID] >= self.next_uid:  # the header's is higher after packing
                    self.next_uid = _sector[base + UID] + 1
                if visit:
                    visit(state, _sector[base + WHERE], _sector[base + OFFSET],
                          _sector[base + SIZE])
            slot += 1
        self.slots = slot if suspect < 0 else suspect
        self.damaged = False

    def succeed(self, builder, old, slots):
        """Stand for the file that `builder` has filled with the `slots` live records of `old`, from
        when it is put in force on: then the heap is asked for nothing more.
        """
        gc.collect()  # as Mailbox._open_active
        self._file = open(builder.path, "r+b")
        self.path = builder.path
        self.generation = old.generation + 1
        self.uid_validity = old.uid_validity
        self._capacity = builder.slots
        self.damaged = False
        self.slots = self.live = slots
        self.octets = old.octets
        self.next_uid = old.next_uid

    def close(self):
        """Let go of the file; every commit has been synced."""
        if self._file:
            self._volume.shut(self._file)
            self._file = None
        if _owner[0] is self:
            _owner[0] = None

    def load(self, slot):
        """Bring the sector of `slot` in; returns the record's first word in `words()`.

        Valid until the caller's next await or card operation.
        """
        sector = slot // _PER_SECTOR + 1
        if _owner[0] is not self or _owner[1] != sector:
            self._read(sector)
        return slot % _PER_SECTOR * _WORDS

    def words(self):
        """The sector that `load` brought in, as 128 words."""
        return _sector

    def checked(self, slot):
        """`load`, and IndexDamaged unless the record's CRC is right."""
        base = self.load(slot)
        if not self._sound(base):
            raise IndexDamaged(f"{self.path}: record {slot} has a bad CRC")
        return base

    def is_live(self, slot):
        """Whether the record in `slot` stands for a message."""
        return _sector[self.load(slot)] & 0xFF != DELETED

    def append(self, segment, from_line, attributes, offset, size, octets, date):
        """Commit one message: when this returns its record is on the card. Returns its slot."""
        slot = self.slots
        if slot >= self._capacity:
            self._grow()
        base = self.load(slot)
        _owner[0] = None  # what is not written whole is forgotten
        _sector[base] = LIVE
        _sector[base + UID] = self.next_uid
        _sector[base + WHERE] = segment | from_line << 16 | attributes << 25
        _sector[base + OFFSET] = offset
        _sector[base + SIZE] = size
        _sector[base + OCTETS] = octets
        _sector[base + DATE] = date
        _sector[base + _CRC] = self._crc(base)
        self._write()
        self._volume.sync()
        self.slots = slot + 1
        self.next_uid += 1
        self.live += 1
        self.octets += octets
        return slot

    def relocate(self, slot, segment, offset):
        """The message now stands in another shared segment; atomic."""
        base = self.load(slot)
        self.write_back()
        _owner[0] = None  # as `append`: a CRC may find no room in the heap
        _sector[base + WHERE] = _sector[base + WHERE] & ~0xFFFF | segment
        _sector[base + OFFSET] = offset
        _sector[base + _CRC] = self._crc(base)
        self._volume.structural += 1  # a torn record would lose an acknowledged message
        try:
            self._write()
        finally:
            self._volume.structural -= 1

    def mark_deleted(self, slot):
        """Delete one message, in the buffer only until `write_back` or the next other sector."""
        base = self.load(slot)
        if _sector[base] & 0xFF != DELETED:
            _sector[base] = _sector[base] & ~0xFF | DELETED
            _owner[2] = True
            self._pending += 1
            self._pending_octets += _sector[base + OCTETS]

    def write_back(self):
        """Give marks to the file; call it before any await, the buffer is everybody's."""
        if _owner[2] and _owner[0]:
            _owner[0]._write()

    def sync(self):
        """When this returns, what was marked is on the card."""
        live, octets = self._pending, self._pending_octets
        self._pending = self._pending_octets = 0  # after a failure they count as live, see Maildrop
        self.write_back()
        self._check_open()
        self._volume.sync()
        self.live -= live
        self.octets -= octets

    def correct(self, live, octets):
        """Add to the counts, of which nothing is pending any more: somebody has counted."""
        self._pending = self._pending_octets = 0
        self.live += live
        self.octets += octets

    def _sound(self, base):
        return binascii.crc32(_checked[base // _WORDS], self.uid_validity) == _RESIDUE

    def _crc(self, base):
        return crc(_view[base + 1 : base + _CRC], self.uid_validity)

    def _check_open(self):
        if self._file is None:
            raise OSError(5, self.path + " is closed")

    def _read(self, sector):
        self._check_open()
        self.write_back()
        _owner[0] = None  # so a failed read leaves nothing to trust
        self._file.seek(sector * 512)
        if self._file.readinto(_view) != 512:
            raise IndexDamaged(f"{self.path}: ends in sector {sector}")
        _owner[0] = self
        _owner[1] = sector

    def _write(self):
        """The sector in the buffer goes to the card; on OSError it is forgotten.

        Past FatFs' window, since it is a whole one, so no `flush`: the file keeps its size, and its
        time tells nobody.
        """
        _owner[0] = None
        _owner[2] = False
        self._check_open()
        self._file.seek(_owner[1] * 512)
        self._file.write(_view)
        _owner[0] = self

    def _grow(self):
        """Preallocate the next step of free records."""
        self.write_back()
        _owner[0] = None
        empty = bytes(512)
        self._volume.structural += 1  # a torn size in the directory would hide records
        try:
            self._file.seek(512 + self._capacity * _WORDS * 4)
            for _ in range(_GROWTH // 512):
                self._file.write(empty)
            self._file.flush()
        finally:
            self._volume.structural -= 1
        self._capacity += _GROWTH // (_WORDS * 4)
