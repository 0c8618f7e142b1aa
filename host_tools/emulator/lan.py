"""What lies behind the emulated chip's cable: a LAN 192.168.77.0/24 made of loopback sockets.

Outside programs reach the chip's TCP port p at 127.0.0.1:(port_offset + p), and only while the
chip listens there. Each is a device of the LAN: 127.0.0.x is seen as 192.168.77.x, so one that
binds to 127.0.0.20 first is 192.168.77.20; 192.168.77.1 is also gateway, DHCP and DNS server. To
the chip its port p is 127.0.0.1:(port_offset + p), so that it reaches servers on this computer.
UDP does not leave the process (a table of handlers by port), but where the chip has joined a
multicast group: that is a real one, on the loopback interface.

No threads and no clock: `poll()` moves what can be moved, when `fileno()` is readable.
`set_link` and `vanish` may be called from another thread; `poll()` completes what they ask.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from host_tools.emulator.dhcp_server import DhcpServer
from host_tools.emulator.multicast import Member
from host_tools.emulator.tcp_bridge import READ, Connection, tcp_socket

NETWORK = bytes((192, 168, 77))
GATEWAY = NETWORK + b"\x01"
DHCP_PORT = 67  # RFC 2131 4.1

# Deeper than a chip has sockets: a SYN that finds no place in the backlog would be dropped and
# sent again after a second, where the chip's answer is either SYN/ACK or RST.
_BACKLOG = 16

_log = logging.getLogger(__name__)


class PortError(OSError):
    """An outside port cannot be had; the text names it and says why."""


class TcpListener(Protocol):
    """A chip's socket in LISTEN."""

    number: int

    def accepted(self, connection: Connection) -> None:
        """A peer's SYN was answered; the socket must call leave() before it returns."""


class Lan:
    """The network of one chip. `outgoing`: (address, port) of the LAN -> host's (address, port),
    beside the gateway's.

    `udp`: destination port -> handler(payload) -> reply payload or None; DHCP is there already.
    `port_error` is None or the PortError of the first port that could not be opened when the
    chip wanted to listen: a front end has to look at it.
    """

    def __init__(self, port_offset: int, host: str = "127.0.0.1", *,
                 outgoing: dict[tuple[str, int], tuple[str, int]] | None = None,
                 dhcp: DhcpServer | None = None):
        self.port_offset = port_offset
        self.host = host
        self.outgoing = outgoing or {}
        self.dhcp = dhcp or DhcpServer()
        self.udp: dict[int, Callable[[bytes], bytes | None]] = {DHCP_PORT: self.dhcp.answer}
        self.link_up = True
        self.port_error: PortError | None = None
        self._selector = selectors.DefaultSelector()
        self._listeners: dict[int, _Listener] = {}
        self._connections: list[Connection] = []
        self._member: Member | None = None
        self._member_heard: Callable[[bytes, int, bytes], None] | None = None
        self._requests: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, READ, self._serve_requests)

    def fileno(self) -> int:
        """Readable when poll() has something to do; for a selector."""
        return self._selector.fileno()

    def poll(self) -> None:
        """Handle what is ready; never blocks."""
        for key, events in self._selector.select(0):
            key.data(events)

    def close(self) -> None:
        """Drop every connection and give all ports and descriptors back."""
        for listener in self._listeners.values():
            listener.shut()
        self._listeners.clear()
        for connection in self._connections:
            connection.drop()
        self._connections.clear()
        if self._member:
            self._member.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # --- for front ends and tests ---------------------------------------------------------

    def claim(self, ports: Iterable[int]) -> None:
        """Try the outside ports of these chip ports. Raises PortError for the first not to be had.

        They are given back at once: a port answers only while the chip listens on it.
        """
        for port in ports:
            self._bind(port).close()

    def outside(self, port: int) -> tuple[str, int]:
        """Where outside programs find the chip's `port`."""
        return self.host, self.port_offset + port

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out. While out nothing moves and nobody listens."""
        self.link_up = up
        self._request(self._switch_link)

    def vanish(self, address: str | None = None) -> None:
        """The device at the LAN's `address` (None: all with a connection) dies without FIN or RST.

        Its connections carry nothing any more; the chip must find out by its own timeouts.
        """
        self._request(lambda: [connection.vanish() for connection in self._connections
                               if address in (None, socket.inet_ntoa(connection.address))])

    # --- for the chip ---------------------------------------------------------------------

    def listen(self, port: int, listener: TcpListener) -> None:
        """`listener` waits for a connection to the chip's `port`, beside others that do."""
        if port not in self._listeners:
            self._listeners[port] = _Listener()
        self._listeners[port].waiting.append(listener)
        self._open(port)

    def leave(self, port: int, listener: TcpListener) -> None:
        """`listener` waits no more; with the last one the outside port is closed.

        Who still stands in its backlog gets a RST, as a SYN to a port without listener does.
        """
        entry = self._listeners[port]
        entry.waiting.remove(listener)
        if not entry.waiting:
            self._shut(entry)
            del self._listeners[port]

    def connect(self, address: bytes, port: int) -> Connection | None:
        """Begin a connection, up when it is writable; None where nobody answers."""
        target = self.outgoing.get((socket.inet_ntoa(address), port))
        if target is None and address == GATEWAY and self.port_offset + port < 65536:
            target = self.outside(port)
        if target is None or not self.link_up:
            return None
        endpoint = tcp_socket()
        endpoint.connect_ex(target)  # refusal shows as an event, like the success
        return self._connection(endpoint, address, port)

    def forget(self, connection: Connection) -> None:
        """The chip is done with it."""
        connection.drop()
        self._connections.remove(connection)

    def join(self, own: bytes, group: bytes, port: int,
             heard: Callable[[bytes, int, bytes], None]) -> None:
        """The chip, whose address is `own`, listens to `group` at UDP `port`, one group at a time.
        `heard(address, port, payload)` is called with each datagram until `part`.
        """
        self._member_heard = heard
        if self._member and (self._member.host, self._member.port) == (own[3], port):
            return
        if self._member:
            self._member.close()
        try:
            self._member = Member(self._selector, group, port, own[3], self._hear)
        except OSError as error:
            self._member = None
            _log.warning("multicast group %s: %s", socket.inet_ntoa(group), error.strerror)

    def part(self) -> None:
        """The chip listens to no group any more."""
        self._member_heard = None

    def _hear(self, address: bytes, port: int, payload: bytes) -> None:
        if self._member_heard and self.link_up:
            self._member_heard(NETWORK + address[3:], port, payload)

    def multicast(self, payload: bytes, ttl: int) -> None:
        """The chip sends to the group that it has joined."""
        if self._member:
            self._member.send(payload, ttl)

    def datagram(self, address: bytes, port: int, payload: bytes,
                 source: int = 0) -> tuple[bytes, int, bytes] | None:
        """Deliver one UDP payload from the chip's port `source`; the reply as (source address,
        source port, payload) or None. From a port of the group it goes to the real device there.
        """
        if self._member and source == self._member.port:
            self._member.send_to(payload, address[3], port)
            return None
        handler = self.udp.get(port)
        reply = handler(payload) if handler else None
        if reply is None:
            return None
        broadcast = address == b"\xff\xff\xff\xff" or address == NETWORK + b"\xff"
        return GATEWAY if broadcast else address, port, reply

    # --- inside ---------------------------------------------------------------------------

    def _request(self, action: Callable[[], object]) -> None:
        self._requests.append(action)
        os.write(self._wake_write, b"\0")

    def _serve_requests(self, events: int) -> None:
        os.read(self._wake_read, 4096)
        while self._requests:
            self._requests.popleft()()

    def _switch_link(self) -> None:
        for port, listener in self._listeners.items():
            if self.link_up:
                self._open(port)
            else:
                self._shut(listener)
        for connection in self._connections:
            connection.link_changed()

    def _bind(self, port: int) -> socket.socket:
        endpoint = tcp_socket()
        try:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            endpoint.bind(self.outside(port))
        except (OSError, OverflowError) as error:
            endpoint.close()
            reason = getattr(error, "strerror", None) or str(error)
            raise PortError(f"port {self.outside(port)[1]} (for {port}): {reason}") from error
        return endpoint

    def _open(self, port: int) -> None:
        listener = self._listeners[port]
        if listener.socket or not self.link_up:
            return
        try:
            listener.socket = self._bind(port)
            listener.socket.listen(_BACKLOG)
        except OSError as error:
            listener.shut()
            self.port_error = self.port_error or (
                error if isinstance(error, PortError)
                else PortError(f"port {self.outside(port)[1]} (for {port}): {error.strerror}"))
            _log.error("%s", self.port_error)
            return
        self._selector.register(listener.socket, READ, lambda events: self._accept(listener))

    def _shut(self, listener: _Listener) -> None:
        if listener.socket:
            self._selector.unregister(listener.socket)
        listener.shut()

    def _accept(self, listener: _Listener) -> None:
        while listener.socket and listener.waiting:
            try:
                endpoint, (host, port) = listener.socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # reset while in the backlog: BSD's kernels keep it to themselves
            address = NETWORK + socket.inet_aton(host)[3:]
            # The datasheet does not say which of several sockets gets a SYN; the lowest here.
            first = min(listener.waiting, key=lambda waiting: waiting.number)
            first.accepted(self._connection(endpoint, address, port))

    def _connection(self, endpoint: socket.socket, address: bytes, port: int) -> Connection:
        connection = Connection(self._selector, lambda: self.link_up, endpoint, address, port)
        self._connections.append(connection)
        return connection


class _Listener:
    """The outside socket of one port, and the chip's sockets that wait on it."""

    def __init__(self):
        self.socket: socket.socket | None = None
        self.waiting: list[TcpListener] = []

    def shut(self) -> None:
        if self.socket:
            self.socket.close()
            self.socket = None
