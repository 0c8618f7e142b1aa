"""The Pico W's radio as the emulated `network` sees it: an access point that is there or not."""

from __future__ import annotations

from host_tools.emulator.lwip_name import LwipName

_STATE, _CONNECT, _ACTIVE = range(3)
_HOST, _NAME = 6, 7
# Values of WLAN.status() of the rp2 port, as octets.
_IDLE, _NO_ADDRESS, _GOT_IP, _NO_AP_FOUND, _WRONG_PASSWORD = 0, 2, 3, 256 - 2, 256 - 3


class Radio:
    """`access_point`, `password_right` and `dhcp_server` may be switched at any time; a joined
    station loses its access point at once. `host` is the last octet of the address that the DHCP
    server gives, and `network` the one before it: 127.0.0.1 at first. A lease stays until there is
    another one, as lwIP has it, which asks for it again whenever it has joined.

    `questions` counts what the firmware asked; `name` is what lwIP answers to by mDNS.
    """

    def __init__(self):
        self.access_point = True
        self.password_right = True
        self.dhcp_server = True
        self.host = 1
        self.network = 0
        self.questions = 0
        self._active = False
        self._wanted = False
        self._lease = 0
        self._told = LwipName()

    @property
    def name(self) -> str:
        return self._told.name

    @property
    def address(self) -> bytes | None:
        """What the DHCP server has given, while the board can be reached."""
        if not (self._lease and self._wanted and self.access_point):
            return None
        return bytes((127, 0, self._lease >> 6, self._lease & 63))

    def ask(self, number: int, value: int) -> int:
        """Answer one frame of device_modules/network.py: an octet."""
        self.questions += 1
        if number == _ACTIVE:
            self._active = bool(value)
            self._wanted = False
        elif number == _CONNECT:
            self._wanted = self._active
        elif number == _STATE:
            return self._state()
        elif number == _HOST:
            return self._lease
        elif number == _NAME:
            self._told.octet(value)
        return 0

    def _state(self) -> int:
        if not self._wanted:
            return _IDLE
        if not self.access_point:
            return _NO_AP_FOUND
        if not self.password_right:
            return _WRONG_PASSWORD
        if self.dhcp_server:
            self._lease = self.network << 6 | self.host
        return _GOT_IP if self._lease else _NO_ADDRESS
