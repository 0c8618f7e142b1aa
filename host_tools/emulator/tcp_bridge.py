"""One TCP connection of an emulated chip, carried by a non-blocking socket on loopback.

The kernel's buffers are kept small, so that a chip feels a peer that does not read, and a peer
one whose receive memory is full, after a few KB as on a LAN.
"""

from __future__ import annotations

import fcntl
import selectors
import socket
import struct
import termios
from collections.abc import Callable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

# Linux doubles it: window and queue are 8 KB each. Echo of 4 MB in 2 KB steps: 61 MB/s here.
_BUFFER = 4096
# Ethernet's. Loopback's own (64 KB) would be larger than the window, which then opens in jerks.
_SEGMENT = 1460


def tcp_socket() -> socket.socket:
    """A non-blocking socket with the LAN's small buffers; a listener hands them on."""
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    endpoint.setblocking(False)
    return endpoint


class Connection:
    """What the chip sees of one peer. `address` (4 octets) and `port` are the LAN's.

    `on_event(events)` is called from the LAN's poll() while `want()` asks for it. Nothing moves
    while the link is down, nor ever again once the peer is `lost` (it vanished without FIN).
    """

    def __init__(self, selector: selectors.BaseSelector, link_up: Callable[[], bool],
                 endpoint: socket.socket, address: bytes, port: int):
        self.address = address
        self.port = port
        self.lost = False
        self.on_event: Callable[[int], None] = lambda events: None
        self._selector = selector
        self._link_up = link_up
        self._socket = endpoint
        self._wanted = 0
        self._watched = 0
        self._finished = False
        endpoint.setblocking(False)
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def carries(self) -> bool:
        """False while nothing can pass: link down, or the peer is lost."""
        return self._link_up() and not self.lost

    @property
    def watched(self) -> bool:
        """Whether news of the peer will come by itself, as an event."""
        return bool(self._watched)

    def want(self, events: int) -> None:
        """Ask for READ and WRITE events; 0 for none, so that poll() finds no work in vain."""
        self._wanted = events
        self._watch()

    def link_changed(self) -> None:
        """The cable was plugged in or out."""
        self._watch()

    def vanish(self) -> None:
        """The peer is gone without a word."""
        self.lost = True
        self._watch()

    def _watch(self) -> None:
        events = self._wanted if self.carries else 0
        if events == self._watched:
            return
        if not self._watched:
            self._selector.register(self._socket, events, self._dispatch)
        elif events:
            self._selector.modify(self._socket, events, self._dispatch)
        else:
            self._selector.unregister(self._socket)
        self._watched = events

    def _dispatch(self, events: int) -> None:
        if self._watched:  # another connection's event may have ended this one
            self.on_event(events)

    def check(self) -> None:
        """Raises ConnectionError when the peer has reset the connection."""
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self.carries else 0
        if error:
            raise ConnectionResetError(error, "reset by peer")

    def receive(self, room: int) -> bytes | None:
        """Up to `room` octets; b"" for the peer's FIN, None for nothing now.

        Raises ConnectionError for its RST.
        """
        return self._receive(room, 0)

    def peek(self) -> bytes | None:
        """As receive(1), but the octet stays: for a chip with no room left."""
        return self._receive(1, socket.MSG_PEEK)

    def _receive(self, room: int, flags: int) -> bytes | None:
        if not self.carries:
            return None
        try:
            return self._socket.recv(room, flags)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ConnectionResetError(*error.args) from error

    def send(self, parts: list[memoryview]) -> int:
        """How many octets of `parts` the peer's side took. Raises ConnectionError at its RST."""
        if not parts or not self.carries:
            return 0
        try:
            return self._socket.sendmsg(parts)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionResetError(*error.args) from error

    def finish(self) -> None:
        """Send FIN; call it while `carries`. Raises ConnectionError when there is no peer."""
        self._finished = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionResetError(*error.args) from error

    def drop(self) -> None:
        """Forget the connection. The peer gets a RST unless it had our FIN.

        What the chip saw acknowledged still arrives: with octets on the way the kernel delivers
        them and ends with FIN instead.
        """
        self.want(0)
        if not self._finished and self._octets_on_the_way() == 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _octets_on_the_way(self) -> int:
        try:
            answer = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return -1  # not known on this system
        return struct.unpack("i", answer)[0]
