"""The Ethernet cable of a W5500 under lwIP, as the emulated `network` sees it, and what is at its
other end."""

from __future__ import annotations

from host_tools.emulator.lwip_network import LwipNetwork

_STATE, _ACTIVE, _ASK = range(3, 6)
_LINK, _UP, _LEASED = 1, 2, 4
_START, _STOP = 0, 1


class Cable(LwipNetwork):
    """`plugged` may be switched at any time too.

    lwIP is not told of the cable: a lease stays while it is out, and somebody has to ask. Then its
    own server is asked, which another network does not have: so the lease stays there too, unless
    it was given up before. Without a lease it asks by itself, ever more rarely: here at each
    question about its state while `patient` is False.
    `resets` counts how often the chip was reset, `requests` how often a lease was asked for.
    """

    def __init__(self):
        super().__init__()
        self.plugged = True
        self.patient = True
        self.resets = 0
        self.requests = 0
        self._up = False
        self._asking = False

    @property
    def reaches(self) -> bool:
        return self.plugged and self._up

    def fail(self) -> None:
        """The chip refuses a frame: the driver says "fatal error" and takes the interface down."""
        self._up = False

    def ask(self, number: int, value: int) -> int:
        answer = super().ask(number, value)
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
        return answer

    def _request(self) -> None:
        self.requests += 1
        self._asking = True
        known = self._lease in (0, self._lease & 63 | self.network << 6)
        if self.plugged and self._up and self.dhcp_server and known:
            self._give()
