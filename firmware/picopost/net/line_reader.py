"""Command lines from a connection, in the session's one receive buffer.

Bounded before buffered: a line longer than its limit is drained without being kept. What the
client sent ahead (RFC 2920 pipelining) stays in the buffer between `start` and `end`.
"""

TOO_LONG = b"\xff too long"  # compared by identity: no wire can send this very object


class LineReader:
    """`start` and `end` bound the octets that have come and are not used yet."""

    def __init__(self, connection, buffer):
        self._connection = connection
        self.buffer = buffer
        self._view = memoryview(buffer)
        self.start = 0
        self.end = 0

    def has_line(self):
        """Whether the next `readline` answers without waiting."""
        return self.buffer.find(b"\n", self.start, self.end) >= 0

    async def readline(self, limit):
        """The next line without its end (CRLF, or LF alone as simple devices send it).

        TOO_LONG (compare with `is`) for a line of more than `limit` octets, which has been
        drained; None at the end of the stream, an unfinished line included.
        """
        draining = False
        while True:
            at = self.buffer.find(b"\n", self.start, self.end)
            if at >= 0:
                start, self.start = self.start, at + 1
                if draining or at + 1 - start > limit:
                    return TOO_LONG
                if at > start and self.buffer[at - 1] == 13:
                    at -= 1
                return bytes(self._view[start:at])
            if self.end - self.start >= limit:
                draining = True
            if draining:
                self.start = self.end = 0
            if not await self.fill():
                return None

    async def fill(self):
        """Wait for more octets behind `end`; False at the end of the stream."""
        if self.start:
            rest = self.end - self.start
            if rest:
                self._view[:rest] = self._view[self.start : self.end]
            self.start, self.end = 0, rest
        count = await self._connection.readinto(self._view[self.end :])
        self.end += count
        return count > 0
