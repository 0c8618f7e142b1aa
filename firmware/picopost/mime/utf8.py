"""UTF-8 (RFC 3629) without a trace in the heap.

MicroPython keeps each string of one character that `chr`, an index or a loop over a str makes, for
ever: letters from strangers could fill the heap with names. So characters are put together as
octets, and text becomes a str as a whole, which the heap can free.
"""

REPLACEMENT = "\ufffd"
_REPLACEMENT = b"\xef\xbf\xbd"


def append(octets, code):
    """Add the character of number `code`, no surrogate, to the bytearray `octets`."""
    if code < 0x80:
        octets.append(code)
        return
    if code < 0x800:
        octets.append(0xC0 | code >> 6)
    else:
        if code < 0x10000:
            octets.append(0xE0 | code >> 12)
        else:
            octets.append(0xF0 | code >> 18)
            octets.append(0x80 | code >> 12 & 0x3F)
        octets.append(0x80 | code >> 6 & 0x3F)
    octets.append(0x80 | code & 0x3F)


def character(code):
    """`chr(code)`, which can be freed."""
    octets = bytearray()
    append(octets, code)
    return bytes(octets).decode()


def decode(octets, final, strict=False):
    """(text, octets used): a character at the end that is not whole is left unless it is `final`.

    Each maximal part of a character that is none is one U+FFFD, as Unicode 3.9 recommends; where it
    is `strict`, the result is None then. MicroPython's own decoder takes overlong forms and
    surrogates.
    """
    end = len(octets)
    if not end or max(octets) < 0x80:
        return bytes(octets).decode(), end
    shown = bytearray()
    run = at = 0  # octets[run:at] are whole characters
    while at < end:
        code = octets[at]
        if code < 0x80:
            at += 1
            continue
        start = at
        low, high = 0x80, 0xBF  # of the next octet
        if 0xC2 <= code <= 0xDF:
            more = 1
        elif 0xE0 <= code <= 0xEF:
            more = 2
            if code == 0xE0:
                low = 0xA0
            elif code == 0xED:
                high = 0x9F
        elif 0xF0 <= code <= 0xF4:
            more = 3
            if code == 0xF0:
                low = 0x90
            elif code == 0xF4:
                high = 0x8F
        else:
            more = -1
        at += 1
        while more > 0 and at < end and low <= octets[at] <= high:
            low, high = 0x80, 0xBF
            at += 1
            more -= 1
        if not more:
            continue
        if more > 0 and at == end and not final:
            at = end = start
            break
        if strict:
            return None
        shown.extend(octets[run:start])
        shown.extend(_REPLACEMENT)
        run = at
    shown.extend(octets[run:at])
    return bytes(shown).decode(), end
