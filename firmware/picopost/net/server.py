"""Sessions: a bounded set of them, their buffers, who gets one, and how each of them ends."""

import asyncio
import errno
import gc
import time

from picopost import event_log, limits
from picopost.net.channel import Channel

# The peer went away, or the network: news, not a fault. (MicroPython has no name for 32, EPIPE.)
GONE = (errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EHOSTUNREACH,
        32)


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
        channel = None
        why = "fault"
        try:
            self._taken.append(seat)
            seat.peer = connection.peer
            seat.task = asyncio.current_task()
            channel = Channel(connection, seat, self._shared)
            why = await self._session(channel, service)
        finally:
            # Whatever happened, the seat is free again and the connection gone.
            if seat in self._taken:
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
        except Exception as error:  # the heap has no room for the last words
            _tell_of(error, channel, service)
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
