"""What a .mpy file's constants take of a heap of 32 bits when they are not in flash.

Only the head of the format is read (MicroPython, docs/reference/mpyfiles.rst): names and constants
come before the code.
"""

from __future__ import annotations

from pathlib import Path

_BLOCK = 16  # of the heap
_MAGIC = b"M\x06"
# Kinds of constants: those that are no object of the heap, text and octets, tuples; others have
# their value as text.
_NOTHING = range(0, 5)
_TUPLE = 10
_INTEGER = 7  # in decimal
_SMALL = 1 << 30  # below it an integer is no object
_TERMINATED = (5, 6)


class _Octets:
    def __init__(self, content: bytes):
        self._content = content
        self._at = 4

    def skip(self, count: int) -> bytes:
        self._at += count
        return self._content[self._at - count:self._at]

    def octet(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def number(self) -> int:
        """Seven bits an octet, the highest first."""
        value = 0
        while True:
            octet = self.octet()
            value = value << 7 | octet & 0x7F
            if octet < 0x80:
                return value


def heap_octets(path: Path) -> int:
    """The table of its names, two octets each, that of its constants, four each, and those."""
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        raise ValueError(f"{path} is no .mpy file of version 6")
    octets = _Octets(content)
    names, constants = octets.number(), octets.number()
    for _ in range(names):
        length = octets.number()
        if not length & 1:  # not one of MicroPython's own
            octets.skip((length >> 1) + 1)
    return (_blocks(2 * names) + _blocks(4 * constants)
            + sum(_constant(octets) for _ in range(constants)))


def _constant(octets: _Octets) -> int:
    kind = octets.octet()
    if kind in _NOTHING:
        return 0
    length = octets.number()
    if kind == _TUPLE:
        return _blocks(8 + 4 * length) + sum(_constant(octets) for _ in range(length))
    text = octets.skip(length + (kind in _TERMINATED))
    return 0 if kind == _INTEGER and abs(int(text)) < _SMALL else _BLOCK


def _blocks(octets: int) -> int:
    return -(-octets // _BLOCK) * _BLOCK
