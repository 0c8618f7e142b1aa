"""The Ethernet cable of a W5500 under lwIP, as the emulated `network` sees it, and what is at its
other end."""

from __future__ import annotations

from host_tools.emulator.lwip_name import LwipName

_STATE, _ACTIVE, _ASK, _HOST, _NAME = range(3, 8)
_LINK, _UP, _LEASED = 1, 2, 4
_START, _STOP = 0, 1


class Cable:
    """`plugged` and `dhcp_server` may be switched at any time; `host` is the last octet of the
    address that the latter gives, and `network` the one before it: 127.0.0.1 at first.

    lwIP is not told of the cable: a lease stays while it is out, and somebody has to ask. Then its
    own server is asked, which another network does not have: so the lease stays there too, unless
    it was given up before. Without a lease it asks by itself, ever more rarely: here at each
    question about its state while `patient` is False.
    `questions` counts what the firmware asked, `resets` how often the chip was reset, `requests`
    how often a lease was asked for; `name` is what lwIP answers to by mDNS.
    """

    def __init__(self):
        self.plugged = True
        self.dhcp_server = True
        self.host = 1
        self.network = 0
        self.patient = True
        self.questions = 0
        self.resets = 0
        self.requests = 0
        self._up = False
        self._asking = False
        self._lease = 0
        self._told = LwipName()

    @property
    def name(self) -> str:
        return self._told.name

    @property
    def address(self) -> bytes | None:
        """What the DHCP server has given, while the board can be reached."""
        if not (self._lease and self.plugged and self._up):
            return None
        return bytes((127, 0, self._lease >> 6, self._lease & 63))

    def fail(self) -> None:
        """The chip refuses a frame: the driver says "fatal error" and takes the interface down."""
        self._up = False

    def ask(self, number: int, value: int) -> int:
        """Answer one frame of device_modules/network.py: an octet."""
        self.questions += 1
        if number == _ACTIVE:
            self._up = bool(value)
            self._lease = 0
            if self._up:
                self.resets += 1
                self._request()
        elif number == _ASK:
            if value == _STOP:
                self._lease = 0
                self._asking = False
            else:
                self._request()
        elif number == _STATE:
            if self._asking and not (self.patient or self._lease):
                self._request()
            return self.plugged * _LINK | self._up * _UP | bool(self._lease) * _LEASED
        elif number == _HOST:
            return self._lease
        elif number == _NAME:
            self._told.octet(value)
        return 0

    def _request(self) -> None:
        self.requests += 1
        self._asking = True
        known = self._lease in (0, self._lease & 63 | self.network << 6)
        if self.plugged and self._up and self.dhcp_server and known:
            self._lease = self.network << 6 | self.host
