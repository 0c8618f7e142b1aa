"""The link of boards with lwIP: the Pico W's radio, and sockets that the image brings along."""

import asyncio
import errno
import socket
import time
from asyncio import core
from micropython import const

import network

from picopost import event_log, limits

_TCP = const(6)
_TCP_NODELAY = const(1)
_BACKLOG = const(8)  # all that come at once get a seat, wait for one, or hear why not
# WLAN.status() of the rp2 port.
_FAILURES = {-1: "the connection failed", -2: "no such network", -3: "wrong password"}


def _readable(sock):
    yield core._io_queue.queue_read(sock)


def _writable(sock):
    yield core._io_queue.queue_write(sock)


def _dotted(address):
    """The IPv4 address that accept() gave: a tuple on a board, a packed sockaddr in the VM."""
    if isinstance(address, tuple):
        return address[0]
    return "%d.%d.%d.%d" % tuple(address[4:8])


class Connection:
    """A TCP connection; same contract as wiznet's."""

    piece = limits.BULK_BUFFER  # lwIP has room for 11,680 octets to send

    def __init__(self, sock, peer, local_port):
        self.peer = peer
        self.local_port = local_port
        self._socket = sock
        sock.setblocking(False)
        sock.setsockopt(_TCP, _TCP_NODELAY, 1)

    def read_now(self, buf):
        """One to len(buf) octets; 0 at the end of the stream, None when nothing is there. OSError
        when the peer vanished.
        """
        return self._socket.readinto(buf)

    def write_now(self, buf):
        """Octets taken of `buf`; None when there is no room for any. OSError as `write`."""
        return self._socket.write(buf)

    def wait_readable(self):
        """Awaitable: until `read_now` is worth a try."""
        return _readable(self._socket)

    def wait_writable(self):
        """Awaitable: until `write_now` is worth a try."""
        return _writable(self._socket)

    async def write(self, buf):
        """All of `buf`, at the peer's pace. OSError when it vanished."""
        sent = self.write_now(buf) or 0
        if sent < len(buf):
            view = memoryview(buf)
            while sent < len(buf):
                await _writable(self._socket)
                sent += self.write_now(view[sent:]) or 0
        else:
            await asyncio.sleep_ms(0)  # nobody waits for one fast reader

    async def close(self):
        """Orderly: TCP sends on what was written. Never raises."""
        self.abort()

    def abort(self):
        """At once."""
        self._socket.close()


class Link:
    """`settings["wifi"]` says which network; lwIP's listeners survive its loss and return."""

    max_sessions = limits.WIFI_SESSIONS
    max_waiting = limits.WIFI_WAITING
    likes_bulk = True

    def __init__(self, board, settings):
        self.address = ""
        self._settings = settings
        self._wlan = network.WLAN(network.STA_IF)
        self._listeners = []

    async def up(self):
        """Join the network. OSError, which says why, when it is not to be joined now."""
        wlan = self._wlan
        wlan.active(True)
        static = self._settings["address"]
        if static != "dhcp":
            wlan.ifconfig((static["address"], static["netmask"], static["gateway"],
                           static["dns"]))
        wifi = self._settings["wifi"] or {"ssid": "", "password": ""}
        wlan.connect(wifi["ssid"], wifi["password"])
        deadline = time.ticks_add(time.ticks_ms(), limits.JOIN_TIME)
        while not wlan.isconnected():
            status = wlan.status()
            if status < 0 or time.ticks_diff(deadline, time.ticks_ms()) < 0:
                raise OSError(errno.ETIMEDOUT, "Wi-Fi %r: %s"
                              % (wifi["ssid"], _FAILURES.get(status, "not joined in time")))
            await asyncio.sleep_ms(50)
        self.address = wlan.ifconfig()[0]

    def serve(self, port, handler):
        """Listen on `port`; `handler(connection)` runs as a task for each client."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._listeners.append(listener)
        asyncio.create_task(self._accept(listener, port, handler))

    async def _accept(self, listener, port, handler):
        while True:
            await _readable(listener)
            sock = None
            try:
                sock, address = listener.accept()
                asyncio.create_task(handler(Connection(sock, _dotted(address), port)))
            except (OSError, MemoryError) as error:
                # The client left again, or lwIP or the heap is out of room: the others go on.
                if sock:
                    sock.close()
                event_log.log("accept_failed", port=port, error=str(error))
                await asyncio.sleep_ms(50)

    async def run(self):
        """For ever: join again when the network is lost."""
        while True:
            await asyncio.sleep_ms(limits.LINK_RETRY)
            if not self._wlan.isconnected():
                event_log.log("link_down")
                while not self._wlan.isconnected():
                    try:
                        await self.up()
                    except OSError as error:
                        event_log.log("link_failed", error=str(error))
                        await asyncio.sleep_ms(limits.LINK_RETRY)
                event_log.log("link_up", address=self.address)

    def close(self):
        """Stop listening."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
