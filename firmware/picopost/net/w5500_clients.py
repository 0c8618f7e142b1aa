"""Who has which of the W5500's sockets for TCP: a client, or a port that listens.

A SYN that finds no listener is refused, and of several clients that come at once each needs its
own. Where fewer sockets are free than there are ports, the ports served first keep theirs: a client
of another one is refused, and tries again.
"""

import asyncio
import errno
import time

from micropython import const

from picopost import limits
from picopost.net import w5500
from picopost.net.w5500_socket import Connection

FIRST = const(1)  # socket 0 is for datagrams
# RFC 6335 6: ports that are nobody's, for what begins here.
FIRST_DYNAMIC = const(0xC000)
DYNAMIC = const(0x3FFF)


class Clients:
    """Of `link`. `connections`: by the socket's number, a Connection or None; `listening`: likewise
    the port, or 0.
    """

    def __init__(self, link):
        self.connections = [None] * w5500.SOCKETS
        self.listening = [0] * w5500.SOCKETS
        self._link = link
        self._handlers = {}  # port -> handler
        self._ports = []  # in the order served
        self._dynamic = time.ticks_us()  # of which the last bits are the next port

    def serve(self, port, handler):
        """From the next `balance` on: `handler(connection)`, a coroutine, as a task for each client
        of `port`.
        """
        self._handlers[port] = handler
        self._ports.append(port)

    def abort(self):
        """Drop all of them."""
        for connection in self.connections:
            if connection:
                connection.abort()

    def close(self):
        """And listen no more."""
        self._ports = []
        self.abort()

    def look(self, number):
        """At a socket that has no client. OSError, MemoryError: look again later."""
        if self.listening[number]:
            self._look_at_listener(number)
        else:
            self._listen(number)

    def _look_at_listener(self, number):
        status = self._link.chip.look(number).status
        if status in (w5500.ESTABLISHED, w5500.CLOSE_WAIT):
            self._accept(number)
        elif status not in (w5500.LISTENING, w5500.SYN_RECEIVED):
            # A SYN that a RST or nothing followed leaves the socket closed.
            self._listen(number)

    def _listen(self, number):
        """Make a free socket listen where it is wanted most."""
        self.listening[number] = 0
        if self._ports:
            port = self._ports[0]  # which gets what no other one lacks, for bursts of clients
            for other in self._ports:
                if other not in self.listening:
                    port = other
                    break
            self._link.chip.listen(number, port)
            self.listening[number] = port

    def balance(self):
        """Open the free sockets, and let a port that has no listener get one."""
        try:
            for number in range(FIRST, w5500.SOCKETS):
                if not (self.connections[number] or self.listening[number]):
                    self._listen(number)
            while self._move_listener():
                pass
        except (OSError, ValueError):
            pass  # the patrol tries again; ValueError: no port, or nobody listens any more

    def _move_listener(self):
        counts = [self.listening.count(port) for port in self._ports]
        if 0 not in counts:
            return False
        needy = counts.index(0)
        giver = _last_greatest(counts)
        if not counts[giver] or counts[giver] < 2 and giver < needy:
            return False  # there are too few for all; those served first keep theirs
        number = self._last_listener(self._ports[giver])
        if self._link.chip.look(number).status != w5500.LISTENING:
            return False  # it has just got a client
        self._listen(number)
        return True

    def _last_listener(self, port):
        """Of several the last, which gets a client last: a SYN may come before it has moved."""
        number = w5500.SOCKETS - 1
        while self.listening[number] != port:
            number -= 1
        return number

    def _accept(self, number):
        port = self.listening[number]
        connection = Connection(self._link, number, self._link.chip.peer(), port)
        asyncio.create_task(self._session(connection, self._handlers[port]))
        self.connections[number] = connection
        self.listening[number] = 0
        self.balance()

    async def _session(self, connection, handler):
        try:
            await handler(connection)
        finally:
            connection.abort()  # does nothing after close(); a socket must not get lost

    def release(self, number):
        """A connection is done with its socket, which listens again. Raises nothing."""
        self.connections[number] = None
        try:
            self._link.chip.close(number)
            self._listen(number)
        except OSError:
            pass  # the patrol tries again

    async def connect(self, address, port, timeout):
        """As Link.connect."""
        number = 0

        def found():
            nonlocal number
            number = self._spare()
            return number

        link = self._link
        if not await link.until(found, limits.CONNECT_ROOM):
            raise OSError(errno.ENOMEM, "clients have all sockets of the W5500")
        chip = link.chip
        connection = Connection(link, number, address, 0)
        self.listening[number] = 0
        self.connections[number] = connection
        try:
            self._dynamic += 1
            chip.connect(number, FIRST_DYNAMIC | self._dynamic & DYNAMIC, w5500.octets(address),
                         port)
            await link.until(lambda: chip.look(number).status != w5500.SYN_SENT, timeout)
            if chip.look(number).status not in (w5500.ESTABLISHED, w5500.CLOSE_WAIT):
                raise OSError(errno.ECONNREFUSED, "nobody answers there")
            return connection
        except BaseException:  # cancelled too
            connection.abort()
            raise

    def _spare(self):
        """A listener's socket that its port can do without, or 0."""
        counts = [self.listening.count(port) for port in self._ports]
        if sum(counts) <= limits.CONNECT_LISTENERS:
            return 0
        number = self._last_listener(self._ports[_last_greatest(counts)])
        return number if self._link.chip.look(number).status == w5500.LISTENING else 0


def _last_greatest(counts):
    greatest = max(counts)
    at = len(counts) - 1
    while counts[at] != greatest:
        at -= 1
    return at
