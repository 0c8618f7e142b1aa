"""Base64 as `base64.py`, in native code: one pass over the octets, nothing from the heap."""
# ruff: noqa: F821  ptr8 and ptr32 are viper's

import micropython
from array import array
from micropython import const

# Indexes of the state.
_SOURCE = const(0)
_TARGET = const(1)
_HELD = const(2)  # characters of a quantum that is not yet whole
_BITS = const(3)  # theirs
_PADDED = const(4)  # it has two, and one "=" was there

_PAD = const(64)
_FOREIGN = const(128)


def _make_table():
    table = bytearray(b"\x80" * 256)
    value = 0
    for c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=":
        table[c] = value
        value += 1
    return bytes(table)


_VALUES = _make_table()  # of each octet: 0 to 63, _PAD or _FOREIGN


class Base64:
    """As base64.Base64."""

    def __init__(self):
        self._state = array("i", (0, 0, 0, 0, 0))

    def decode(self, source, target):
        state = self._state
        _decode(state, source, len(source), target, len(target), _VALUES)
        return state[_SOURCE], state[_TARGET]

    def finish(self, target):
        state = self._state
        held = state[_HELD]
        bits = state[_BITS] << 6 * (4 - held)
        state[_HELD] = state[_PADDED] = 0
        if held < 2:
            return 0
        target[0] = bits >> 16 & 255
        if held == 3:
            target[1] = bits >> 8 & 255
        return held - 1


@micropython.viper
def _decode(to: ptr8, source: ptr8, end: int, target: ptr8, room: int, values: ptr8):
    """Decode source[:end] to target until fewer than 3 octets are free in it."""
    state = ptr32(to)
    at = ptr8(source)
    to = ptr8(target)
    last = int(source) + end
    full = int(target) + room - 2
    held = state[_HELD]
    bits = state[_BITS]
    padded = state[_PADDED]
    while int(at) < last and int(to) < full:
        if not held:
            while int(at) < last - 3 and int(to) < full:
                first = values[at[0]]
                second = values[at[1]]
                third = values[at[2]]
                fourth = values[at[3]]
                if (first | second | third | fourth) >> 6:
                    break
                bits = first << 18 | second << 12 | third << 6 | fourth
                to[0] = bits >> 16
                to[1] = bits >> 8
                to[2] = bits
                to = ptr8(int(to) + 3)
                at = ptr8(int(at) + 4)
            if int(at) >= last or int(to) >= full:
                break
            bits = 0
        value = values[at[0]]
        at = ptr8(int(at) + 1)
        if value < _PAD:
            bits = bits << 6 | value
            held += 1
            padded = 0
            if held == 4:
                to[0] = bits >> 16
                to[1] = bits >> 8
                to[2] = bits
                to = ptr8(int(to) + 3)
                held = 0
        elif value == _PAD and held >= 2:
            if held == 3:
                to[0] = bits >> 10
                to[1] = bits >> 2
                to = ptr8(int(to) + 2)
                held = 0
            elif padded:
                to[0] = bits >> 4
                to = ptr8(int(to) + 1)
                held = 0
                padded = 0
            else:
                padded = 1
    state[_SOURCE] = int(at) - int(source)
    state[_TARGET] = int(to) - int(target)
    state[_HELD] = held
    state[_BITS] = bits
    state[_PADDED] = padded
