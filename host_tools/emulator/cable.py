"""The Ethernet cable of a W5500 under lwIP, as the emulated `network` sees it, and what is at its
other end."""

from __future__ import annotations

_STATE, _ACTIVE, _ASK, _HOST = 3, 4, 5, 6
_LINK, _UP, _LEASED = 1, 2, 4


class Cable:
    """`plugged` and `dhcp_server` may be switched at any time; `host` is the last octet of the
    address that the latter gives, 127.0.0.1 at first.

    lwIP is not told of the cable: a lease stays while it is out, and without a lease somebody has
    to ask anew (that the driver asks ever more rarely by itself counts for nothing here).
    `questions` counts what the firmware asked, `resets` how often the chip was reset, `requests`
    how often a lease was asked for.
    """

    def __init__(self):
        self.plugged = True
        self.dhcp_server = True
        self.host = 1
        self.questions = 0
        self.resets = 0
        self.requests = 0
        self._up = False
        self._leased = False

    def fail(self) -> None:
        """The chip refuses a frame: the driver says "fatal error" and takes the interface down."""
        self._up = False

    def ask(self, number: int, value: int) -> int:
        """Answer one frame of device_modules/network.py: an octet."""
        self.questions += 1
        if number == _ACTIVE:
            self._up = bool(value)
            self._leased = False
            if self._up:
                self.resets += 1
                self._request()
        elif number == _ASK:
            self._request()
        elif number == _STATE:
            return self.plugged * _LINK | self._up * _UP | self._leased * _LEASED
        elif number == _HOST:
            return self.host
        return 0

    def _request(self) -> None:
        self.requests += 1
        if self.plugged and self._up:
            self._leased = self.dhcp_server or self._leased
