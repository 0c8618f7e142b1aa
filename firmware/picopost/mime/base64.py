"""Base64 (RFC 2045 6.8): a decoder as `transfer.py` has them, with what Python has built in, for
where no native code runs. `base64_viper` makes the same of every text."""

from binascii import a2b_base64

from micropython import const

from picopost.limits import MIME_QUANTA
from picopost.mime.octets import find

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PAD = const(61)
# In the end of a piece of base64 lies a line end if its lines are not longer than RFC 2045 6.8 has
# them, 76 and CRLF.
_LINE = const(80)
# Octets free in a target that is full: they would be filled in small pieces.
_LEFT = const(60)


class Base64:
    """Octets out of its alphabet are passed over. Padding ends a quantum, and what
    comes behind it is decoded too, as where two encoded texts were put together. Missing padding is
    done without; of a last quantum of one character nothing can be made.

    binascii does the work for all whole quanta of a piece, line ends included. Only what lies
    between the pieces, or beside padding, is looked at octet by octet.
    """

    def __init__(self):
        self._quantum = bytearray(4)
        self._held = 0  # characters in it
        self._padded = False  # it has two, and one "=" was there

    def decode(self, source, target):
        at = to = 0
        room = len(target)
        end = min(len(source), room + room // 2)  # more does not fit in, line ends included
        pad = -1
        while at < end and room - to > _LEFT:
            if not self._held:
                if pad < at:  # the next one
                    pad = find(source, at, end, b"=")
                    if pad < 0:
                        pad = end
                stop = min(pad, at + MIME_QUANTA, at + (room - to) // 3 * 4)
                if stop - at > 3:
                    cut, octets = _whole_quanta(source, at, stop)
                    if cut > at:
                        at = cut
                        cut = to + len(octets)
                        target[to:cut] = octets
                        to = cut
                        continue
            to += self._octet(source[at], target, to)
            at += 1
        return at, to

    def finish(self, target):
        return self._flush(target, 0)

    def _octet(self, c, target, to):
        """One of `source`; how many octets went to target[to:]."""
        if c == _PAD:
            if self._held == 3 or self._padded:
                return self._flush(target, to)
            self._padded = self._held == 2
        elif c in _ALPHABET:
            self._padded = False
            self._quantum[self._held] = c
            self._held += 1
            if self._held == 4:
                return self._flush(target, to)
        return 0

    def _flush(self, target, to):
        held = self._held
        self._held = 0
        self._padded = False
        if held < 2:
            return 0
        octets = a2b_base64(bytes(self._quantum[:held]) + b"=="[:4 - held])
        target[to:to + len(octets)] = octets
        return len(octets)


def _whole_quanta(source, at, stop):
    """(end, octets) of a piece of source[at:stop], in which is no "=", that has whole quanta only;
    (at, b"") where there is none."""
    # Lines of whole quanta are the rule.
    cut = stop
    if stop - at > _LINE:
        cut += bytes(source[stop - _LINE:stop]).rfind(b"\n") - _LINE + 1
    if cut == stop - _LINE or cut == stop:
        cut = at + (stop - at & -4)
    for _ in range(4):
        try:
            return cut, a2b_base64(source[at:cut])
        except ValueError:  # one to three characters too many
            cut -= 1
            while cut > at and source[cut] not in _ALPHABET:
                cut -= 1
    return at, b""
