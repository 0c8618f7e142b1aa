"""Makes the block writes that hold a FAT volume together atomic: all of it or nothing.

    guard = Guard(card)
    guard.mount("/sd")                   # repairs, then mounts
    guard.structural += 1                # around mkdir, create, first flush, growth
    try: ...; file.flush()
    finally: guard.structural -= 1

A power cut may leave a block half old and half new. Half a cluster number points into somebody
else's file. So such a block is first written to a journal, a small file in the card's root
directory, then in place; `mount` finishes what the cut interrupted. The card keeps the order of
writes: its driver begins none before the one before it is known to be on the card (sd_card.py). So
nothing in between waits for it, and neither does FatFs at the end of each flush: only `sync` does,
which is for promises. Guarded are:

- every single block in front of the data area but the second FAT, which FatFs writes right
  behind the first and `mount` makes equal to it again;
- while `structural` is counted up every other single block that is not all zeros. Count it up
  where FatFs writes the name or the first cluster of a directory entry, and down after a `flush`:
  until then the entry may wait in FatFs' window.

FatFs links a new cluster to a directory before it clears it; a cut in between would leave old
data to be read as entries. So the journal's word on the first FAT is provisional while
`structural` is up: as long as nothing but zeros follows, `mount` takes that write back.

FAT32's FSINFO block is a hint, as the specification says: how many clusters are free, and where to
look for one. FatFs would write it each time that it takes a cluster. Here it is written when there
is time, by `tidy`.

What a computer changed meanwhile stays: `mount` repairs a block only where each octet is one of
the two that the journal knows, and the rest of the block is as it was.

FAT12 entries (cards below 16 MB) may lie across two blocks; those are not atomic.

    journal   0 magic "PJNL"   4 CRC-32 of octets 8-15, the block's new and its old content
              8 block number   12 bit n: its 64 octets from 64 n on changed; bit 8: provisional
              64 the new and then the old 64 octets of each change; where more than three changed
              the whole new block is the second sector of the file, the old one the third

On-disk structures: Microsoft, "FAT: General Overview of On-Disk Format" (fatgen103).
"""

import binascii
import struct
import vfs
from errno import EACCES, EIO, ENODEV, ENOENT

from micropython import const

_ENOSPC = const(28)
_BLOCK = const(512)
_PIECE = const(64)
_PIECES = const(8)
_FIT = const(3)  # changed pieces, new and old, behind the header
_MAGIC = b"PJNL"
_CHANGED = const(0xFF)
_PROVISIONAL = const(0x100)
_NOTHING = const(-1)
_HINT_OCTETS = const(8)
_HINT = const(488)  # in FSINFO: the number of free clusters, and the one to look at next
_SYNC = const(3)
_COUNT = const(4)
# A cut while the file is being made leaves an entry that nobody may trust, nor remove: its
# cluster may be another file's. The next name is taken then.
_NAMES = ("PICOPOST.JNL", "PICOPOST.JN2", "PICOPOST.JN3")


class Guard:
    """The block device to mount in `card`'s place. `card` is an SdCard, or serves blocks like it.

    Everything raises OSError as the card does. When a guarded write raises, the block has its old
    or its new content, also after a power cut.
    """

    def __init__(self, card):
        self.structural = 0
        self.readblocks = card.readblocks
        self.ready = card.ready
        self.wait_ready = card.wait_ready
        self._card = card
        self._old, self._old_pieces = _sector()
        self._record, self._record_pieces = _sector()
        self._journal = ()  # numbers of its three blocks
        self._named = _NOTHING  # the block that the journal may speak of
        self._provisional = False
        self.writing = False  # outside of a write: the last one found no room in the heap
        self._fat = self._mirror = self._root = self._data = 0  # where FATs and areas begin
        self._info = _NOTHING  # FSINFO's block
        self._hint = bytearray(_HINT_OCTETS)  # what is to be written there ...
        self._hint_due = False  # ... or is

    def mount(self, path):
        """Repair what a power cut tore, then mount the volume at `path`.

        True when there was something to repair. Raises OSError: ENODEV without a FAT volume,
        ENOSPC without room for the journal, EIO when no journal can be trusted.
        """
        watch = _Watch(self._card)
        fat = vfs.VfsFat(watch)  # opens the card
        self._find_volume()
        self._find_journal(fat, watch)
        repaired = self._replay()
        vfs.mount(vfs.VfsFat(self), path)  # a new one: `fat` may know what was repaired
        return repaired

    # --- the block device ---------------------------------------------------------------------

    def writeblocks(self, block, buf):
        """Write `buf`, a multiple of 512 octets, from block number `block` on."""
        if self.writing:
            self._card.fail(None)
        self.writing = True
        # Nearly all are data that the journal does not speak of.
        if block < self._data or self.structural or self._provisional or (
                block <= self._named < block + len(buf) // _BLOCK):
            self._write_with_care(block, buf)
        else:
            self._card.writeblocks(block, buf)
        self.writing = False

    def _write_with_care(self, block, buf):
        single = len(buf) == _BLOCK
        mirror = self._mirror <= block < self._root
        try:
            if not mirror:
                void = self._provisional
                if single and block < self._data:
                    if block == self._info:
                        for i in range(_HINT_OCTETS):
                            self._hint[i] = buf[_HINT + i]
                        self._hint_due = True
                        return
                    return self._write_guarded(block, buf)
                if single and (self.structural or void):
                    if not any(buf):
                        void = False
                    elif self.structural:
                        return self._write_guarded(block, buf)
                if void or block <= self._named < block + len(buf) // _BLOCK:
                    self._void()
            self._card.writeblocks(block, buf)
        except MemoryError as error:
            self._card.fail(error)
            raise

    def ioctl(self, operation, argument):
        """MicroPython's block device requests."""
        if operation != _SYNC:
            return self._card.ioctl(operation, argument)
        if self._provisional:
            self._void()
        return 0

    def sync(self):
        """When this returns, all that was written is on the card for good."""
        self.ioctl(_SYNC, 0)
        self._card.ioctl(_SYNC, 0)

    def tidy(self):
        """Write what can wait."""
        if self._hint_due:
            sector = bytearray(_BLOCK)
            self._card.readblocks(self._info, sector)
            sector[_HINT : _HINT + _HINT_OCTETS] = self._hint
            self._write_guarded(self._info, sector)
            self._hint_due = False

    def _write_guarded(self, block, buf):
        card = self._card
        old = self._old
        record = self._record
        pieces = self._record_pieces
        card.readblocks(block, old)
        if buf == old:
            return
        record[:] = buf
        changed = count = 0
        for i in range(_PIECES):
            if pieces[i] != self._old_pieces[i]:
                changed |= 1 << i
                count += 1
        if count > _FIT:
            card.writeblocks(self._journal[1], buf)
            card.writeblocks(self._journal[2], old)
        else:
            at = 1
            for i in range(_PIECES):
                if changed & 1 << i:
                    pieces[at][:] = buf[i * _PIECE : (i + 1) * _PIECE]
                    pieces[at + 1][:] = self._old_pieces[i]
                    at += 2
        provisional = self.structural and self._fat <= block < self._mirror
        if provisional:
            changed |= _PROVISIONAL
        struct.pack_into("<4sIII", record, 0, _MAGIC, _crc(block, changed, buf, old), block,
                         changed)
        self._named = block
        card.writeblocks(self._journal[0], record)
        self._provisional = provisional
        card.writeblocks(block, buf)

    def _void(self):
        """Make the journal say nothing, before what it says would do harm."""
        struct.pack_into("<4sIII", self._record, 0, _MAGIC, 0, 0, 0)
        self._card.writeblocks(self._journal[0], self._record)
        self._named = _NOTHING
        self._provisional = False

    # --- mounting -----------------------------------------------------------------------------

    def _find_volume(self):
        """Where FatFs finds it: from block 0 on, or in the first partition that holds one."""
        sector = self._old
        self._card.readblocks(0, sector)
        starts = [0]
        for entry in range(446, 510, 16):
            if sector[entry + 4]:
                starts.append(struct.unpack_from("<I", sector, entry + 8)[0])
        for start in starts:
            self._card.readblocks(start, sector)
            if (sector[510:] == b"\x55\xaa" and sector[0] in (0xE9, 0xEB)
                    and (sector[54:57] == b"FAT" or sector[82:87] == b"FAT32")):
                break
        else:
            raise OSError(ENODEV, "no FAT volume on the card")
        reserved, fats, roots, _, _, size = struct.unpack_from("<HBHHBH", sector, 14)
        if not size:
            size = struct.unpack_from("<I", sector, 36)[0]
        if sector[82:87] == b"FAT32":
            self._info = start + struct.unpack_from("<H", sector, 48)[0]
        self._fat = start + reserved
        self._mirror = self._fat + size
        self._root = self._fat + fats * size
        self._data = self._root + roots * 32 // _BLOCK

    def _find_journal(self, fat, watch):
        """Learn its blocks, by watching which ones are read; make the file if there is none."""
        for name in _NAMES:
            try:
                fat.stat(name)
            except OSError as error:
                if error.errno != ENOENT:
                    raise
                _create(fat, name)
            blocks = []
            with fat.open(name, "rb") as file:
                for sector in (2, 1, 0):
                    file.seek(sector * _BLOCK)
                    if file.readinto(self._record) == _BLOCK and watch.block >= self._data:
                        blocks.insert(0, watch.block)
            if len(blocks) == 3 and self._record[:4] == _MAGIC:
                self._journal = blocks
                return
        raise OSError(EIO, name + " is damaged: have a computer check the card")

    def _replay(self):
        """Finish, or take back, the write that the journal names; True if the card changed."""
        card = self._card
        _, crc, block, changed = struct.unpack_from("<4sIII", self._record)
        if not changed or block >= card.ioctl(_COUNT, 0):
            return False
        now = bytearray(_BLOCK)
        card.readblocks(block, now)
        new = bytearray(now)
        old = bytearray(now)
        at = 1
        if bin(changed & _CHANGED).count("1") > _FIT:
            card.readblocks(self._journal[1], new)
            card.readblocks(self._journal[2], old)
        else:
            for i in range(_PIECES):
                if changed & 1 << i:
                    new[i * _PIECE : (i + 1) * _PIECE] = self._record_pieces[at]
                    old[i * _PIECE : (i + 1) * _PIECE] = self._record_pieces[at + 1]
                    at += 2
        repaired = False
        if (crc == _crc(block, changed, new, old)
                and all(now[i] == new[i] or now[i] == old[i] for i in range(_BLOCK))):
            right = old if changed & _PROVISIONAL else new
            repaired = self._repair(block, right)
            if self._fat <= block < self._mirror < self._root:
                repaired = self._repair(block + self._mirror - self._fat, right) or repaired
        self._void()
        return repaired

    def _repair(self, block, right):
        self._card.readblocks(block, self._old)
        if self._old == right:
            return False
        self._card.writeblocks(block, right)
        return True


class _Watch:
    """The card; `block` is the number of the last one read."""

    def __init__(self, card):
        self.writeblocks = card.writeblocks
        self.ioctl = card.ioctl
        self.block = _NOTHING
        self._card = card

    def readblocks(self, block, buf):
        self.block = block
        self._card.readblocks(block, buf)


def _sector():
    """A buffer for a block, and views of its eight pieces."""
    buffer = bytearray(_BLOCK)
    view = memoryview(buffer)
    return buffer, tuple(view[i : i + _PIECE] for i in range(0, _BLOCK, _PIECE))


def _crc(block, changed, new, old):
    crc = binascii.crc32(struct.pack("<II", block, changed))
    return binascii.crc32(old, binascii.crc32(new, crc))


def _create(fat, name):
    try:
        state = fat.statvfs("/")
        if state[0] * state[3] < 3 * _BLOCK:
            raise OSError(_ENOSPC)
        with fat.open(name, "wb") as file:
            file.write(_MAGIC + bytes(3 * _BLOCK - len(_MAGIC)))
    except OSError as error:
        if error.errno in (EACCES, _ENOSPC):  # EACCES: no entry left in the root directory
            raise OSError(_ENOSPC, "no room on the card for " + name)
        raise
