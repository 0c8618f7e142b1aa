"""Command lines from a connection, in the session's one receive buffer.

Bounded before buffered: a line longer than its limit is drained without being kept. What the
client sent ahead (RFC 2920 pipelining) stays in the buffer between `start` and `end`.
"""

from micropython import const

# Compared by identity: no wire can send these very objects.
TOO_LONG = b"\xff too long"
CLIENT_HELLO = b"\x16 TLS"

_HEAD = const(16)  # octets of a line that is too long, for who must know what it was
_HANDSHAKE = const(0x16)  # TLS' content type of a ClientHello (RFC 8446 5.1); begins no command


class LineReader:
    """`channel` is the server.Channel that it reads from. `start` and `end` bound the octets that
    have come and are not used yet.

    `bare`: the last line ended in LF alone. `head`: the first octets of the last TOO_LONG one.
    """

    def __init__(self, channel, buffer):
        self._channel = channel
        self.buffer = buffer
        self._view = memoryview(buffer)
        self.start = 0
        self.end = 0
        self.bare = False
        self.head = b""

    def has_line(self):
        """Whether the next `readline` answers without waiting."""
        return self.buffer.find(b"\n", self.start, self.end) >= 0

    async def readline(self, limit):
        """The next line without its end (CRLF, or LF alone as simple devices send it).

        TOO_LONG (compare with `is`) for a line of more than `limit` octets, which has been
        drained; CLIENT_HELLO where TLS begins instead of a line; None at the end of the stream,
        an unfinished line included.
        """
        draining = False
        while True:
            if self.end > self.start and self.buffer[self.start] == _HANDSHAKE and not draining:
                return CLIENT_HELLO
            at = self.buffer.find(b"\n", self.start, self.end)
            if at >= 0:
                start, self.start = self.start, at + 1
                if draining:
                    return TOO_LONG
                if at + 1 - start > limit:
                    self.head = bytes(self._view[start : start + _HEAD])
                    return TOO_LONG
                self.bare = at == start or self.buffer[at - 1] != 13
                if not self.bare:
                    at -= 1
                return bytes(self._view[start:at])
            if self.end - self.start >= limit and not draining:
                draining = True
                self.head = bytes(self._view[self.start : self.start + _HEAD])
            if draining:
                self.start = self.end = 0
            if not await self.fill():
                return None

    def discard(self):
        """Forget what has come and is not used yet."""
        self.start = self.end = 0

    def room(self):
        """Make room behind `end`, and return it: a memoryview for octets from the wire."""
        rest = self.end - self.start
        if rest and self.start:
            self._view[:rest] = self._view[self.start : self.end]
        self.start = 0
        self.end = rest
        return self._view[rest:] if rest else self._view

    async def fill(self):
        """Wait for more octets behind `end`, after telling the client all that was queued for it;
        False at the end of the stream.
        """
        channel = self._channel
        if channel.queued:
            await channel.flush()
        while True:
            count = channel.read_ahead()
            if count is not None:
                if channel.had_its_turn():  # a stream that never runs dry starves nobody
                    await channel.give_way()
                return count > 0
            await channel.wait_readable()
