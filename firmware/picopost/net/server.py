"""Sessions: a bounded set of them, their buffers, their deadlines, and how each of them ends."""

import asyncio
import errno
import time

from picopost import event_log, limits
from picopost.net.line_reader import LineReader

# The peer went away: news, not a fault. (MicroPython has no name for 32, EPIPE.)
GONE = (errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.ETIMEDOUT, 32)


class Seat:
    """What one session needs, allocated once at start so that no session fragments the heap."""

    def __init__(self):
        self.receive = bytearray(limits.RECEIVE_BUFFER)
        self.block = bytearray(limits.CARD_BLOCK + 8)  # 8: room for what a kernel call overshoots
        self.task = None
        self.deadline = 0


class Channel:
    """A session's connection: lines in, replies out, each wait with its deadline."""

    def __init__(self, connection, seat):
        self.connection = connection
        self.seat = seat
        self.peer = connection.peer
        self.reader = LineReader(self, seat.receive)
        self.read_idle = limits.CLOSING
        self._queued = b""

    def expect(self, milliseconds):
        """From now on the session has this long before its next sign of life."""
        self.seat.deadline = time.ticks_add(time.ticks_ms(), milliseconds)

    async def readinto(self, buffer):
        """Octets from the client, after telling it all that was queued for it."""
        if self._queued:
            await self.flush()
        self.expect(self.read_idle)
        return await self.connection.readinto(buffer)

    async def write(self, buffer):
        """All of `buffer`, after what was queued."""
        if self._queued:
            await self.flush()
        self.expect(limits.WRITE_IDLE)
        await self.connection.write(buffer)

    async def reply(self, reply):
        """A reply; while more commands wait in the buffer it is sent with theirs (RFC 2920)."""
        if self.reader.has_line() and len(self._queued) + len(reply) <= limits.REPLY_QUEUE:
            self._queued += reply
        elif self._queued:
            self._queued += reply
            await self.flush()
        else:
            await self.write(reply)

    async def flush(self):
        """Send what is queued."""
        reply, self._queued = self._queued, b""
        self.expect(limits.WRITE_IDLE)
        await self.connection.write(reply)


class Server:
    """Gives each connection a seat and a session, or a clear refusal."""

    def __init__(self, link):
        self.link = link
        self._free = [Seat() for _ in range(link.max_sessions)]
        self._taken = []

    @property
    def sessions(self):
        return len(self._taken)

    def serve(self, port, service, start, refusal):
        """`start(channel)` makes a session; `refusal` is what one too many is told.

        A session has `run()`, which returns when it is over, `release()`, which frees what it
        still holds, and `farewell(timed_out)`, the last words to a client whose time is up or
        whose session broke.
        """

        async def handle(connection):
            await self._handle(connection, service, start, refusal)

        self.link.serve(port, handle)

    async def _handle(self, connection, service, start, refusal):
        if not self._free:
            event_log.log("refused", peer=connection.peer, service=service,
                          why="all %d sessions are in use" % self.link.max_sessions)
            await self._refuse(connection, refusal)
            return
        seat = self._free.pop()
        self._taken.append(seat)
        seat.task = asyncio.current_task()
        channel = Channel(connection, seat)
        channel.expect(limits.WRITE_IDLE)
        event_log.log("connected", peer=connection.peer, service=service)
        session = None
        try:
            session = start(channel)
            await session.run()
            why = "done"
        except asyncio.CancelledError:
            why = "timeout"
            await self._last_words(channel, session, True)
        except OSError as error:
            if error.errno in GONE:
                why = "gone"
            else:
                why = "fault"
                event_log.fault("fault", error, peer=connection.peer, service=service)
        except Exception as error:
            why = "fault"
            event_log.fault("fault", error, peer=connection.peer, service=service)
            await self._last_words(channel, session, False)
        try:
            if session:
                session.release()
            channel.expect(2 * limits.CLOSING)
            await connection.close()
        except asyncio.CancelledError:
            connection.abort()
        except Exception as error:
            event_log.fault("fault", error, peer=connection.peer, service=service)
            connection.abort()
        finally:
            self._taken.remove(seat)
            seat.task = None
            self._free.append(seat)
            event_log.log("closed", peer=connection.peer, service=service, why=why)

    async def _last_words(self, channel, session, timed_out):
        if session:
            try:
                channel.expect(limits.CLOSING)
                await channel.connection.write(session.farewell(timed_out))
            except (OSError, asyncio.CancelledError):
                pass  # it does not listen any more, and was told what there was to tell

    async def _refuse(self, connection, refusal):
        try:
            await asyncio.wait_for_ms(connection.write(refusal), limits.CLOSING)
        except (OSError, asyncio.TimeoutError):
            pass
        await connection.close()

    async def watch(self):
        """For ever: end the sessions whose deadline has passed."""
        while True:
            await asyncio.sleep_ms(limits.REAPER_PERIOD)
            now = time.ticks_ms()
            for seat in self._taken:
                if seat.task and time.ticks_diff(now, seat.deadline) > 0:
                    # Once; what the session does about it has a deadline of its own.
                    seat.deadline = time.ticks_add(now, limits.CLOSING)
                    seat.task.cancel()
