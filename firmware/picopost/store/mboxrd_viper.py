"""Mail between the wire and the card as `mboxrd.py` describes it, in native code, one pass over
the octets. Both modules do the same to the last octet of every call.
"""
# ruff: noqa: F821  ptr8 and ptr32 are viper's

import micropython
from micropython import const

from picopost.store.mboxrd_state import (  # noqa: F401  for who imports this module
    BARE_CR, BARE_LF, EIGHT_BIT, ENDED, FLAGS, IN_BODY, LINES, NUL, OCTETS, PHASE, SOURCE,
    TARGET, finish_receive, finish_send, new_receiving, new_sending,
)

# mboxrd_state's numbers again: viper inlines only what is const in its own file.
_PHASE = const(0)
_SOURCE = const(1)
_TARGET = const(2)
_OCTETS = const(3)
_FLAGS = const(4)
_ENDED = const(5)
_AFTER_CRLF = const(6)
_LINES = const(6)
_IN_BODY = const(7)
_BARE_LF = const(1)
_BARE_CR = const(2)
_NUL = const(4)
_EIGHT_BIT = const(0x80)
_MIDDLE = const(0)
_START = const(1)
_CR_HELD = const(2)
_DOT_HELD = const(3)
_DOT_CR_HELD = const(4)
_QUOTABLE = const(5)
_QUOTED = const(6)
_FROM_HELD = const(7)
_QUOTE_HELD = const(2)
_QUOTED_FROM_HELD = const(3)

_LF = const(10)
_CR = const(13)
_DOT = const(46)
_QUOTE = const(62)
_F = const(70)
_ROM = const(0x206D6F72)  # b"rom ", the first letter in the lowest octet

# Four octets at a time: of a word w, ((w - _LOW) | w) & (_LOW << 3) is 0 when all of them lie in
# 16..127 and are only to be copied. With `& ~w` for `| w` it is 0 also where some are above 127.
# Only aligned words: a Cortex-M0+ reads no others.
#
# Cycles of the armv6m code, counted on an emulated Cortex-M0+, as nanoseconds an octet at 125 MHz
# for 2 KB of 72-octet lines: receive 160, send 145 (text and base64 alike; UTF-8 in Cyrillic 235
# and 205). Octet by octet it was 390 and 255. Scanning without copying takes 130 and 110, so the
# copy costs 35; a slice assignment for each line, with its memoryviews, would cost 300 and more.
# Two words a round gained nothing. On armv6m viper keeps the first two variables in registers and
# loads and stores all others on every use (160 was 270), hence the names of the arguments below.
# In the VM on x64: 2,200 MB/s both ways; the plain version makes 31 and 48.
_LOW = const(0x10101010)


@micropython.viper
def receive(to: ptr8, at: ptr8, end: int, target: ptr8, limit: int):
    """receive(state, source, end, target, limit), as `mboxrd.receive`."""
    state = ptr32(to)
    source = int(at)
    phase = state[_PHASE]
    flags = state[_FLAGS]
    octets = state[_OCTETS] - state[_TARGET]
    high = int(_LOW) << 3  # no small integer on a board
    to = ptr8(int(target) + state[_TARGET])
    full = int(target) + limit - 7
    last = source + end
    at = ptr8(source + state[_SOURCE])
    while int(at) < last and int(to) < full:
        if phase:
            c = at[0]
            at = ptr8(int(at) + 1)
            if phase == _CR_HELD:
                if c == _LF:
                    to[0] = _LF
                    octets += 1
                    phase = state[_AFTER_CRLF]
                else:
                    to[0] = _CR
                    flags |= _BARE_CR
                    if c != _CR:
                        at = ptr8(int(at) - 1)
                        phase = _MIDDLE
                to = ptr8(int(to) + 1)
                continue
            if phase == _START:
                if c == _DOT:
                    phase = _DOT_HELD
                    continue
                phase = _QUOTABLE
            elif phase == _DOT_HELD:
                if c == _CR:
                    phase = _DOT_CR_HELD
                    continue
                phase = _QUOTABLE
            elif phase == _DOT_CR_HELD:
                if c == _LF:
                    phase = _START
                    state[_ENDED] = 1
                    break
                at = ptr8(int(at) - 1)
                phase = _CR_HELD
                continue
            if phase < _FROM_HELD:  # QUOTABLE or QUOTED
                if c == _QUOTE:
                    to[0] = _QUOTE
                    to = ptr8(int(to) + 1)
                    phase = _QUOTED
                    continue
                if c == _F:
                    phase = _FROM_HELD
                    continue
            else:
                rom = _ROM
                letters = phase - _FROM_HELD
                if c == (rom >> (letters << 3)) & 0xFF:
                    if letters != 3:
                        phase += 1
                        continue
                    letters = 4
                    to[0] = _QUOTE
                    to = ptr8(int(to) + 1)
                    octets -= 1
                else:
                    at = ptr8(int(at) - 1)
                to[0] = _F
                to = ptr8(int(to) + 1)
                while letters:
                    to[0] = rom
                    to = ptr8(int(to) + 1)
                    rom >>= 8
                    letters -= 1
                phase = _MIDDLE
                continue
            at = ptr8(int(at) - 1)
            phase = _MIDDLE
        # Inside a line: copy up to a control character, the end of `source` or the limit.
        edge = last
        if full - int(to) < last - int(at):
            edge = int(at) + full - int(to)
        word_edge = edge & -4
        while edge - int(at):
            if not int(at) & 3:
                while word_edge - int(at):
                    if ((ptr32(at)[0] - _LOW) | ptr32(at)[0]) & high:
                        if (ptr32(at)[0] - _LOW) & (ptr32(at)[0] ^ high) & high:
                            break
                        flags |= _EIGHT_BIT
                    to[0] = at[0]
                    to[1] = at[1]
                    to[2] = at[2]
                    to[3] = at[3]
                    to = ptr8(int(to) + 4)
                    at = ptr8(int(at) + 4)
                if not edge - int(at):
                    break
            if not at[0] >> 4:
                break
            if at[0] >> 7:
                flags |= _EIGHT_BIT
            to[0] = at[0]
            to = ptr8(int(to) + 1)
            at = ptr8(int(at) + 1)
        if edge - int(at):
            c = at[0]
            at = ptr8(int(at) + 1)
            if c == _CR:
                phase = _CR_HELD
                continue
            to[0] = c
            to = ptr8(int(to) + 1)
            if c == _LF:
                octets += 1
                flags |= _BARE_LF
                phase = _QUOTABLE
            elif not c:
                flags |= _NUL
    state[_PHASE] = phase
    state[_SOURCE] = int(at) - source
    state[_TARGET] = int(to) - int(target)
    state[_OCTETS] = octets + state[_TARGET]
    state[_FLAGS] = flags


@micropython.viper
def send(to: ptr8, at: ptr8, end: int, target: ptr8, limit: int):
    """send(state, source, end, target, limit), as `mboxrd.send`."""
    state = ptr32(to)
    source = int(at)
    phase = state[_PHASE]
    octets = state[_OCTETS] - state[_TARGET]
    lines = state[_LINES]
    whole = lines >> 31  # the sign, where int is 64 bits wide too
    high = int(_LOW) << 3  # no small integer on a board
    to = ptr8(int(target) + state[_TARGET])
    full = int(target) + limit - 7
    last = source + end
    at = ptr8(source + state[_SOURCE])
    apart = (source - int(target)) | (int(at) - int(to) - 1) >> 31  # 0: both in one buffer
    while int(at) < last and int(to) < full:
        if not apart and int(at) - int(to) < 8:
            break
        if phase:
            c = at[0]
            at = ptr8(int(at) + 1)
            if phase == _START:
                if c == _QUOTE:
                    phase = _QUOTE_HELD
                    continue
                if c == _DOT:
                    to[0] = _DOT
                    to[1] = _DOT
                    to = ptr8(int(to) + 2)
                    octets -= 1
                    phase = _MIDDLE
                    continue
                if not whole and c == _LF and not state[_IN_BODY]:
                    state[_IN_BODY] = 1
                    lines += 1  # the blank line is none of the body
            elif phase == _QUOTE_HELD:
                if c == _F:
                    phase = _QUOTED_FROM_HELD
                    continue
                to[0] = _QUOTE
                to = ptr8(int(to) + 1)
                if c == _QUOTE:
                    continue
                at = ptr8(int(at) - 1)
                phase = _MIDDLE
                continue
            else:
                rom = _ROM
                letters = phase - _QUOTED_FROM_HELD
                if c == (rom >> (letters << 3)) & 0xFF:
                    if letters != 3:
                        phase += 1
                        continue
                    letters = 4
                else:
                    at = ptr8(int(at) - 1)
                    to[0] = _QUOTE
                    to = ptr8(int(to) + 1)
                to[0] = _F
                to = ptr8(int(to) + 1)
                while letters:
                    to[0] = rom
                    to = ptr8(int(to) + 1)
                    rom >>= 8
                    letters -= 1
                phase = _MIDDLE
                continue
            at = ptr8(int(at) - 1)
            phase = _MIDDLE
        # Inside a line: copy up to a control character, the end of `source` or the limit.
        edge = last
        if full - int(to) < last - int(at):
            edge = int(at) + full - int(to)
        word_edge = edge & -4
        while edge - int(at):
            if not int(at) & 3:
                while word_edge - int(at):
                    if ((ptr32(at)[0] - _LOW) | ptr32(at)[0]) & high:
                        if (ptr32(at)[0] - _LOW) & (ptr32(at)[0] ^ high) & high:
                            break
                    to[0] = at[0]
                    to[1] = at[1]
                    to[2] = at[2]
                    to[3] = at[3]
                    to = ptr8(int(to) + 4)
                    at = ptr8(int(at) + 4)
                if not edge - int(at):
                    break
            if not at[0] >> 4:
                break
            to[0] = at[0]
            to = ptr8(int(to) + 1)
            at = ptr8(int(at) + 1)
        if edge - int(at):
            c = at[0]
            at = ptr8(int(at) + 1)
            if c != _LF:
                to[0] = c
                to = ptr8(int(to) + 1)
                continue
            to[0] = _CR
            to[1] = _LF
            to = ptr8(int(to) + 2)
            phase = _START
            if not whole and state[_IN_BODY]:
                lines -= 1
                if not lines:
                    state[_ENDED] = 1
                    break
    state[_PHASE] = phase
    state[_SOURCE] = int(at) - source
    state[_TARGET] = int(to) - int(target)
    state[_OCTETS] = octets + state[_TARGET]
    state[_LINES] = lines
