"""One mailbox: its index and its segments, and how a message gets in.

The order of every commit is: data, record, sync; the card keeps it, see guard.py. What the index
does not know does not exist: a cut before the record leaves a tail or a segment that recovery
discards.
"""

import gc
import os

from picopost import limits, load
from picopost.store import index as index_file
from picopost.store import segment


class Mailbox:
    """A directory on the card. The appliance is its only writer while the card is in.

    `name` is what the wire calls it; `path` is given by the caller, never made from the wire.
    `volume` is what it lies on: its `structural` counts who is changing FAT and directories,
    its `shut(file)` closes a file. After an OSError of the card nothing here is used again.
    `in_use` is POP3's exclusive lock (RFC 1939 section 3), see `take`.

    For recovery.py and compaction.py: `active_number`, `active_end` (the shared segment that
    takes small messages; -1: none), `next_segment`, `writing` (segments of large messages that
    have no record yet), `used` (while somebody counts: one bit for each segment that must stay).
    """

    def __init__(self, name, path, volume):
        self.name = name
        self.path = path
        self.volume = volume
        self.in_use = False
        self.closed = False
        self.index = index_file.Index(path, volume)
        self.next_segment = 0
        self.used = None
        self.writing = []
        self.active_number = -1
        self.active_end = 0
        self.changes = 0  # of records that were there already: by sessions and retractions
        self._active = None
        self._retracted = -1
        self._sweeping = False
        self._sweep_again = False

    def open(self, log):
        """Make it ready for use, whatever the last cut or a PC left behind: see recovery.py."""
        from picopost.store import recovery

        recovery.recover(self, log)

    def close(self):
        """Let go of the files; everything acknowledged is on the card already.

        Who still holds this object gets OSError from now on: its paths may lead to another card.
        """
        self.closed = True
        self.drop_active()
        self.index.close()

    def append(self, block, length, from_line, octets, date):
        """Commit a small message: `length` octets of `block`, From_ line and blank line included.

        No await in here, so no two messages mix. Returns when it is safe on the card; on OSError
        nothing of it exists.
        """
        self.settle()
        offset = self.put(block, length)
        try:
            self.index.append(self.active_number, from_line, index_file.SHARED, offset, length,
                              octets, date)
        except BaseException:
            self.active_end = offset  # a full card, or heap; the next message overwrites this one
            raise

    def put(self, block, length):
        """Append `length` octets of `block` to the shared segment; returns their offset."""
        self.check_open()
        fresh = not 0 < self.active_end < limits.SEGMENT_SIZE
        self.volume.structural += fresh
        try:
            if fresh or self._active is None:
                self._open_active(fresh)
            file = self._active
            offset = self.active_end
            file.seek(offset)
            file.write(memoryview(block)[:length])
            file.flush()
        except BaseException:  # a MemoryError too: the file may be where it does not think it is
            self.drop_active()
            raise
        finally:
            self.volume.structural -= fresh
        self.active_end = offset + length
        return offset

    def take(self):
        """Lock it for a POP3 session; False when another has it."""
        if self.in_use:
            return False
        self.in_use = True
        self.changes += 1
        return True

    def check_open(self):
        """Raises OSError (EIO) once it is closed."""
        if self.closed:
            raise OSError(5, "the card was taken out of service")

    def begin(self):
        """A segment of its own for a large message: a LargeMessage."""
        self.check_open()
        return LargeMessage(self, self._new_segment())

    def retract(self):
        """Undo the last commit, which was never acknowledged. Never raises, see `settle`."""
        self._retracted = self.index.slots - 1
        self.changes += 1
        try:
            self.settle()
        except (OSError, MemoryError):
            pass  # the card is lost; what is on it may show a letter that nobody was promised

    def settle(self):
        """Make a retraction durable that the card refused before; OSError if it still does."""
        if self._retracted >= 0:
            self.index.mark_deleted(self._retracted)
            self.index.sync()
            self._retracted = -1

    def sweep(self):
        """Generator: give the space of deleted messages back, a small step a turn."""
        self._sweep_again = True
        if self._sweeping:
            return  # the one that is under way goes round once more
        self._sweeping = True
        try:
            while self._sweep_again:
                self._sweep_again = False
                yield from load("picopost.store.compaction").sweep(self)
        finally:
            self._sweeping = False

    def mark_used(self, number):
        """While somebody counts: this segment must stay."""
        self.used[number >> 3] |= 1 << (number & 7)

    def is_used(self, number):
        return self.used[number >> 3] & 1 << (number & 7)

    def drop_active(self):
        """Close the shared segment's file; the next message opens it again."""
        file = self._active
        self._active = None
        if file:
            self.volume.shut(file)  # nothing acknowledged hangs on it: each commit was synced

    def _new_segment(self):
        for _ in range(limits.MAX_SEGMENTS):
            number = self.next_segment % limits.MAX_SEGMENTS
            self.next_segment = number + 1
            try:
                os.stat(segment.path_of(self.path, number))
            except OSError as error:
                if error.errno != segment.ENOENT:
                    raise
                if self.used is not None:
                    self.mark_used(number)
                return number
        raise OSError(segment.ENOSPC)

    def _open_active(self, fresh):
        self.drop_active()
        gc.collect()  # the file stays open: it is to lie low, not behind what sessions left
        if not fresh:
            self._active = open(segment.path_of(self.path, self.active_number), "r+b")
            return
        number = self._new_segment()
        self._active = segment.create(self.path, number)
        self.active_number = number
        self.active_end = 0


class LargeMessage:
    """A message on its way into a segment of its own: write, write, ..., commit or abort."""

    def __init__(self, mailbox, number):
        self.mailbox = mailbox
        self.size = 0
        self._number = number
        self._file = None
        mailbox.writing.append(number)

    def write(self, buffer):
        """Append `buffer` (memoryview, whole blocks of 512 but for the last)."""
        if self.size:
            self._file.write(buffer)
        else:
            # The directory names the first cluster from now on: whatever is cut later, removing
            # the file frees all of its chain.
            self.mailbox.check_open()
            volume = self.mailbox.volume
            volume.structural += 1
            try:
                self._file = segment.create(self.mailbox.path, self._number)
                self._file.write(buffer)
                self._file.flush()
            except BaseException:
                if self._file:  # a full card: its name may have a cluster all the same
                    volume.shut(self._file)
                    self._file = None
                raise
            finally:
                volume.structural -= 1
        self.size += len(buffer)

    def commit(self, uid_at, from_line, octets, date):
        """Put the UID where the Received line has room for it; returns when all is on the card."""
        self.mailbox.settle()
        self._file.seek(uid_at)
        self._file.write(b"%08x" % self.mailbox.index.next_uid)
        self._file.flush()
        self.mailbox.volume.shut(self._file)
        self._file = None
        self.mailbox.index.append(self._number, from_line, 0, 0, self.size, octets, date)
        self.mailbox.writing.remove(self._number)

    def abort(self):
        """Free what was written. Never raises: a leftover is discarded at the next start."""
        if self._number not in self.mailbox.writing:
            return  # it is committed, or was freed
        self.mailbox.writing.remove(self._number)
        if self._file:
            self.mailbox.volume.shut(self._file)
            self._file = None
        if self.mailbox.closed or self.mailbox.volume.failure:
            return  # recovery has seen to it, and the path may be another card's
        try:
            os.remove(segment.path_of(self.mailbox.path, self._number))
        except (OSError, MemoryError):
            pass
