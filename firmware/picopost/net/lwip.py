"""What boards with lwIP share: the sockets of the image, whatever carries their packets."""

import asyncio
import errno
import socket
import time
from asyncio import core
from micropython import const

from picopost import event_log, limits
from picopost.net import lwip_memory, tell

_TCP = const(6)
_TCP_NODELAY = const(1)
_BACKLOG = const(8)  # all that come at once get a seat, wait for one, or hear why not
_CHECK = const(50)  # ms between two looks while the link comes up


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
    """A TCP connection; same contract as wiznet's. `memory`: lwIP's, which is asked before a write;
    None where sockets never wait for any. It counts in `answered` the octets of an answer, and
    notes in `stopped` that the peer does not read what it asked for.
    """

    piece = limits.BULK_BUFFER  # with one call the socket has all the octets that it has room for

    def __init__(self, sock, peer, local_port, memory=None):
        self.peer = peer
        self.local_port = local_port
        self._socket = sock
        self._memory = memory
        if memory:
            self.piece = limits.CARD_BLOCK
        self._refused = False  # the last write found no room in lwIP's memory
        self._gone = False
        self.answered = 0
        self.stopped = 0
        sock.setblocking(False)
        sock.setsockopt(_TCP, _TCP_NODELAY, 1)

    def read_now(self, buf):
        """One to len(buf) octets; 0 at the end of the stream, None when nothing is there. OSError
        when the peer vanished.
        """
        try:
            return self._socket.readinto(buf)
        except OSError:
            # The socket tells of a reset once. A write behind that would go through a NULL pointer.
            self._gone = True
            raise

    def write_now(self, buf):
        """Octets taken of `buf`; None when there is no room for any. OSError as `write`."""
        if self._gone:
            raise OSError(errno.ENOTCONN)
        if self._memory:
            return self._write_what_fits(buf)
        return self._socket.write(buf)

    def _write_what_fits(self, buf):
        count = self._memory.grant(len(buf), self)
        self._refused = not count
        if not count:
            return None
        return self._socket.write(memoryview(buf)[:count] if count < len(buf) else buf)

    def wait_readable(self):
        """Awaitable: until `read_now`, which has just returned None, is worth another try."""
        self.answered = 0  # the peer waits for us
        self.stopped = 0
        return _readable(self._socket)

    def wait_writable(self):
        """Awaitable: until `write_now` is worth a try."""
        if self._refused:  # the socket would say that it is writable
            return asyncio.sleep_ms(limits.LWIP_LOOK)
        return _writable(self._socket)

    async def write(self, buf):
        """All of `buf`, at the peer's pace. OSError when it vanished."""
        sent = count = self.write_now(buf) or 0
        if sent < len(buf):
            view = memoryview(buf)
            while sent < len(buf):
                # What lwIP's memory has room for goes at once, piece by piece.
                if not (count and self._memory):
                    await self.wait_writable()
                count = self.write_now(view[sent:]) or 0
                sent += count
        else:
            await asyncio.sleep_ms(0)  # nobody waits for one fast reader

    async def close(self):
        """Orderly: TCP sends on what was written. Never raises."""
        self.abort()

    def abort(self):
        """At once."""
        self._socket.close()


class Link:
    """lwIP's sockets over `interface`, an object of the module `network`; its listeners survive
    the loss and return of the network. Subclasses say how to bring it up.

    `settings`: `hostname`; `address`, "dhcp" or a dict of address, netmask, gateway and dns as
    text; perhaps `fallback_address`, such a dict for where no DHCP server answers. `address`
    is the link's own as text, "" while it has none; `moved(address)`, where one is set, is called
    with each later one. `refused`: the access point does not take our password.
    """

    max_sessions = limits.LWIP_SESSIONS
    max_waiting = limits.LWIP_WAITING
    moved = None
    refused = False

    def __init__(self, interface, settings):
        self.address = ""
        self._memory = lwip_memory.find()
        self.likes_bulk = self._memory is None
        self._interface = interface
        self._settings = settings
        self._lost = time.ticks_ms()  # when the network was last seen to be lost
        self._listeners = []

    async def up(self):
        """Bring the interface up until it has an address. OSError, which says why, when that does
        not work now.
        """
        raise NotImplementedError

    def _fix(self, address):
        """Tell lwIP an address of the settings, which stops its DHCP (extmod/network_lwip.c)."""
        self._interface.ifconfig((address["address"], address["netmask"], address["gateway"],
                                  address["dns"]))

    def _fixed_address(self):
        """Tell lwIP the address in the settings; False where DHCP is to bring one."""
        address = self._settings["address"]
        if address == "dhcp":
            return False
        self._fix(address)
        return True

    def _falls_back(self):
        """Nobody answers to DHCP: take the address for such networks, if the settings have one."""
        fallback = self._settings.get("fallback_address")
        if not fallback:
            return False
        if self.address != fallback["address"]:
            event_log.log("fallback_address", address=fallback["address"],
                          why="no DHCP server answers",
                          advice="none has to; it is asked on, and what it gives is taken")
        self._fix(fallback)
        self._interface.ipconfig(dhcp4=True)  # which has no address of its own to give up
        return True

    async def _until(self, done, timeout):
        """Wait until `done()`; False when that takes longer than `timeout` milliseconds."""
        deadline = time.ticks_add(time.ticks_ms(), timeout)
        while not done():
            if time.ticks_diff(deadline, time.ticks_ms()) < 0:
                return False
            await asyncio.sleep_ms(_CHECK)
        return True

    @property
    def connected(self):
        """Whether the network is there, as far as lwIP knows."""
        return self._interface.isconnected()

    @property
    def gateway(self):
        """The router's address as text."""
        return self._interface.ifconfig()[2]

    @property
    def dns(self):
        """A name server's address as text."""
        return self._interface.ifconfig()[3]

    async def exchange(self, address, port, message, timeout):
        """Send a datagram to an address (text) and port; what comes back from there within
        `timeout` ms, or None. OSError when it cannot be sent, or nobody is there.
        """
        asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            asked.setblocking(False)
            asked.sendto(message, socket.getaddrinfo(address, port)[0][-1])
            deadline = time.ticks_add(time.ticks_ms(), timeout)
            while time.ticks_diff(deadline, time.ticks_ms()) > 0:
                try:
                    answer, sender = asked.recvfrom(limits.MAX_DATAGRAM)
                    if _dotted(sender) == address:
                        return answer
                    await asyncio.sleep_ms(0)  # who sends many keeps nobody else waiting
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.ETIMEDOUT):
                        raise
                    await asyncio.sleep_ms(_CHECK)
        finally:
            asked.close()
        return None

    async def connect(self, address, port, timeout):
        """A Connection to a server at an address (text) and port. OSError where lwIP has room for
        none during CONNECT_ROOM, or no answer comes within `timeout` ms. (lwIP calls a socket
        writable before it is connected, and sends what was written once it is: then its first
        reading tells.)
        """
        deadline = time.ticks_add(time.ticks_ms(), limits.CONNECT_ROOM)
        sock = None
        while not sock:
            try:
                sock = socket.socket()
            except OSError as error:
                if error.errno != errno.ENOMEM or time.ticks_diff(deadline, time.ticks_ms()) < 0:
                    raise
                await asyncio.sleep_ms(_CHECK)
        try:
            sock.setblocking(False)
            try:
                sock.connect(socket.getaddrinfo(address, port)[0][-1])
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            try:
                await asyncio.wait_for_ms(_writable(sock), timeout)
            except asyncio.TimeoutError:
                raise OSError(errno.ETIMEDOUT, "nobody answers there")
            return Connection(sock, address, 0, self._memory)
        except BaseException:  # cancelled too
            sock.close()
            raise

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
                asyncio.create_task(handler(Connection(sock, _dotted(address), port, self._memory)))
            except (OSError, MemoryError) as error:
                # The client left again, or lwIP or the heap is out of room: the others go on.
                if sock:
                    sock.close()
                event_log.log("accept_failed", port=port, error=str(error))
                await asyncio.sleep_ms(50)

    async def run(self):
        """For ever: bring the interface up again when the network is lost, and follow its address,
        which a router may change at any time.
        """
        told = self.address
        while True:
            await asyncio.sleep_ms(limits.LINK_RETRY)
            try:
                up = self._interface.isconnected()
                if up:
                    self.address = self._interface.ifconfig()[0]
                else:
                    event_log.log("link_down")
                    self._lost = time.ticks_ms()
                    while not await self._is_up_again():
                        await asyncio.sleep_ms(limits.LINK_RETRY)
                if not up or self.address != told:
                    event_log.log("link_up", address=self.address)
                if self.moved and self.address != told:
                    self.moved(self.address)
                told = self.address
            except MemoryError:
                pass  # once more, in a moment

    async def _is_up_again(self):
        try:
            await self.up()
            return True
        except OSError as error:
            tell(error)
            return False

    def close(self):
        """Stop listening."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._memory:
            self._memory.close()
