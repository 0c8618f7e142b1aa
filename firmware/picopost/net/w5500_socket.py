"""One TCP connection on a W5500 socket, as an asyncio stream that buffers nothing itself."""

import asyncio
import errno
import time

from micropython import const

from picopost import limits
from picopost.net import w5500

_SHORTEST_WAIT = const(1)  # ms between two looks while closing; doubles up to the longest
_LONGEST_WAIT = const(16)


class Connection:
    """A client that the link accepted. Made by the link only.

    `peer` is the client's address as text, `local_port` the port that it came to. One task may
    read while another writes. A cancelled call leaves the connection usable.
    """

    def __init__(self, link, number, peer, local_port):
        self.peer = peer
        self.local_port = local_port
        self._link = link
        self._chip = link.chip
        self._number = number  # of the chip's socket; None once it has been given back
        self._news = asyncio.Event()

    def wake(self):
        """The link saw news of this socket: whoever waits shall look again."""
        self._news.set()

    def read_now(self, buf):
        """Read 1 to len(buf) octets into `buf`, as many as are there; 0 at the end of the stream,
        None when nothing is there.

        Raises OSError: ECONNRESET when the peer vanished, ENOTCONN after close().
        """
        chip = self._chip
        count = chip.receive(self._open_number(), buf)
        if count:
            return count
        status = chip.registers.status
        if status == w5500.CLOSE_WAIT:
            return 0
        self._check(status)
        self._news.clear()  # here, not before the wait: news of in between must not get lost
        return None

    def write_now(self, buf):
        """Octets taken of `buf`, which is not empty; None when there is no room for any.

        Raises OSError as `write` does.
        """
        return self._send(buf, 0)

    def _send(self, buf, start):
        count = self._chip.send(self._open_number(), buf, start)
        if count:
            self._link.quiet = 0
            return count
        self._check(self._chip.registers.status)
        self._news.clear()
        return None

    def wait_readable(self):
        """Awaitable: until `read_now`, which has just returned None, is worth another try."""
        return self._news.wait()

    def wait_writable(self):
        """Awaitable: until `write_now`, which has just returned None, is worth another try."""
        # The chip reports no room that grows: the link wakes those who want some at its next poll.
        self._link.room_wanted |= 1 << self._open_number()
        return self._news.wait()

    async def write(self, buf):
        """Send all of `buf`; returns when the chip has its last octet, not when the peer has.

        Raises OSError: ECONNRESET when the peer vanished, ENOTCONN after close().
        """
        done = 0
        while done < len(buf):
            count = self._send(buf, done)
            if count:
                done += count
                await asyncio.sleep_ms(0)
            else:
                await self.wait_writable()

    def _open_number(self):
        if self._number is None:
            raise OSError(errno.ENOTCONN)
        return self._number

    def _check(self, status):
        if status not in (w5500.ESTABLISHED, w5500.CLOSE_WAIT):
            raise OSError(errno.ECONNRESET)

    async def close(self):
        """Deliver what was written, say FIN, wait for the peer's, free the socket.

        Takes limits.LINGER at most; then, and when cancelled, it ends as abort() does.
        """
        if self._number is None:
            return
        deadline = time.ticks_add(time.ticks_ms(), limits.LINGER)
        try:
            # DISCON does not wait for data, so all must be acknowledged before it.
            if await self._until(self._chip.sent, deadline):
                self._chip.disconnect(self._number)
                await self._until(self._chip.closed, deadline)
        except OSError:
            pass  # the chip does not answer; its socket is given up below like any other
        finally:
            self.abort()

    async def _until(self, done, deadline):
        wait = _SHORTEST_WAIT
        while not done(self._number):
            if time.ticks_diff(deadline, time.ticks_ms()) <= 0:
                return False
            await asyncio.sleep_ms(wait)
            if self._number is None:  # aborted meanwhile
                return False
            wait = min(2 * wait, _LONGEST_WAIT)
        return True

    def abort(self):
        """Free the socket at once: what was not yet sent is lost. Raises nothing."""
        if self._number is not None:
            number, self._number = self._number, None
            self._news.set()  # another task that waits finds it closed
            self._link.clients.release(number)
