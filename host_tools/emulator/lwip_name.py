"""The name that lwIP's mDNS responder has taken, told octet by octet over a board's wire."""

from __future__ import annotations


class LwipName:
    """`name` is the last one that is whole, "" before."""

    def __init__(self):
        self.name = ""
        self._octets = bytearray()

    def octet(self, value: int) -> None:
        """The next one; 0 ends a name."""
        if value:
            self._octets.append(value)
        else:
            self.name = self._octets.decode()
            self._octets.clear()
