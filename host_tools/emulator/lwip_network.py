"""The network of a board with lwIP, as the emulated `network` sees it, whatever the board joins it
by."""

from __future__ import annotations

_HOST, _NAME = 6, 7


class LwipNetwork:
    """`dhcp_server` may be switched at any time; `host` is the last octet of the address that it
    gives, and `network` the one before it: 127.0.0.1 at first.

    `questions` counts what the firmware asked; `name` is what lwIP answers to by mDNS, "" before.
    """

    def __init__(self):
        self.dhcp_server = True
        self.host = 1
        self.network = 0
        self.questions = 0
        self.name = ""
        self._lease = 0
        self._told = bytearray()

    @property
    def reaches(self) -> bool:
        """Whether the board is joined to it."""
        raise NotImplementedError

    @property
    def address(self) -> bytes | None:
        """What the DHCP server has given, while the board can be reached."""
        if not (self._lease and self.reaches):
            return None
        return bytes((127, 0, self._lease >> 6, self._lease & 63))

    def ask(self, number: int, value: int) -> int:
        """Answer one frame of device_modules/network.py: an octet."""
        self.questions += 1
        if number == _HOST:
            return self._lease
        if number == _NAME:
            self._hear(value)
        return 0

    def _hear(self, octet: int) -> None:
        """The next one of its name; 0 ends it."""
        if octet:
            self._told.append(octet)
        else:
            self.name = self._told.decode()
            self._told.clear()

    def _give(self) -> None:
        """The lease that the DHCP server has for it."""
        self._lease = self.network << 6 | self.host
