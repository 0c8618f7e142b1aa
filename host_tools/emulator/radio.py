"""The Pico W's radio as the emulated `network` sees it: an access point that is there or not."""

from __future__ import annotations

_STATE, _CONNECT, _ACTIVE = range(3)
_HOST = 6
# Values of WLAN.status() of the rp2 port, as octets.
_IDLE, _NO_AP_FOUND, _GOT_IP = 0, 256 - 2, 3


class Radio:
    """`access_point` may be switched at any time; a joined station loses it at once. `host` is the
    last octet of the address that it gives, 127.0.0.1 at first.

    `questions` counts what the firmware asked.
    """

    def __init__(self):
        self.access_point = True
        self.host = 1
        self.questions = 0
        self._active = False
        self._wanted = False

    def ask(self, number: int, value: int) -> int:
        """Answer one frame of device_modules/network.py: an octet."""
        self.questions += 1
        if number == _ACTIVE:
            self._active = bool(value)
            self._wanted = False
        elif number == _CONNECT:
            self._wanted = self._active
        elif number == _STATE:
            if self._wanted:
                return _GOT_IP if self.access_point else _NO_AP_FOUND
            return _IDLE
        elif number == _HOST:
            return self.host
        return 0
