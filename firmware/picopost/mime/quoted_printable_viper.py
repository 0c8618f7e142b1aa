"""Quoted-printable as `quoted_printable.decode`, in native code, one pass over the octets."""
# ruff: noqa: F821  ptr8 and ptr32 are viper's

import micropython
from micropython import const

# quoted_printable's numbers again: viper inlines only what is const in its own file.
_PHASE = const(0)
_SOURCE = const(1)
_TARGET = const(2)
_HELD = const(3)
_TEXT = const(0)
_BLANKS = const(1)
_BLANKS_CR = const(2)
_EQUALS = const(3)
_HEX = const(4)
_EQUALS_BLANKS = const(5)
_EQUALS_CR = const(6)
_MAX_HELD = const(80)

_TAB = const(9)
_LF = const(10)
_CR = const(13)
_SPACE = const(32)
_ESCAPE = const(61)


@micropython.viper
def decode(to: ptr8, held: ptr8, source: ptr8, end: int, target: ptr8, limit: int):
    """decode(state, held, source, end, target, limit), as `quoted_printable.decode`."""
    state = ptr32(to)
    at = ptr8(int(source) + state[_SOURCE])
    to = ptr8(int(target) + state[_TARGET])
    last = int(source) + end
    full = int(target) + limit
    phase = state[_PHASE]
    length = state[_HELD]
    while int(at) < last and int(to) < full:
        c = at[0]
        at = ptr8(int(at) + 1)
        if not phase:
            if c > _SPACE and c != _ESCAPE:
                to[0] = c
                to = ptr8(int(to) + 1)
                continue
            if c == _ESCAPE:
                phase = _EQUALS
            elif c == _SPACE or c == _TAB:
                phase = _BLANKS
            else:
                to[0] = c
                to = ptr8(int(to) + 1)
                continue
            held[0] = c
            length = 1
            continue
        if c == _LF and phase != _HEX:
            if phase < _EQUALS:
                if phase == _BLANKS_CR:
                    to[0] = _CR
                    to = ptr8(int(to) + 1)
                to[0] = _LF
                to = ptr8(int(to) + 1)
            phase = _TEXT
            continue
        keep = 0
        if c == _CR:
            keep = 1
            if phase == _BLANKS:
                phase = _BLANKS_CR
            elif phase == _EQUALS or phase == _EQUALS_BLANKS:
                phase = _EQUALS_CR
            else:
                keep = 0
        elif c == _SPACE or c == _TAB:
            if length < _MAX_HELD:
                if phase == _BLANKS or phase == _EQUALS_BLANKS:
                    keep = 1
                elif phase == _EQUALS:
                    phase = _EQUALS_BLANKS
                    keep = 1
        elif phase == _EQUALS or phase == _HEX:
            digit = c - 48
            if digit > 9:
                digit = (c & 0xDF) - 55
                if digit < 10 or digit > 15:
                    digit = -1
            if digit >= 0:
                if phase == _EQUALS:
                    phase = _HEX
                    keep = 1
                else:
                    high = held[1] - 48
                    if high > 9:
                        high = (high + 48 & 0xDF) - 55
                    to[0] = high << 4 | digit
                    to = ptr8(int(to) + 1)
                    phase = _TEXT
                    continue
        if keep:
            held[length] = c
            length += 1
        else:
            at = ptr8(int(at) - 1)
            place = 0
            while place < length:
                to[0] = held[place]
                to = ptr8(int(to) + 1)
                place += 1
            phase = _TEXT
    state[_SOURCE] = int(at) - int(source)
    state[_TARGET] = int(to) - int(target)
    state[_PHASE] = phase
    state[_HELD] = length
