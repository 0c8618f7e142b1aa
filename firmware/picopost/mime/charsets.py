"""Octets of a charset as text. What is wrong or not known is shown as U+FFFD, never raised."""

_REPLACEMENT = "\ufffd"
_UTF_8 = ("utf-8", "utf8", "unicode-1-1-utf-8")
_LATIN_1 = ("iso-8859-1", "latin1", "latin-1", "l1", "cp819")
# Other names (IANA's register, and what programs write) of those in charset_tables.py.
_ALIASES = {"latin2": "iso-8859-2", "latin-2": "iso-8859-2", "latin9": "iso-8859-15",
            "latin-9": "iso-8859-15", "koi8r": "koi8-r"}


def decode(octets, charset):
    """`octets` (bytes, bytearray) in `charset`, a str as it stands in a header, as a str.

    utf-8, us-ascii, iso-8859-1, -2 and -15, windows-1250 to -1252, koi8-r, by any of their names;
    of others only the ASCII characters.
    """
    return Decoder(charset).decode(octets, True)


def is_utf8(octets):
    """Whether they are, from the first to the last."""
    return _utf8(octets, True, True) is not None


class Decoder:
    """`decode` for text that comes in pieces, cut anywhere, also within a character of UTF-8."""

    def __init__(self, charset):
        self._rest = b""
        name = charset.strip().lower().replace("_", "-")
        if name.startswith("iso8859"):
            name = "iso-" + name[3:]
        elif name.startswith("cp125"):
            name = "windows-" + name[2:]
        self._utf8 = name in _UTF_8
        self._table = None
        if name in _LATIN_1:
            self._table = chr
        elif not self._utf8:
            name = _ALIASES.get(name, name)
            if name[:4] in ("iso-", "wind", "koi8"):
                from picopost.mime import charset_tables

                table = charset_tables.TABLES.get(name)
                if table:
                    self._table = lambda octet: table[octet - 128]

    def decode(self, octets, final=False):
        """The text of `octets`, and of what the piece before left; `final`: no more comes."""
        if self._utf8:
            if self._rest:
                octets = self._rest + bytes(octets)
            text, used = _utf8(octets, final)
            self._rest = bytes(octets[used:])
            return text
        if _ascii_end(octets, 0) == len(octets):
            return bytes(octets).decode()
        shown = self._table or _unknown
        return "".join([chr(octet) if octet < 128 else shown(octet) for octet in octets])


def _unknown(octet):
    return _REPLACEMENT


def _ascii_end(octets, at):
    """Where in `octets` the first one from `at` on is that is not ASCII."""
    end = len(octets)
    while at < end and octets[at] < 128:
        at += 1
    return at


def _utf8(octets, final, strict=False):
    """(text, octets used). Each maximal part of a character that is none is one U+FFFD, as Unicode
    3.9 recommends; where it is `strict`, the result is None then. MicroPython's own decoder takes
    overlong forms and surrogates.
    """
    pieces = []
    at = 0
    end = len(octets)
    while at < end:
        start = at
        at = _ascii_end(octets, at)
        if at > start:
            pieces.append(bytes(octets[start:at]).decode())
            continue
        code = octets[at]
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
            more = 0
        code &= 0x3F >> more
        at += 1
        if not more:
            code = -1
        while more and at < end and low <= octets[at] <= high:
            code = code << 6 | octets[at] & 0x3F
            low, high = 0x80, 0xBF
            at += 1
            more -= 1
        if more and at == end and not final:
            return "".join(pieces), start
        if more or code < 0:
            if strict:
                return None
            pieces.append(_REPLACEMENT)
        else:
            pieces.append(chr(code))
    return "".join(pieces), at
