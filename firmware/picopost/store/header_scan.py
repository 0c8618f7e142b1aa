"""Counts Received fields while a message passes through a block, up to the end of its header.

A message that travels in a circle gets one more of them with each turn (RFC 5321 section 6.3).
"""

from micropython import const

# As they are written in practice; RFC 5322 1.2.2 would allow any mixture of cases.
_FIELDS = (b"\nReceived:", b"\nreceived:", b"\nRECEIVED:")
# Octets at the end of what was looked at in which a field may have begun.
_SEAM = const(9)


class HeaderScan:
    """Each octet of the header is looked at once, by a `find` and three `count`: about 1.8 us on an
    RP2040, where one of them takes 450 ns an octet.

    received  fields so far
    ended     the blank line was met: from now on nothing is to be done
    """

    def __init__(self, start):
        """The header begins behind the line end at block[start]."""
        self.received = 0
        self.ended = False
        self._at = start  # no field before it is still to be counted; negative: in `_tail`
        self._tail = b""

    def look(self, block, end):
        """Go on to block[:end]. `block` is a bytearray with LF line ends."""
        if self.ended:
            return
        if self._at < 0:
            seam = self._tail + block[: min(end, _SEAM)]
            self._at = self._count(seam, self._at + _SEAM, len(seam)) - _SEAM
            if self._at < 0 or self.ended:
                return
        self._at = self._count(block, self._at, end)

    def spilled(self, block, length):
        """block[:length] goes, all of it looked at; what follows moves to the block's start."""
        if self.ended:
            return
        self._tail = bytes(block[length - _SEAM : length])
        self._at -= length

    def _count(self, text, at, end):
        """Take text[at:end]; returns where a field may still begin of which more is to come."""
        blank = text.find(b"\n\n", at, end)
        if blank >= 0:
            self.ended = True
            end = blank + 1
        for field in _FIELDS:
            self.received += text.count(field, at, end)
        return max(end - _SEAM, at)
