"""DHCP over a W5500's UDP socket: the Adafruit package's client, made to wait for nobody.

The package's state machine (adafruit_wiznet5k_dhcp.DHCP) writes and reads the messages and
keeps the times of the lease. It expects the package's chip driver under it, and while a server
is silent it blocks in there, 4 to 60 s. Here `_Datagrams` stands in for the driver: it sends,
and where it should wait it raises `_Pending`, which ends the call; the next call builds the same
message, finds the answer, and the machine goes on.
"""

import time

from adafruit_ticks import ticks_less, ticks_ms
from adafruit_wiznet5k.adafruit_wiznet5k_dhcp import DHCP
from micropython import const

from picopost import limits

_INIT = const(1)  # a state of the package's
_NAK = const(6)
_SERVER_PORT = const(67)
_CLIENT_PORT = const(68)
_XID = const(4)  # four octets
_CIADDR = const(12)  # four octets
_MESSAGE_TYPE = const(242)  # the value of option 53, which the package writes first
_SHORTEST = const(241)  # 236 octets of fixed fields, the cookie, an option (RFC 2131 2)
_LONGEST = const(512)  # the package's buffer
_UNASSIGNED = b"\0\0\0\0"


class _Pending(Exception):
    """No answer yet: the state machine is to be called again later."""


class _Client(DHCP):
    """The package's client with its faults of 7.4.5 mended."""

    def _parse_dhcp_response(self):
        message_type = super()._parse_dhcp_response()
        for name in ("subnet_mask", "gateway_ip", "dns_server_ip", "dhcp_server_ip"):
            if len(getattr(self, name)) != 4:
                setattr(self, name, _UNASSIGNED)
                raise ValueError(name)  # the package drops the message
        lease = self._lease or 0
        if max(lease, self._t1 or 0, self._t2 or 0) > limits.DHCP_MAX_LEASE:
            self._lease = min(lease, limits.DHCP_MAX_LEASE)  # longer: OverflowError
            self._t1 = self._t2 = None  # then the package takes 1/2 and 7/8 of it
        return message_type

    def _process_messaging_states(self, *, message_type):
        super()._process_messaging_states(message_type=message_type)
        if message_type == _NAK:
            self._renew = None  # else a refused extension is taken for one not answered

    def verify(self):
        self._t1_timeout = self._t2_timeout = ticks_ms()

    def restart(self):
        self._dhcp_state = _INIT

    def expired(self):
        return ticks_less(self._lease_timeout, ticks_ms())


class _Datagrams:
    """The chip driver under the package's client: its names, one UDP socket, no waiting."""

    def __init__(self, chip, number, configure):
        self._chip = chip
        self._number = number
        self._configure = configure
        self._destination = None
        self._asked = None  # xid and type of the message that waits for its answer
        self._extending = False
        self.src_port = 0
        self.heard = False  # a datagram in this step
        self.attempts = 0  # of this message
        self.deadline = 0  # time.ticks_ms when its answer is overdue

    def waiting(self):
        return self._asked is not None

    def overdue(self):
        return time.ticks_diff(self.deadline, time.ticks_ms()) <= 0

    def unanswered(self, attempts):
        """Nobody has answered a search, though it was made so often."""
        return (self.waiting() and not self._extending and self.overdue()
                and self.attempts >= attempts)

    def arrived(self):
        return self._chip.look(self._number).rx_size > 0

    def end(self):
        """The exchange is over."""
        self._asked = None
        self._chip.close(self._number)

    def get_socket(self):
        return self._number

    def socket_connect(self, number, destination, port, conn_mode):
        self._destination = destination

    def socket_write(self, number, message):
        asked = bytes(message[_XID : _XID + 4]) + bytes((message[_MESSAGE_TYPE],))
        if asked != self._asked:
            self._asked = asked
            self.attempts = 0
            # Who extends a lease has an address and tells it (RFC 2131 4.3.6).
            self._extending = message[_CIADDR : _CIADDR + 4] != _UNASSIGNED
        elif self._extending or not self.overdue():
            return
        wait = limits.DHCP_RETRY << self.attempts
        self.deadline = time.ticks_add(time.ticks_ms(), wait)
        self.attempts += 1
        self._chip.send_datagram(number, _CLIENT_PORT, self._destination, _SERVER_PORT, message)

    def socket_available(self, number, sock_type):
        # An extension that nobody answers ends as if an empty message had come: the package
        # goes back to the lease that it has. One datagram a step, or who sends them without end
        # would have the loop, and the watchdog the board.
        if self.heard or not (self.arrived() or self._extending and self.overdue()):
            raise _Pending
        return _LONGEST

    def read_udp(self, number, limit):
        self.heard = True
        data = self._chip.receive_datagram(number, _LONGEST)
        if data is None or len(data) < _SHORTEST:
            return 0, b""
        return len(data), data

    def socket_close(self, number):
        pass  # at each call's end; the answer may come later, so end() does it

    def _set_ifconfig(self, addresses):
        self._configure(*addresses)

    ifconfig = property(None, _set_ifconfig)


class Lease:
    """An address by DHCP on UDP socket `number` of `chip`, asked for and kept by `step`.

    `configure(address, netmask, gateway, dns)`, 4 octets each, is called when they change; with
    zeros when the lease has ended. `mac`: 6 octets. `failures` counts the searches that no
    server answered; each is followed by the next. `calm`: there is an address to live with until
    one is answered, so the searches are short and leave the socket to others most of the time.
    """

    def __init__(self, chip, number, mac, hostname, configure):
        self._datagrams = _Datagrams(chip, number, self._changed)
        self._client = _Client(self._datagrams, mac, hostname)
        self._configure = configure
        self._next = time.ticks_ms()
        self._bound = False
        self._verifying = False
        self._held = False  # the address in use is a lease's
        self._kept = False  # of an old one, good until it ends, or until there is a new one
        self.failures = 0
        self.calm = False

    def _changed(self, address, *more):
        # The package gives up what it has whenever it begins anew.
        if any(address) or self._held and not self._kept:
            self._held, self._kept = any(address), False
            self._configure(address, *more)

    def _end(self):
        self._kept = False
        self._changed(*[_UNASSIGNED] * 4)

    def step(self):
        """Do what is due, without waiting; True when the client has a lease."""
        datagrams = self._datagrams
        due = time.ticks_diff(self._next, time.ticks_ms()) <= 0
        if not due and not (datagrams.waiting() and datagrams.arrived()):
            return self._bound
        if self._kept and self._client.expired():
            self._end()
        if datagrams.unanswered(1 if self.calm else limits.DHCP_ATTEMPTS):
            self.failures += 1
            datagrams.end()
            self._client.restart()  # RFC 2131 4.4.1: also when it was the REQUEST
            if self.calm:
                self._next = time.ticks_add(time.ticks_ms(), limits.DHCP_PAUSE)
            return False
        datagrams.heard = False
        try:
            self._bound = False
            self._bound = self._client.request_dhcp_lease()
        except (_Pending, IndexError):  # the latter: an option longer than its message
            self._next = datagrams.deadline
            return False
        pause = limits.DHCP_TIMES
        if datagrams.waiting():
            if datagrams.overdue():
                pause = limits.DHCP_RENEWAL_RETRY
                if self._verifying:  # another router may not know us, and say nothing
                    self._kept, self._bound = True, False
                    self._client.restart()
                    pause = 0
            self._verifying = False
            datagrams.end()
        self._next = time.ticks_add(time.ticks_ms(), pause)
        return self._bound

    def busy(self):
        """A message of its own is under way."""
        return self._datagrams.waiting()

    def has_heard(self):
        """The last step had a datagram, behind which there may be others."""
        return self._datagrams.heard

    def verify(self):
        """Ask for the same lease again, by broadcast: the cable may lead elsewhere now. Where that
        is not answered another one is looked for, and the old one kept meanwhile.

        RFC 2131 3.7.
        """
        self._datagrams.end()
        self._client.verify()
        self._verifying = self._held and not self._kept
        self._next = time.ticks_ms()
