"""The Pico W's radio as the emulated `network` sees it: an access point that is there or not."""

from __future__ import annotations

from host_tools.emulator.lwip_network import LwipNetwork

_STATE, _CONNECT, _ACTIVE = range(3)
# Values of WLAN.status() of the rp2 port, as octets.
_IDLE, _NO_ADDRESS, _GOT_IP, _NO_AP_FOUND, _WRONG_PASSWORD = 0, 2, 3, 256 - 2, 256 - 3


class Radio(LwipNetwork):
    """`access_point` and `password_right` may be switched at any time too; a joined station loses
    its access point at once. A lease stays until there is another one, as lwIP has it, which asks
    for it again whenever it has joined.
    """

    def __init__(self):
        super().__init__()
        self.access_point = True
        self.password_right = True
        self._active = False
        self._wanted = False

    @property
    def reaches(self) -> bool:
        return self._wanted and self.access_point

    def ask(self, number: int, value: int) -> int:
        answer = super().ask(number, value)
        if number == _ACTIVE:
            self._active = bool(value)
            self._wanted = False
        elif number == _CONNECT:
            self._wanted = self._active
        elif number == _STATE:
            return self._state()
        return answer

    def _state(self) -> int:
        if not self._wanted:
            return _IDLE
        if not self.access_point:
            return _NO_AP_FOUND
        if not self.password_right:
            return _WRONG_PASSWORD
        if self.dhcp_server:
            self._give()
        return _GOT_IP if self._lease else _NO_ADDRESS
