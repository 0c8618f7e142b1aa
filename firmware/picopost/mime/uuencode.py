"""Uuencode (POSIX uuencode's historical algorithm), as old mail has it: a decoder as `transfer.py`
has them."""

from micropython import const

# A line has a count, 60 characters for 45 octets, perhaps a checksum, and CR.
_MAX_LINE = const(96)
_MAX_OCTETS = const(63)  # that a count can be

_BEFORE = const(0)
_INSIDE = const(1)


class Uuencode:
    """What stands before a line "begin " and behind a line "end" is passed over; there may be
    several such texts. A line that is too short for its count is filled with zeros, as decoders do.
    """

    def __init__(self):
        self._line = bytearray(_MAX_LINE)
        self._length = 0
        self._phase = _BEFORE

    def decode(self, source, target):
        at = to = 0
        end = len(source)
        full = len(target) - _MAX_OCTETS
        line = self._line
        while at < end and to <= full:
            piece = bytes(source[at:min(end, at + _MAX_LINE)])
            line_end = piece.find(b"\n")
            if line_end >= 0:
                piece = piece[:line_end]
                at += 1
            at += len(piece)
            piece = piece[:_MAX_LINE - self._length]
            line[self._length:self._length + len(piece)] = piece
            self._length += len(piece)
            if line_end >= 0:
                to += self._line_over(target, to)
        return at, to

    def finish(self, target):
        return self._line_over(target, 0)

    def _line_over(self, target, to):
        """Octets of the line that were put to target[to:]."""
        text = bytes(memoryview(self._line)[:self._length]).rstrip(b"\r")
        self._length = 0
        if self._phase == _BEFORE:
            if text.startswith(b"begin "):
                self._phase = _INSIDE
            return 0
        if text.rstrip() == b"end":
            self._phase = _BEFORE
            return 0
        if not text:
            return 0
        octets = text[0] - 32 & 63
        at = 1
        done = 0
        while done < octets:
            group = 0
            for place in range(at, at + 4):
                group = group << 6 | (text[place] - 32 & 63 if place < len(text) else 0)
            at += 4
            for shift in (16, 8, 0):
                if done < octets:
                    target[to + done] = group >> shift & 255
                    done += 1
        return octets
