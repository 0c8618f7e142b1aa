"""A POP3 session's view of a mailbox: a snapshot, numbered from 1 (RFC 1939 section 5).

Constant memory: message numbers are found from checkpoints in the index, one for every 64
messages, and marks of deletion are a bitmap. What arrives after the snapshot is not in it.
"""

from array import array
from micropython import const

from picopost.store import index as index_file
from picopost.store import segment

_STRIDE = const(64)
# Records that a commit walks between two turns of the loop: some 20 ms on an RP2040.
_WALK = const(128)
_HEX = b"0123456789abcdef"


class Maildrop:
    """Messages 1 to `count` as they were when it was opened. Card faults raise OSError.

    count, octets            of all messages in the snapshot
    live_count, live_octets  without those marked as deleted
    """

    def __init__(self, mailbox):
        self.mailbox = mailbox
        self._index = mailbox.index
        self._checkpoints = array("H")
        self._prefix = b"%08x." % mailbox.index.uid_validity
        self.count = 0
        self.octets = 0
        self._last_number = 0
        self._last_slot = -1
        self._file = None
        self._file_segment = -1
        self._file_size = 0

    async def open(self, pause):
        """Number the messages; `await pause()` is called now and then, so that others run."""
        index = self._index
        self.mailbox.settle()
        live, octets = index.live, index.octets
        for slot in range(index.slots):
            if slot & 63 == 63:
                await pause()
            base = index.load(slot)
            words = index.words()
            if words[base] & 0xFF != index_file.DELETED:
                if self.count % _STRIDE == 0:
                    self._checkpoints.append(slot)
                self.count += 1
                self.octets += words[base + index_file.OCTETS]
        self._marks = bytearray((self.count + 7) // 8)
        # What a failed deletion left uncertain is certain now; mail that came meanwhile counts on.
        index.correct(self.count - live, self.octets - octets)
        self.live_count = self.count
        self.live_octets = self.octets

    def slot_of(self, number):
        """The index slot of message `number`, 1 to count."""
        slot, at = self._last_slot, self._last_number
        if not at <= number < at + _STRIDE or at == 0:
            at = (number - 1) // _STRIDE * _STRIDE + 1
            slot = self._checkpoints[(number - 1) // _STRIDE]
        while at < number:
            slot += 1
            if self._index.is_live(slot):
                at += 1
        self._last_number = number
        self._last_slot = slot
        return slot

    def octets_of(self, number):
        """Size of message `number` in octets, as RETR sends it before dot-stuffing."""
        base = self._index.checked(self.slot_of(number))
        return self._index.words()[base + index_file.OCTETS]

    def put_uid(self, number, buffer, at):
        """Write its unique-id (RFC 1939 section 7) at `at`; returns the end, 17 octets on.

        It is the same for as long as the mailbox exists. Nothing is allocated.
        """
        base = self._index.checked(self.slot_of(number))
        uid = self._index.words()[base + index_file.UID]
        buffer[at : at + 9] = self._prefix
        end = at + 17
        for i in range(1, 9):
            buffer[end - i] = _HEX[uid & 15]
            uid >>= 4
        return end

    def is_deleted(self, number):
        """Whether this session marked it."""
        number -= 1
        return bool(self._marks[number >> 3] & 1 << (number & 7))

    def delete(self, number):
        """Mark it; only `commit` deletes."""
        size = self.octets_of(number)
        number -= 1
        self._marks[number >> 3] |= 1 << (number & 7)
        self.live_count -= 1
        self.live_octets -= size

    def reset(self):
        """Take all marks back."""
        for i in range(len(self._marks)):
            self._marks[i] = 0
        self.live_count = self.count
        self.live_octets = self.octets

    def open_message(self, number):
        """(file, octets on card) of the message's text; the file stands behind its From_ line.

        The file stays the maildrop's, for the next message of its segment, until `close`. Raises
        OSError when the segment is gone or shorter than the message's record says.
        """
        base = self._index.checked(self.slot_of(number))
        words = self._index.words()
        where = words[base + index_file.WHERE]
        offset = words[base + index_file.OFFSET]
        size = words[base + index_file.SIZE]
        from_line = index_file.from_line_of(where)
        self._open_segment(index_file.segment_of(where), offset + size)
        self._file.seek(offset + from_line)
        # The blank line behind it is mbox, not message.
        ended = not index_file.attributes_of(where) & index_file.UNENDED
        return self._file, size - from_line - ended

    def _open_segment(self, number, size):
        if number == self._file_segment and size <= self._file_size:
            return
        self.close()
        self._file = open(segment.path_of(self.mailbox.path, number), "rb")
        self._file_size = self._file.seek(0, 2)
        if self._file_size < size:
            raise OSError(5)
        self._file_segment = number

    def close(self):
        """Let go of the file that the last message stood in. Never raises."""
        file, self._file = self._file, None
        self._file_segment = -1
        if file:
            try:
                file.close()
            except OSError:
                pass  # it was only read

    async def commit(self, pause):
        """Delete what is marked; when it returns, they cannot come back. Returns how many.

        On OSError some may be gone and some not, as RFC 1939 section 6 allows for UPDATE.
        """
        deleted = 0
        walked = 0
        for at in range(len(self._marks)):
            for number in range(at * 8 + 1, at * 8 + 9 if self._marks[at] else 0):
                if number <= self.count and self.is_deleted(number):
                    self._index.mark_deleted(self.slot_of(number))
                    deleted += 1
            # To find a message takes up to 63 records; to look for marks takes next to nothing.
            # Two octets of marks are a sector of records, where nothing was deleted before.
            walked += _STRIDE if self._marks[at] else 1
            if walked >= _WALK:
                walked = 0
                self._index.write_back()
                await pause()
        if deleted:
            self._index.sync()
        return deleted
