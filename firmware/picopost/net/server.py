"""Sessions: a bounded set of them, their buffers, their deadlines, and how each of them ends."""

import asyncio
import errno
import gc
import time

from micropython import const

from picopost import event_log, limits
from picopost.net.line_reader import LineReader

# The peer went away, or the network: news, not a fault. (MicroPython has no name for 32, EPIPE.)
GONE = (errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EHOSTUNREACH,
        32)
# Ticks tell no more than 2**29 ms ahead.
_MOST_SECONDS = const(500_000)


class Seat:
    """What one session needs, allocated once at start so that no session fragments the heap."""

    def __init__(self):
        self.receive = bytearray(limits.RECEIVE_BUFFER)
        self.block = bytearray(limits.CARD_BLOCK + 8)  # 8: room for what a kernel call overshoots
        self.free()

    def free(self):
        """Nobody sits here."""
        self.task = None
        self.peer = ""
        self.deadline = 0
        self.secured = None  # the session's TLS connection
        self.listening = False  # for its next command
        self.worked = 0  # ticks of the last thing that it did
        self.known = False  # it has logged in, or sent a letter

    def is_due(self, now):
        """Whether its session has to end: its time is up, or it idles in the room that TLS needs
        for others.
        """
        if not self.task:
            return False
        if time.ticks_diff(now, self.deadline) > 0:
            return True
        if self.secured is None or not self.listening or not self.secured.is_wanted():
            return False
        patience = limits.TLS_IDLE if self.known else limits.TLS_STRANGER_IDLE
        return time.ticks_diff(now, self.worked) > patience


class Channel:
    """A session's connection: lines in, replies out, each wait with its deadline.

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


def _tell_of(error, channel, service):
    """Log a fault. Never raises: what the session holds is still to be freed."""
    try:
        event_log.fault("fault", error, peer=channel.peer, service=service.name)
    except Exception:
        pass  # no room in the heap even for a line


class Server:
    """Gives each connection a seat and a session, at once or after a while, or a clear refusal.

    `identity` is the one for TLS, or None.
    """

    def __init__(self, link, identity=None):
        self.link = link
        self._identity = identity
        self._bulk = None  # what sessions share, from when one wants it until one ends
        self._free = [Seat() for _ in range(link.max_sessions)]
        self._taken = []
        self._waiting = []  # connections, the first to come first
        self._refusing = 0

    def _shared(self):
        if self._bulk is None and self.link.likes_bulk:
            gc.collect()
            if gc.mem_free() >= limits.BULK_BUFFER + limits.HEAP_SCALE * limits.BULK_OTHERS:
                try:
                    self._bulk = bytearray(limits.BULK_BUFFER)
                except MemoryError:
                    pass  # in no one piece
        return self._bulk

    @property
    def sessions(self):
        return len(self._taken)

    @property
    def waiting(self):
        return len(self._waiting)

    @property
    def at_work(self):
        """Whether some session does more than wait for its client's next command."""
        return any([not seat.listening for seat in self._taken])

    def serve(self, port, service):
        """Offer a service, a listener.Listener, on a port."""

        async def handle(connection):
            try:
                await self._handle(connection, service)
            finally:
                connection.abort()  # the heap may have had no room to begin with

        self.link.serve(port, handle)

    def _refusal(self, connection, service):
        refusal = service.refusal(connection)
        if refusal:
            return refusal
        most = service.sessions(connection.peer)
        if sum([each.peer == connection.peer for each in self._taken + self._waiting]) >= most:
            return (service.crowded, "its address has %d sessions already: see the settings "
                    "sessions_per_address and clients" % most)
        if not self._free or self._waiting:
            if len(self._waiting) == self.link.max_waiting:
                return service.busy, "all sessions are in use, and %d wait" % len(self._waiting)
        return None

    async def _seat(self, connection):
        """A free seat as soon as it is this connection's turn; None when that takes too long."""
        waiting = self._waiting
        waiting.append(connection)
        try:
            began = time.ticks_ms()
            waited = 0
            while not self._free or waiting[0] is not connection:
                if waited > limits.SEAT_WAIT:
                    return None
                await asyncio.sleep_ms(limits.SEAT_LOOK)
                waited = time.ticks_diff(time.ticks_ms(), began)
            return self._free.pop()
        finally:
            waiting.remove(connection)

    async def _handle(self, connection, service):
        refusal = self._refusal(connection, service)
        seat = None if refusal else await self._seat(connection)
        if not seat:
            words, why = refusal or (service.busy, "all sessions were in use for too long")
            event_log.log("refused", peer=connection.peer, service=service.name, why=why)
            await self._refuse(connection, words)
            return
        self._taken.append(seat)
        channel = None
        why = "fault"
        try:
            seat.peer = connection.peer
            seat.task = asyncio.current_task()
            channel = Channel(connection, seat, self._shared)
            why = await self._session(channel, service)
        finally:
            # Whatever happened, the seat is free again and the connection gone.
            self._taken.remove(seat)
            seat.free()
            self._free.append(seat)
            if channel:
                channel.connection.abort()  # the one in TLS
            event_log.log("closed", peer=connection.peer, service=service.name, why=why)
            self._bulk = None

    async def _session(self, channel, service):
        """One session from its first word to the end of its connection; how it ended, in a word."""
        peer = channel.peer
        channel.expect(limits.WRITE_IDLE)
        event_log.log("connected", peer=peer, service=service.name)
        session = None
        try:
            session = service.start(channel)
            await session.run()
            why = "done"
        except asyncio.CancelledError:
            why = "timeout"
            await self._last_words(channel, service, session, True)
        except OSError as error:
            if error.errno in GONE:
                why = "gone"
            else:
                why = "fault"
                _tell_of(error, channel, service)
        except Exception as error:
            why = "fault"
            _tell_of(error, channel, service)
            await self._last_words(channel, service, session, False)
        try:
            if session:
                session.release()
            channel.expect(2 * limits.CLOSING)
            await channel.connection.close()
        except asyncio.CancelledError:
            pass  # its time is up: it is aborted
        except Exception as error:
            _tell_of(error, channel, service)
        return why

    async def _last_words(self, channel, service, session, timed_out):
        if session:
            try:
                channel.expect(limits.CLOSING)
                words = session.farewell(timed_out)
                if words:
                    await channel.connection.write(words)
            except (OSError, asyncio.CancelledError):
                pass  # it does not listen any more, and was told what there was to tell
            except Exception as error:  # the heap is full: what the session holds is still to free
                _tell_of(error, channel, service)

    async def _refuse(self, connection, refusal):
        if self._refusing == limits.MAX_REFUSALS:
            connection.abort()
            return
        self._refusing += 1
        try:
            await asyncio.wait_for_ms(connection.write(refusal), limits.CLOSING)
        except (OSError, asyncio.TimeoutError):
            pass  # it does not listen; it will see the end
        finally:
            await connection.close()
            self._refusing -= 1

    async def watch(self):
        """For ever: end the sessions that have to."""
        while True:
            await asyncio.sleep_ms(limits.REAPER_PERIOD)
            if self._identity:
                self._identity.keep_ready()
            now = time.ticks_ms()
            for seat in self._taken:
                if seat.is_due(now):
                    # Once; what the session does about it has a deadline of its own.
                    seat.deadline = time.ticks_add(now, limits.CLOSING)
                    seat.listening = False
                    seat.task.cancel()
