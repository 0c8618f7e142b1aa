"""One mailbox: its index and its segments, and how a message gets in.

The order of every commit is: data, sync, record, sync. What the index does not know does not
exist: a cut before the record leaves a tail or a segment that `open` discards.
"""

import os

from picopost import limits
from picopost.store import index as index_file
from picopost.store import segment


class Mailbox:
    """A directory on the card. The appliance is its only writer while the card is in.

    `name` is what the wire calls it; `path` is given by the caller, never made from the wire.
    `in_use` is POP3's exclusive lock (RFC 1939 section 3).
    """

    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.in_use = False
        self.index = index_file.Index(path + "/INDEX.PIX")
        self._next_segment = 0
        self._used = None  # while somebody counts: one bit for each segment that must stay
        self._retracted = -1
        self._writing = []  # segments of large messages that have no record yet
        self._active = None  # the open shared segment
        self._active_number = -1
        self._active_end = 0

    def open(self, log):
        """Create what is missing, read the index, discard what no record knows.

        Raises index.IndexDamaged rather than guess: then nothing on the card is touched.
        """
        try:
            os.stat(self.path)
        except OSError:
            os.mkdir(self.path)
        try:
            os.stat(self.index.path)
        except OSError:
            if any(True for _ in segment.numbers(self.path)):
                raise index_file.IndexDamaged(f"{self.index.path}: missing, segments are there")
            self.index.create()
        self._used = bytearray(limits.MAX_SEGMENTS // 8)
        try:
            self.index.open(self._visit)
            self._discard_unknown(log)
        finally:
            self._used = None

    def close(self):
        """Let go of the files; everything acknowledged is on the card already."""
        self._drop_active()
        self.index.close()

    def _visit(self, state, where, offset, size):
        number = index_file.segment_of(where)
        if state != index_file.DELETED:
            self._mark_used(number)
        if number >= self._next_segment:
            self._next_segment = number + 1
        if index_file.attributes_of(where) & index_file.SHARED:
            if number != self._active_number:
                self._active_number = number
                self._active_end = 0
            if offset + size > self._active_end:
                self._active_end = offset + size

    def _discard_unknown(self, log):
        active_size = -1
        for number, size in segment.numbers(self.path):
            if number >= self._next_segment:
                self._next_segment = number + 1
            if number == self._active_number:
                active_size = size
            if not self._used[number >> 3] & 1 << (number & 7):
                os.remove(segment.path_of(self.path, number))
                if number == self._active_number:
                    active_size = -1
                log("discarded", mailbox=self.name, segment=number, octets=size)
        # A tail that no record knows is never built upon: its chain may be what the cut tore.
        if active_size != self._active_end or active_size >= limits.SEGMENT_SIZE:
            if active_size > self._active_end:
                log("torn_tail", mailbox=self.name, segment=self._active_number,
                    octets=active_size - self._active_end)
            self._active_number = -1

    def append(self, block, length, from_line, octets, date):
        """Commit a small message: `length` octets of `block`, From_ line and blank line included.

        No await in here, so no two messages mix. Returns when it is safe on the card; on OSError
        nothing of it exists.
        """
        self.settle()
        if self._active is None or self._active_end >= limits.SEGMENT_SIZE:
            self._open_active()
        offset = self._active_end
        try:
            self._active.write(memoryview(block)[:length])
            self._active.flush()
            self.index.append(self._active_number, from_line, index_file.SHARED, offset, length,
                              octets, date)
        except OSError:
            self._drop_active()
            self._active_number = -1  # what was half written is never built upon
            raise
        self._active_end = offset + length

    def begin(self):
        """A segment of its own for a large message: a LargeMessage."""
        return LargeMessage(self, self._new_segment())

    def retract(self):
        """Undo the last commit, which was never acknowledged. Never raises, see `settle`."""
        self._retracted = self.index.slots - 1
        try:
            self.settle()
        except OSError:
            pass  # the card does not listen; nothing else happens here before it does

    def settle(self):
        """Make a retraction durable that the card refused before; OSError if it still does."""
        if self._retracted >= 0:
            self.index.mark_deleted(self._retracted)
            self.index.sync()
            self._retracted = -1

    def sweep(self):
        """Generator: free the segments that hold no message any more, a small step a turn."""
        if self._used:
            return  # one is under way
        self._used = bytearray(limits.MAX_SEGMENTS // 8)
        try:
            for number in self._writing:
                self._mark_used(number)
            if self._active_number >= 0:
                self._mark_used(self._active_number)
            slots = self.index.slots  # what comes later marks itself
            for slot in range(slots):
                if slot & 31 == 31:
                    yield
                base = self.index.load(slot)
                words = self.index.words()
                if words[base] & 0xFF != index_file.DELETED:
                    self._mark_used(index_file.segment_of(words[base + index_file.WHERE]))
            for slot in range(slots):
                if slot & 31 == 31:
                    yield
                base = self.index.load(slot)
                number = index_file.segment_of(self.index.words()[base + index_file.WHERE])
                if not self._used[number >> 3] & 1 << (number & 7):
                    self._mark_used(number)  # one removal is enough
                    self._remove(number)
        finally:
            self._used = None

    def _mark_used(self, number):
        self._used[number >> 3] |= 1 << (number & 7)

    def _remove(self, number):
        try:
            os.remove(segment.path_of(self.path, number))
        except OSError as error:
            if error.errno != segment.ENOENT:
                raise

    def _new_segment(self):
        for _ in range(limits.MAX_SEGMENTS):
            number = self._next_segment % limits.MAX_SEGMENTS
            self._next_segment = number + 1
            try:
                os.stat(segment.path_of(self.path, number))
            except OSError as error:
                if error.errno != segment.ENOENT:
                    raise
                if self._used:
                    self._mark_used(number)
                return number
        raise OSError(segment.ENOSPC)

    def _open_active(self):
        self._drop_active()
        if 0 <= self._active_number and self._active_end < limits.SEGMENT_SIZE:
            self._active = open(segment.path_of(self.path, self._active_number), "r+b")
            self._active.seek(self._active_end)
            return
        number = self._new_segment()
        self._active = segment.create(self.path, number)
        self._active_number = number
        self._active_end = 0

    def _drop_active(self):
        file = self._active
        self._active = None
        if file:
            try:
                file.close()
            except OSError:
                pass  # nothing acknowledged hangs on it: each commit was synced


class LargeMessage:
    """A message on its way into a segment of its own: write, write, ..., commit or abort."""

    def __init__(self, mailbox, number):
        self.mailbox = mailbox
        self.size = 0
        self._number = number
        self._file = segment.create(mailbox.path, number)
        mailbox._writing.append(number)

    def write(self, buffer):
        """Append `buffer` (memoryview, whole blocks of 512 but for the last)."""
        self._file.write(buffer)
        self.size += len(buffer)

    def commit(self, uid_at, from_line, octets, date):
        """Put the UID where the Received line has room for it; returns when all is on the card."""
        self.mailbox.settle()
        self._file.seek(uid_at)
        self._file.write(b"%08x" % self.mailbox.index.next_uid)
        self._file.flush()
        self._file.close()
        self._file = None
        self.mailbox.index.append(self._number, from_line, 0, 0, self.size, octets, date)
        self.mailbox._writing.remove(self._number)

    def abort(self):
        """Free what was written. Never raises: a leftover is discarded at the next start."""
        self.mailbox._writing.remove(self._number)
        try:
            if self._file:
                self._file.close()
                self._file = None
            os.remove(segment.path_of(self.mailbox.path, self._number))
        except OSError:
            pass
