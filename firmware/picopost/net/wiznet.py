"""The link of a board with a W5500: brings it up, keeps it up, and wakes who waits.

The chip has eight sockets. Socket 0 is for DHCP, for questions like the one for the time, and
otherwise for who asks for our name (mDNS); the other seven are clients' (`w5500_clients.py`).
One task polls: INTn is low while there is news, and SIR says in one SPI call of which sockets;
a board without a wire to INTn asks SIR each time. Beside that a patrol looks at
one socket after the other whatever SIR says, so that no state of the chip lasts unseen.
"""

import asyncio
import os
import time

import machine
from micropython import const

from picopost import event_log, limits
from picopost.net import w5500
from picopost.net.w5500_clients import DYNAMIC, FIRST_DYNAMIC, Clients

_DATAGRAMS = const(0)  # socket for UDP; the others are for TCP
_RESET = const(1)  # ms low (the datasheet asks for 500 us), then as long for the PLL to lock
_CHECK = const(10)  # ms between two looks while the link comes up
_BUSY = const(1)  # ms between two polls; one without news reads a pin, or costs an SPI call, 50 us
_IDLE = const(10)
_QUIET_POLLS = const(200)  # without news, then the link counts as idle


class Link:
    """`board`: the board's description (`wiznet`: spi, sck, mosi, miso, cs, baudrate, and where
    they are wired reset and interrupt).

    `settings`: `hostname`; `address`, "dhcp" or a dict of address, netmask, gateway and dns
    as text; perhaps `fallback_address`, such a dict for where no DHCP server answers. `address` is
    the link's own as text, "" while it has none; `moved(address)`, where one is set, is called
    with each later one, and then there are no sessions any more.
    """

    max_sessions = limits.WIZNET_SESSIONS
    max_waiting = limits.WIZNET_WAITING
    refused = False  # there is no password
    likes_bulk = False  # a piece is what a socket of the chip has room for
    moved = None

    def __init__(self, board, settings):
        self._board = board["wiznet"]
        self._settings = settings
        self.address = ""
        self.chip = None
        self.room_wanted = 0  # bits of the sockets whose writers wait for room, until the next poll
        self.quiet = 0  # polls since something moved
        self._line = None  # INTn, if it is wired
        self._addresses = None  # the chip's, 18 octets, see W5500.configure
        self._dns = bytes(4)
        self._lease = None
        self._without = 0  # ticks_ms since when there is no address
        self._responder = None
        self.clients = Clients(self)
        self._cable = True
        self._asking = False  # somebody has the socket for datagrams
        self._patrolled = 0
        # The chip has none of its own. Locally administered: bit 1 of the first octet.
        self._mac = b"\x02" + machine.unique_id()[-5:]

    # --- bringing up ------------------------------------------------------------------------

    async def up(self):
        """Reset the chip, wait for the cable, get an address.

        Raises OSError, as net/trouble.py knows it: no chip, no cable, no DHCP server.
        """
        pins = self._board
        select = machine.Pin(pins["cs"], machine.Pin.OUT, value=1)
        spi = machine.SPI(pins["spi"], baudrate=pins["baudrate"], sck=machine.Pin(pins["sck"]),
                          mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
        self.chip = chip = w5500.W5500(spi, select)
        if "interrupt" in pins:
            self._line = machine.Pin(pins["interrupt"], machine.Pin.IN, machine.Pin.PULL_UP)
        if "reset" in pins:
            reset = machine.Pin(pins["reset"], machine.Pin.OUT, value=0)
            await asyncio.sleep_ms(_RESET)
            reset(1)
        else:
            chip.reset()
        await asyncio.sleep_ms(_RESET)
        if not await self.until(lambda: chip.version() == w5500.VERSION, limits.CHIP_WAIT):
            raise OSError("no chip", chip.version())
        if not await self.until(chip.link, limits.CABLE_WAIT):
            raise OSError("no cable")
        address = self._settings["address"]
        if address == "dhcp":
            await self._ask_for_address()
        else:
            self._set_fixed(address)

    async def until(self, done, timeout):
        """Look again and again until `done()`; whether it was within `timeout` ms."""
        deadline = time.ticks_add(time.ticks_ms(), timeout)
        while not done():
            if time.ticks_diff(deadline, time.ticks_ms()) <= 0:
                return False
            await asyncio.sleep_ms(_CHECK)
        return True

    async def _ask_for_address(self):
        from picopost.net.dhcp import Lease  # 22 KB (64-bit) that a fixed address does not need

        self._configure(*[bytes(4)] * 4)
        self._lease = Lease(self.chip, _DATAGRAMS, self._mac, self._settings["hostname"],
                            self._configure)
        while not self._lease.step():
            if self._falls_back():
                return
            if self._lease.failures:
                raise OSError("no DHCP")
            await asyncio.sleep_ms(_CHECK)

    def _falls_back(self):
        """Take the address for networks without DHCP, if it is time; a search goes on beside it."""
        fallback = self._settings.get("fallback_address")
        if (self.address or not fallback
                or time.ticks_diff(time.ticks_ms(), self._without) < limits.DHCP_FALLBACK):
            return False
        event_log.log("fallback_address", address=fallback["address"], why="no DHCP server answers",
                      advice="none has to; it is asked on, and what it gives is taken")
        self._set_fixed(fallback)
        return True

    def _set_fixed(self, address):
        self._configure(*[w5500.octets(address[part])
                          for part in ("address", "netmask", "gateway", "dns")])

    def _configure(self, address, netmask, gateway, dns):
        before = self.address
        self.address = w5500.dotted(address) if any(address) else ""
        self._addresses = gateway + netmask + self._mac + address
        self._dns = dns
        self.chip.configure(self._addresses)
        if self._lease:
            self._lease.calm = bool(self.address)
        if not self.address:
            if before or not self._lease:
                self._without = time.ticks_ms()
        elif self.address != before:
            if self.moved:
                event_log.log("link_up", address=self.address)
                self.moved(self.address)
            if self._responder:
                self._responder.announce()
        if before and self.address != before:
            self.clients.abort()  # nobody reaches them at that address any more

    @property
    def connected(self):
        """Whether the cable is in, and there is an address."""
        return self._cable and bool(self.address)

    @property
    def gateway(self):
        """The router's address as text."""
        return w5500.dotted(self._addresses[:4])

    @property
    def dns(self):
        """A name server's address as text."""
        return w5500.dotted(self._dns)

    async def exchange(self, address, port, message, timeout):
        """Send a datagram to an address (text) and port; what comes back from there within
        `timeout` ms, or None. OSError when it cannot be sent. The socket is DHCP's, which has to
        wait meanwhile.
        """
        chip = self.chip
        lease = self._lease
        if not await self.until(lambda: not (self._asking or lease and lease.busy()), timeout):
            return None
        answer = None
        sender = w5500.octets(address) + bytes((port >> 8, port & 0xFF))

        def answered():
            nonlocal answer
            answer = chip.receive_datagram(_DATAGRAMS, limits.MAX_DATAGRAM)
            return answer is not None and chip.sender == sender

        self._asking = True
        try:
            # From a port that nobody knows beforehand (RFC 5452 9.2).
            own = FIRST_DYNAMIC | int.from_bytes(os.urandom(2), "big") & DYNAMIC
            chip.send_datagram(_DATAGRAMS, own, sender[:4], port, message)
            return answer if await self.until(answered, timeout) else None
        finally:
            self._asking = False
            chip.close(_DATAGRAMS)

    def connect(self, address, port, timeout):
        """Awaitable: a Connection to a server at an address (text) and port, by a socket that
        listened, and will again behind it. OSError where there is none for CONNECT_ROOM, or no
        answer within `timeout` ms.
        """
        return self.clients.connect(address, port, timeout)

    # --- serving ----------------------------------------------------------------------------

    def serve(self, port, handler):
        """Start `handler(connection)`, a coroutine, as a task for each client of `port`."""
        self.clients.serve(port, handler)
        if self._addresses:
            self.clients.balance()

    async def run(self):
        """Serve until close(); neither a lost cable nor a chip that fails ends it."""
        if "." not in self._settings["hostname"]:  # else it is a name of the real DNS
            from picopost.net.mdns import Responder

            self._responder = Responder(self.chip, _DATAGRAMS, self._settings["hostname"])
        patrol = time.ticks_ms()
        self.clients.balance()
        while self.chip:
            self.quiet = 0 if self._poll() else self.quiet + 1
            now = time.ticks_ms()
            if time.ticks_diff(now, patrol) >= 0:
                patrol = time.ticks_add(now, limits.PATROL)
                try:  # here: a frame with it in _patrol would be on the heap each time
                    self._patrol()
                except (OSError, MemoryError):
                    pass  # the chip takes no command, or the log has no room: in the next round
            await asyncio.sleep_ms(_BUSY if self.quiet < _QUIET_POLLS else _IDLE)

    def close(self):
        """Drop all connections and stop; `run` returns."""
        self.clients.close()
        if self.chip:
            self.chip.reset()
            self.chip = None

    def _poll(self):
        """Look at the sockets with news and wake who waits for room; True when there were any."""
        # INTn: low while SIR & SIMR is not 0 (4.1); IMR is 0, so nothing else pulls it.
        news = 0 if self._line and self._line() else self.chip.news()
        wake = news | self.room_wanted
        self.room_wanted = number = 0
        while wake:
            if wake & 1:
                if news >> number & 1:
                    self.chip.acknowledge(number)
                self._look(number)
            wake >>= 1
            number += 1
        return news

    def _look(self, number):
        connection = self.clients.connections[number]
        if connection:
            connection.wake()  # its task looks at the chip itself
        else:
            self._tend(number)

    def _tend(self, number):
        try:
            if number == _DATAGRAMS:
                if not self._asking:
                    self._tend_datagrams()
            else:
                self.clients.look(number)
        except (OSError, MemoryError):
            pass  # no command taken, or no room for a session: the patrol comes by again

    def _tend_datagrams(self):
        lease, responder = self._lease, self._responder
        if lease:
            if not lease.step():
                self._falls_back()
            if lease.busy() and lease.has_heard():
                self.room_wanted |= 1 << _DATAGRAMS
        if responder and self.address and not (lease and lease.busy()):
            taken = responder.name.taken
            if responder.step(self._addresses):
                self.room_wanted |= 1 << _DATAGRAMS  # another one may be there, without news of it
            if responder.name.taken and not taken:
                self._tell_of_rival()

    def _tell_of_rival(self):
        event_log.log("name_taken", name=self._settings["hostname"] + ".local",
                      why="another device answers to it", advice="give one of the two another "
                      "name: the setting hostname")

    def _patrol(self):
        number = self._patrolled
        self._patrolled = (number + 1) % w5500.SOCKETS
        if number == _DATAGRAMS:
            self._look_at_chip()
        self._look(number)

    def _look_at_chip(self):
        if self.chip.addresses() != self._addresses:  # it was reset, by its supply or ESD
            self.chip.configure(self._addresses)
        if self._line and self.chip.news() and self._line():
            self._line = None  # it does not say what SIR says: no wire, whatever the board says
        cable = self.chip.link()
        if cable != self._cable:
            if cable and self._lease:
                self._lease.verify()
            if cable and self._responder:
                self._responder.announce()
            self._cable = cable
            if cable:
                event_log.log("link_up", address=self.address)
            else:
                event_log.log("link_down")
