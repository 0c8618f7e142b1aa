"""What a session reads and writes through: command lines in, replies out, each with its deadline.

Bounded before buffered: a line longer than its limit is drained without being kept. What the
client sent ahead (RFC 2920 pipelining) stays in the session's one receive buffer.
"""

import asyncio
import time

from micropython import const

from picopost import limits

# Compared by identity: no wire can send these very objects.
TOO_LONG = b"\xff too long"
CLIENT_HELLO = b"\x16 TLS"

_HEAD = const(16)  # octets of a line that is too long, for who must know what it was
_HANDSHAKE = const(0x16)  # TLS' content type of a ClientHello (RFC 8446 5.1); begins no command
# Ticks tell no more than 2**29 ms ahead.
_MOST_SECONDS = const(500_000)


class LineReader:
    """Command lines from `channel`, a Channel. `start` and `end` bound the octets that have come
    and are not used yet.

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


class Channel:
    """A session's connection, and the deadline of each wait, which its `seat` (server.Seat) has.

    `handshaking`: in a TLS handshake, so nothing can be said. `queued`: replies that wait for those
    to the commands behind (RFC 2920). `bulk()` is a buffer of BULK_BUFFER octets that all sessions
    share, up to the next await of each, or None where the link would not profit from it or the
    heap has no room for it now.
    """

    def __init__(self, connection, seat, bulk):
        self.connection = connection
        self.seat = seat
        self.bulk = bulk
        self.peer = connection.peer
        self.reader = LineReader(self, seat.receive)
        self.handshaking = False
        self._turn = 0  # ticks of its last turn's beginning
        self._read_by = 0
        self._write_by = None
        self.queued = b""
        self.work()

    def work(self):
        """The session did something; who only keeps a connection open does not call it."""
        self.seat.worked = time.ticks_ms()

    def idle(self):
        """Milliseconds since the last `work`."""
        return time.ticks_diff(time.ticks_ms(), self.seat.worked)

    def expect(self, milliseconds):
        """From now on the session has this long before its next sign of life."""
        self.seat.deadline = time.ticks_add(time.ticks_ms(), milliseconds)

    def read_within(self, milliseconds):
        """All reading from now on has this long together, until it is said again."""
        self._read_by = time.ticks_add(time.ticks_ms(), milliseconds)

    def write_within(self, octets):
        """So many octets are to be written before the next command, in a time that every honest
        client does with.
        """
        self._write_by = time.ticks_add(
            time.ticks_ms(),
            limits.WRITE_IDLE + min(octets >> limits.TEXT_RATE_BITS, _MOST_SECONDS) * 1000)

    def piece(self):
        """Octets that the connection likes to be given at once; with more than a CARD_BLOCK it has
        a `write_now` that is worth a try at any time.
        """
        return getattr(self.connection, "piece", limits.WIZNET_PIECE)

    async def readline(self, limit, milliseconds):
        """LineReader.readline, the whole line within this time: who drips gains nothing."""
        self.read_within(milliseconds)
        self._write_by = None
        self.seat.listening = True
        line = await self.reader.readline(limit)
        self.seat.listening = False
        return line

    def had_its_turn(self):
        """Whether the session has kept the loop to itself for long enough, or others had it: then
        it lets them run. Where it seldom waits it asks this now and then.
        """
        now = time.ticks_ms()
        if time.ticks_diff(now, self._turn) < limits.TURN:
            return False
        self._turn = now
        return True

    async def give_way(self):
        """Let others run, in the time that reading has."""
        self.seat.deadline = self._read_by
        await asyncio.sleep_ms(0)

    def read_ahead(self):
        """Octets that have come already go to the reader; how many. 0 at the end of the stream,
        None when nothing is there.
        """
        count = self.connection.read_now(self.reader.room())
        if count:
            self.reader.end += count
        return count

    async def wait_readable(self):
        """Until `read_ahead` is worth a try."""
        self.seat.deadline = self._read_by
        await self.connection.wait_readable()

    async def start_tls(self, identity, go_ahead=b""):
        """From now on all goes through TLS, once the client has been told `go_ahead`; without it
        TLS is what the client begins with (RFC 8314 3.3).

        What came before in the clear is thrown away (RFC 3207 4.2, RFC 2595 4): a stranger on the
        path could have put it there. Raises Busy while nothing has been said, another TlsError
        when the handshake failed.
        """
        if not go_ahead:
            # Who says nothing takes a seat, but no room that others in TLS need.
            self.expect(limits.TLS_HELLO)
            self.handshaking = True
            await self.connection.wait_readable()
            self.handshaking = False
        self.expect(limits.TLS_WAIT + limits.WRITE_IDLE)
        secured = await identity.admit(self.connection)
        if go_ahead:
            try:
                await self.write(go_ahead)
            except BaseException:  # cancelled too: nobody else knows of its room
                secured.abort()
                raise
        self.connection = self.seat.secured = secured
        self.reader.discard()
        self.expect(limits.TLS_HANDSHAKE)
        self.handshaking = True
        await secured.handshake()
        self.handshaking = False
        self.work()

    async def write(self, buffer):
        """All of `buffer`, after what was queued."""
        if self.queued:
            await self.flush()
        self.expect_taken()
        await self.connection.write(buffer)

    def write_now(self, buffer):
        """Octets taken of `buffer` without waiting, after what was queued; 0 where something has
        to wait. For connections whose piece() is large; `expect_taken` comes before the next await.
        """
        return 0 if self.queued else self.connection.write_now(buffer) or 0

    def expect_taken(self):
        """From now on the session has as long as one piece may take, or all that it writes."""
        self.expect(limits.WRITE_IDLE)
        if (self._write_by is not None
                and time.ticks_diff(self._write_by, self.seat.deadline) < 0):
            self.seat.deadline = self._write_by

    async def reply(self, reply):
        """A reply; while more commands wait in the buffer it is sent with theirs (RFC 2920)."""
        if self.reader.has_line() and len(self.queued) + len(reply) <= limits.REPLY_QUEUE:
            self.queued += reply
        elif self.queued:
            self.queued += reply
            await self.flush()
        else:
            await self.write(reply)

    async def flush(self):
        """Send what is queued."""
        reply, self.queued = self.queued, b""
        self.expect(limits.WRITE_IDLE)
        await self.connection.write(reply)
