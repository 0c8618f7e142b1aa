"""Octets of a charset as text. What is wrong or not known is shown as U+FFFD, never raised."""

from picopost.mime import utf8

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
    return utf8.decode(octets, True, True) is not None


def in_a_line(text):
    """`text` with a blank for each control character: one line, and no terminal's commands."""
    octets = text.encode()
    if not octets or min(octets) >= 0x20 and b"\x7f" not in octets and b"\xc2" not in octets:
        return text
    shown = bytearray()
    after = 0
    for octet in octets:
        if octet < 0x20 or octet == 0x7F:
            octet = 0x20
        elif after == 0xC2 and octet < 0xA0:  # U+0080 to U+009F
            shown[-1] = 0x20
            after = octet
            continue
        shown.append(octet)
        after = octet
    return bytes(shown).decode()


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
        self._latin_1 = name in _LATIN_1
        self._table = None
        if not self._utf8 and not self._latin_1:
            name = _ALIASES.get(name, name)
            if name[:4] in ("iso-", "wind", "koi8"):
                from picopost.mime import charset_tables

                self._table = charset_tables.TABLES.get(name)

    def decode(self, octets, final=False):
        """The text of `octets`, and of what the piece before left; `final`: no more comes."""
        if self._utf8:
            if self._rest:
                octets = self._rest + bytes(octets)
            text, used = utf8.decode(octets, final)
            self._rest = bytes(octets[used:])
            return text
        if not len(octets) or max(octets) < 0x80:
            return bytes(octets).decode()
        shown = bytearray()
        table = self._table
        for octet in octets:
            if octet < 0x80:
                shown.append(octet)
            elif table:
                shown.extend(table[octet - 0x80 : octet - 0x7F].encode())
            else:
                utf8.append(shown, octet if self._latin_1 else 0xFFFD)
        return bytes(shown).decode()
