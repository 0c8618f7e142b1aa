"""What both versions of the mboxrd transformations share: the state that a stream carries from
call to call, the end of a message on its way out, and on its way in where no line marks it.

`mboxrd.py` (plain Python) and `mboxrd_viper.py` (native code) offer everything here together
with `receive` and `send`, so a caller imports from one of them, and a board that has the native
code never loads the plain one.

A state is an `array('i')`. No byte of the message is kept in it: what a call has consumed but
not written yet is known from PHASE alone (a CR, a dot, `>`, the first letters of `From `).
"""

from array import array

from micropython import const

# Indices into a state.
PHASE = const(0)  # where in a line the stream is: the numbers below
SOURCE = const(1)  # index of the next unread octet in `source`; the caller sets it back
TARGET = const(2)  # index of the next free octet in `target`; the caller sets it back
OCTETS = const(3)  # size of the message in POP3 (RFC 1939 11): CRLF line ends, nothing stuffed
FLAGS = const(4)  # what was met in receiving: the bits below
ENDED = const(5)  # 1 when the end of the data, or of what TOP asked for, is reached
AFTER_CRLF = const(6)  # receiving: the phase that a CRLF leads to, START or QUOTABLE
LINES = const(6)  # sending: body lines still to send, -1 for all
IN_BODY = const(7)  # sending, with LINES: 1 after the blank line that ends the header

# Bits of FLAGS. EIGHT_BIT is the bit that it tells of.
BARE_LF = const(1)
BARE_CR = const(2)
NUL = const(4)
EIGHT_BIT = const(0x80)

# Phases of receiving. Held means consumed and not written yet.
MIDDLE = const(0)  # inside a line
START = const(1)  # after CRLF, or at the start of DATA: a dot counts here
CR_HELD = const(2)
DOT_HELD = const(3)  # at a START
DOT_CR_HELD = const(4)
QUOTABLE = const(5)  # at the start of a line: `F` would begin a `From ` to quote
QUOTED = const(6)  # the same, after nothing but `>`
FROM_HELD = const(7)  # `F` is held; up to 10, `From` is

# Phases of sending; MIDDLE and START as above.
QUOTE_HELD = const(2)  # one `>` is held; a run of them is written, except one
QUOTED_FROM_HELD = const(3)  # `>F` is held; up to 6, `>From` is

# TOP may ask for any number of lines. No message has this many, and an int32 holds one more.
_ALL_LINES = const(0x3FFFFFFF)


def new_receiving(chunked=False):
    """State for `receive`, at the start of a message's data.

    `chunked`: the text comes by BDAT (RFC 3030 2). A dot means nothing in it and no line ends it;
    `finish_receive` follows the last octet of the last chunk.
    """
    first = QUOTABLE if chunked else START
    return array("i", (first, 0, 0, 0, 0, 0, first))


def new_sending(lines=-1):
    """State for `send`: the whole message, or header, blank line and `lines` lines of the body."""
    return array("i", (START, 0, 0, 0, 0, 0, min(lines, _ALL_LINES), 0))


def finish_receive(state, target):
    """Write what ends a chunked message on the card, after its last octet went through `receive`.

    That is what is held, and a line end if the text does not end in one; OCTETS counts it as the
    CRLF that it will be. Takes 5 octets of room at most from state[TARGET] on. Once more, it adds
    nothing. Returns the new state[TARGET].
    """
    phase = state[PHASE]
    begin = state[TARGET]
    if phase == QUOTABLE:
        return begin
    held = b"From"[: max(phase - FROM_HELD + 1, 0)]
    if phase == CR_HELD:
        held = b"\r"
        state[FLAGS] |= BARE_CR
    end = begin + len(held) + 1
    target[begin:end] = held + b"\n"
    state[OCTETS] += len(held) + 2
    state[PHASE] = QUOTABLE
    state[TARGET] = end
    return end


def finish_send(state, target):
    """Write what ends a message in POP3 (RFC 1939 3), after the last octet went through `send`.

    That is what is held, a CRLF if the text does not end in a line end, then the line with the
    dot, which OCTETS leaves out. Takes 10 octets of room at most from state[TARGET] on. Returns
    the new state[TARGET].
    """
    phase = state[PHASE]
    begin = state[TARGET]
    held = b">From"[:phase - QUOTE_HELD + 1] if phase >= QUOTE_HELD else b""
    if phase != START:
        held += b"\r\n"
    end = begin + len(held)
    target[begin:end] = held
    target[end:end + 3] = b".\r\n"
    state[OCTETS] += len(held)
    state[PHASE] = START
    state[TARGET] = end + 3
    return end + 3
