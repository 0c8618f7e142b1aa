"""Write a new index beside the one in force; it takes over with its header, written last.

A cut at any block leaves either the old index in force or the new one. Loaded when a mailbox is
created, compacted or rebuilt.
"""

import os
from array import array
from micropython import const

from picopost.store import index as index_file
from picopost.store.segment import ENOENT

_PER_SECTOR = const(16)
_WORDS = const(8)
_SPARE = const(128)  # free records behind the last one


class Builder:
    """A new index for `slots` records, with free ones behind them.

    `old` is the Index in force or that last was; its names and generation are continued. Records
    may be put in any order, cheaply in ascending order.
    """

    def __init__(self, directory, volume, old, slots, uid_validity=None):
        self.uid_validity = uid_validity or int.from_bytes(os.urandom(4), "little") or 1
        self._generation = old.generation + 1
        self._volume = volume
        name = index_file.NAMES[self._generation & 1]
        self.path = f"{directory}/{name}"
        self._sector = array("I", bytes(512))
        self._view = memoryview(self._sector)
        self._number = 0  # of the sector in the buffer
        self._sectors = 1 + (slots + _SPARE) // _PER_SECTOR
        self.slots = (self._sectors - 1) * _PER_SECTOR  # so many records have room
        self._file = None

    def prepare(self):
        """Generator: make the file, all records free, a few sectors a turn."""
        self._volume.structural += 1
        try:
            self._file = open(self.path, "w+b")
            self._file.flush()
        finally:
            self._volume.structural -= 1
        for _ in range(self._sectors):
            self._file.write(self._view)
            if self._file.tell() % 4096 == 0:
                yield
        self._sync()

    def put(self, slot, state, uid, where, offset, size, octets, date):
        """Set one record."""
        base = self._load(slot)
        sector = self._sector
        sector[base] = state
        sector[base + index_file.UID] = uid
        sector[base + index_file.WHERE] = where
        sector[base + index_file.OFFSET] = offset
        sector[base + index_file.SIZE] = size
        sector[base + index_file.OCTETS] = octets
        sector[base + index_file.DATE] = date
        sector[base + 7] = index_file.crc(self._view[base + 1 : base + 7], self.uid_validity)

    def is_free(self, slot):
        """Whether nothing was put there yet."""
        return not self._sector[self._load(slot)]

    def finish(self, first_uid):
        """Put it in force. `first_uid` is the next message's if there is no record."""
        self._write()
        self._sync()  # every record is on the card before the header speaks for them
        index_file.header(self._sector, self.uid_validity, first_uid, self._generation)
        self._number = 0
        self._write()
        self._sync()
        self._volume.shut(self._file)

    def abandon(self):
        """Drop what was written so far."""
        if self._file:
            self._volume.shut(self._file)
            if self._volume.failure:
                return  # the path may be another card's by now
            try:
                os.remove(self.path)
            except OSError:
                pass  # without a header it is nothing, and is overwritten next time

    def _load(self, slot):
        number = slot // _PER_SECTOR + 1
        if number != self._number:
            if self._number:
                self._write()
            self._file.seek(number * 512)
            if self._file.readinto(self._view) != 512:
                raise OSError(5)
            self._number = number
        return slot % _PER_SECTOR * _WORDS

    def _write(self):
        self._file.seek(self._number * 512)
        if self._number or self._sector[0]:
            self._file.write(self._view)

    def _sync(self):
        self._volume.structural += 1
        try:
            self._file.flush()
        finally:
            self._volume.structural -= 1


def remove_others(directory, path):
    """Remove the index files that are not in force."""
    for name in index_file.NAMES:
        other = f"{directory}/{name}"
        if other != path:
            try:
                os.remove(other)
            except OSError as error:
                if error.errno != ENOENT:
                    raise
