"""Mail between the wire and the card, in plain Python: for where no native code runs, and for
the tests to compare `mboxrd_viper` with. Both do the same to the last octet of every call.

On the card a message is mboxrd text: LF line ends, and one more `>` before every line that
matches `^>*From `, so that no line of a message looks like mbox's own separator. On the wire it
has CRLF line ends and stuffed dots (RFC 5321 4.5.2, RFC 1939 3).

What RFC 5321 2.3.8 forbids is let in, and goes out again as the RFC wants it:
- a bare LF is a line end on the card, and CRLF when it is sent. No dot after it is taken away
  and no such line ends the data, or two servers could disagree on where a message ends (SMTP
  smuggling). Only CRLF dot CRLF ends the data.
- a bare CR, a NUL and octets above 127 pass as they are.

Text that comes in chunks by BDAT (RFC 3030) is the same but for dots, which mean nothing in it:
a CRLF leads to where a bare LF leads, and the caller knows where the text ends.
"""

from picopost.store.mboxrd_state import (  # noqa: F401  also for who imports this module
    AFTER_CRLF, BARE_CR, BARE_LF, CR_HELD, DOT_CR_HELD, DOT_HELD, EIGHT_BIT, ENDED, FLAGS,
    FROM_HELD, IN_BODY, LINES, MIDDLE, NUL, OCTETS, PHASE, QUOTABLE, QUOTE_HELD, QUOTED,
    QUOTED_FROM_HELD, SOURCE, START, TARGET, finish_receive, finish_send, new_receiving,
    new_sending,
)


def receive(state, source, end, target, limit):
    """Turn SMTP's text into mboxrd's, from source[state[SOURCE]:end] to target[state[TARGET]:].

    `source` and `target` are bytearrays. Returns when `source` is used up, when fewer than 8
    octets are free in `target` before `limit`, or behind the line that ends the data, which is
    not written: state[ENDED] is 1 then, and source[state[SOURCE]:end] holds pipelined commands.
    """
    begin = at = state[SOURCE]
    to = state[TARGET]
    phase = state[PHASE]
    after_crlf = state[AFTER_CRLF]
    flags = state[FLAGS]
    octets = state[OCTETS] - to
    full = limit - 7
    while at < end and to < full:
        if phase == MIDDLE:
            run = source[at:at + min(end - at, full - to)]
            cut = _receivable(run)
            if cut:
                text = run[:cut].replace(b"\r\n", b"\n")
                target[to:to + len(text)] = text
                at += cut
                to += len(text)
                octets += cut - len(text)
                if run[cut - 1] == 10:
                    phase = after_crlf
                continue
        c = source[at]
        at += 1
        if phase == MIDDLE:  # a CR, or a bare LF
            if c == 13:
                phase = CR_HELD
            else:
                target[to] = 10
                to += 1
                octets += 1
                flags |= BARE_LF
                phase = QUOTABLE
        elif phase == CR_HELD and c == 10:
            target[to] = 10
            to += 1
            octets += 1
            phase = after_crlf
        elif phase == CR_HELD:
            target[to] = 13
            to += 1
            flags |= BARE_CR
            if c != 13:
                at -= 1
                phase = MIDDLE
        elif phase == DOT_CR_HELD and c == 10:
            phase = START
            state[ENDED] = 1
            break
        elif phase == DOT_CR_HELD:
            at -= 1
            phase = CR_HELD
        elif phase == DOT_HELD and c == 13:
            phase = DOT_CR_HELD
        elif phase == START and c == 46:
            phase = DOT_HELD
        elif phase < FROM_HELD:  # QUOTABLE or QUOTED, or START or DOT_HELD and no dot
            if c == 62:
                target[to] = 62
                to += 1
                phase = QUOTED
            elif c == 70:
                phase = FROM_HELD
            else:
                at -= 1
                phase = MIDDLE
        else:
            matched = phase - FROM_HELD + 1  # octets of b"From "
            if c != b"From "[matched]:
                at -= 1
                held = b"From"[:matched]
            elif c != 32:
                phase += 1
                continue
            else:
                held = b">From "
                octets -= 1
            target[to:to + len(held)] = held
            to += len(held)
            phase = MIDDLE
    state[SOURCE] = at
    state[TARGET] = to
    state[PHASE] = phase
    state[OCTETS] = octets + to
    state[FLAGS] = flags | _contents(source[begin:at])


def _receivable(run):
    """Length of the longest piece at the start of `run`, inside a line, in which CRLF to LF is
    all there is to do; or a shorter one, but 0 only where `run` begins with CR or LF."""
    cut = len(run)
    for beginning in (b"\n.", b"\n>", b"\nF"):
        found = run.find(beginning, 0, cut)
        if found >= 0:
            cut = found + 1
    if run[cut - 1] == 13:
        cut -= 1
    line_ends = run.count(b"\r\n", 0, cut)
    if line_ends != run.count(b"\n", 0, cut) or line_ends != run.count(b"\r", 0, cut):
        for control in (b"\r", b"\n"):
            found = run.find(control, 0, cut)
            if found >= 0:
                cut = found
    return cut


def _contents(run):
    """NUL and EIGHT_BIT where they apply to `run`, without a loop over octets."""
    flags = NUL if run.find(b"\0") >= 0 else 0
    try:
        if len(str(run, "utf-8")) != len(run):
            flags |= EIGHT_BIT
    except UnicodeError:
        flags |= EIGHT_BIT
    return flags


def send(state, source, end, target, limit):
    """Turn mboxrd text into POP3's, from source[state[SOURCE]:end] to target[state[TARGET]:].

    `source` and `target` are bytearrays. Returns when `source` is used up, when fewer than 8
    octets are free in `target` before `limit`, or with state[ENDED] = 1 after the last line
    that TOP asked for. `finish_send` follows the last call.

    Both may be one buffer. With state[TARGET] below state[SOURCE] it returns also when fewer than
    8 octets lie between them, so nothing is written over that has not been read.
    """
    at = state[SOURCE]
    to = state[TARGET]
    phase = state[PHASE]
    lines = state[LINES]
    octets = state[OCTETS] - to
    full = limit - 7
    in_place = source is target and to < at
    while at < end and to < full and not (in_place and at - to < 8):
        if phase == MIDDLE:
            run = source[at:at + min(end - at, full - to)]
            cut = _sendable(run, full - to, in_place or lines >= 0)
            if cut:
                text = run[:cut].replace(b"\n", b"\r\n")
                target[to:to + len(text)] = text
                at += cut
                to += len(text)
                if run[cut - 1] == 10:
                    phase = START
                continue
        c = source[at]
        at += 1
        if phase <= START:
            if phase == START and c == 62:
                phase = QUOTE_HELD
            elif phase == START and c == 46:
                target[to:to + 2] = b".."
                to += 2
                octets -= 1
                phase = MIDDLE
            elif c != 10:  # at START: the rest of the line is for the next round
                at -= 1
                phase = MIDDLE
            else:
                target[to:to + 2] = b"\r\n"
                to += 2
                if state[IN_BODY]:
                    lines -= 1
                elif phase == START and lines >= 0:
                    state[IN_BODY] = 1
                phase = START
                if state[IN_BODY] and lines == 0:
                    state[ENDED] = 1
                    break
        elif phase == QUOTE_HELD and c == 70:
            phase = QUOTED_FROM_HELD
        elif phase == QUOTE_HELD:
            target[to] = 62
            to += 1
            if c != 62:
                at -= 1
                phase = MIDDLE
        else:
            matched = phase - QUOTED_FROM_HELD + 1  # octets of b"From "
            if c != b"From "[matched]:
                at -= 1
                held = b">From"[:matched + 1]
            elif c != 32:
                phase += 1
                continue
            else:
                held = b"From "
            target[to:to + len(held)] = held
            to += len(held)
            phase = MIDDLE
    state[SOURCE] = at
    state[TARGET] = to
    state[PHASE] = phase
    state[LINES] = lines
    state[OCTETS] = octets + to


def _sendable(run, room, one_line):
    """Length of a piece at the start of `run`, inside a line, in which LF to CRLF is all there
    is to do and that takes at most `room` octets then; `one_line`: without its LF. 0 only where
    `run` begins with LF."""
    cut = len(run)
    for beginning in (b"\n",) if one_line else (b"\n.", b"\n>"):
        found = run.find(beginning, 0, cut)
        if found >= 0:
            cut = found if one_line else found + 1
    return cut - max(cut + run.count(b"\n", 0, cut) - room, 0)
