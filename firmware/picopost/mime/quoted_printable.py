"""Quoted-printable (RFC 2045 6.7): a decoder as `transfer.py` has them, in plain Python what
`quoted_printable_viper` does in native code, to the last octet of every call."""

from micropython import const

try:
    from picopost.mime import quoted_printable_viper as _native
except ImportError:  # no native code for this machine
    _native = None

# Indexes of the state.
PHASE = const(0)
SOURCE = const(1)  # where to go on in the source
TARGET = const(2)  # and in the target
HELD = const(3)  # octets held back

TEXT = const(0)
BLANKS = const(1)  # held: blanks, which are dropped at the end of a line (rule 3)
BLANKS_CR = const(2)  # and a CR
EQUALS = const(3)  # held: "="
HEX = const(4)  # and a hexadecimal digit
EQUALS_BLANKS = const(5)  # or blanks
EQUALS_CR = const(6)  # or a CR, and blanks before it

# Blanks that are held at most: as many as a line may have octets (rule 5). More are kept.
MAX_HELD = const(80)
_FLUSH = const(82)
# Looked at in one piece: text has an escape or a line end in it, as a rule.
_RUN = const(128)


class QuotedPrintable:
    """Escapes that are none stay as they are. Blanks at the end of a line, also between "=" and it,
    are dropped (rule 3), and a "=" at the very end is a soft line break.
    """

    def __init__(self):
        from array import array

        self._state = array("i", (TEXT, 0, 0, 0))
        self._held = bytearray(_FLUSH)
        self._decode = _native.decode if _native else decode

    def decode(self, source, target):
        state = self._state
        state[SOURCE] = state[TARGET] = 0
        self._decode(state, self._held, source, len(source), target, len(target) - _FLUSH)
        return state[SOURCE], state[TARGET]

    def finish(self, target):
        state = self._state
        phase = state[PHASE]
        state[PHASE] = TEXT
        if phase == HEX:
            target[:2] = self._held[:2]
            return 2
        if phase == BLANKS_CR:
            target[0] = 13
            return 1
        return 0


def decode(state, held, source, end, target, limit):
    """Decode source[state[SOURCE]:end] to target[state[TARGET]:] until one is used up: `target`
    where so much as `limit` octets are in it; _FLUSH more must have room. `held` is a bytearray.
    """
    at = state[SOURCE]
    to = state[TARGET]
    phase = state[PHASE]
    length = state[HELD]
    while at < end and to < limit:
        if phase == TEXT:
            run = bytes(source[at:min(end, at + min(_RUN, limit - to))])
            cut = _plain(run)
            if cut:
                target[to:to + cut] = run[:cut]
                at += cut
                to += cut
                continue
        c = source[at]
        at += 1
        if phase == TEXT:  # a blank or "="
            held[0] = c
            length = 1
            phase = EQUALS if c == 61 else BLANKS
            continue
        if c == 10 and phase != HEX:
            if phase < EQUALS:
                if phase == BLANKS_CR:
                    target[to] = 13
                    to += 1
                target[to] = 10
                to += 1
            phase = TEXT
            continue
        if c == 13 and phase in (BLANKS, EQUALS, EQUALS_BLANKS):
            phase = BLANKS_CR if phase == BLANKS else EQUALS_CR
        elif (c == 32 or c == 9) and length < MAX_HELD and phase in (BLANKS, EQUALS, EQUALS_BLANKS):
            if phase == EQUALS:
                phase = EQUALS_BLANKS
        elif phase == EQUALS and _digit(c) >= 0:
            phase = HEX
        elif phase == HEX and _digit(c) >= 0:
            target[to] = _digit(held[1]) << 4 | _digit(c)
            to += 1
            phase = TEXT
            continue
        else:  # none of them: all that was held is text, and the octet is looked at again
            target[to:to + length] = held[:length]
            to += length
            at -= 1
            phase = TEXT
            continue
        held[length] = c
        length += 1
    state[SOURCE] = at
    state[TARGET] = to
    state[PHASE] = phase
    state[HELD] = length


def _plain(run):
    """Length of the text at the beginning of `run` that stands for itself."""
    cut = run.find(b"=")
    if cut < 0:
        cut = len(run)
    for blank in (b" \n", b"\t\n", b" \r", b"\t\r"):
        found = run.find(blank, 0, cut)
        if found >= 0:
            cut = found + 1
    return len(run[:cut].rstrip(b" \t"))


def _digit(c):
    """Its value as a hexadecimal digit, of either case; -1: it is none."""
    if 48 <= c <= 57:
        return c - 48
    c &= 0xDF
    return c - 55 if 65 <= c <= 70 else -1
