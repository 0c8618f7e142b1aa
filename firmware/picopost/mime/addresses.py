"""Address lists, as in From and To (RFC 5322 3.4 and 4.4)."""

from picopost.limits import MIME_ADDRESSES
from picopost.mime import encoded_words, idn

# What is looked for in one pass.
_COMMENT, _END, _QUOTE, _COMMA, _COLON, _SEMICOLON, _OPEN, _CLOSE, _BACKSLASH = b'()",:;<>\\'


def parse(value):
    """[(name, address)] of `value`, a field's unfolded value (bytes), both as str: limits.
    MIME_ADDRESSES at most; never raises.

    Names are decoded (RFC 2047) and without quotes, "" where there is none; a comment is one where
    nothing else is. Domains in punycode are shown as people read them. Of a group its members are
    told, of a route (4.4) the address behind it. What has no "@" is an address where it is one
    word, as a local user's, else a name.
    """
    found = []
    one = _Address()
    comments = 0
    quoted = escaped = False
    for octet in value:
        if escaped:
            escaped = False
        elif octet == _BACKSLASH and (quoted or comments):
            escaped = True
            if quoted and one.inside:
                one.add(octet)  # part of a local-part, which stays as it is
            continue
        elif comments:
            comments += (octet == _COMMENT) - (octet == _END)
            if comments:
                one.comment.append(octet)
            continue
        elif octet == _QUOTE:
            quoted = not quoted
            one.quote(quoted)
            continue
        elif quoted:
            pass
        elif octet == _COMMENT:
            comments = 1
            one.comment = bytearray()
            continue
        elif octet == _OPEN:
            one.inside = True
            one.angle = bytearray()
            continue
        elif octet == _CLOSE:
            one.inside = False
            continue
        elif octet == _COLON and one.inside and one.angle[:1] == b"@":
            one.angle = bytearray()  # a route was before it
            continue
        elif octet == _COLON and not one.inside and b"[" not in one.text:
            one = _Address()  # a group's name was before it
            continue
        elif octet == _COMMA and one.inside and one.angle[:1] == b"@":
            one.angle = bytearray(b"@")  # a route goes on
            continue
        elif octet in (_COMMA, _SEMICOLON) and not one.inside:
            one.into(found)
            if len(found) == MIME_ADDRESSES:
                return found
            one = _Address()
            continue
        if comments:
            one.comment.append(octet)
        else:
            one.add(octet)
    one.into(found)
    return found


class _Address:
    """One that is being read."""

    def __init__(self):
        self.text = bytearray()  # outside of angle brackets, without quotes
        self.angle = None  # between them
        self.inside = False
        self.comment = bytearray()
        self._quotes = []  # offsets in `text` where a quoted string begins and ends

    def add(self, octet):
        (self.angle if self.inside else self.text).append(octet)

    def quote(self, begins):
        """A quotation mark."""
        if self.inside:
            self.angle.append(_QUOTE)
        else:
            self._quotes.append(len(self.text))

    def into(self, found):
        """Add what there is to `found`, if it is anything."""
        text = bytes(self.text)
        address = b""
        if self.angle is not None:
            address = b"".join(bytes(self.angle).split())
            name = text
        else:
            name, address = self._bare(text)
        name = b" ".join(name.split()) or b" ".join(bytes(self.comment).split())
        if name or address or self.angle is not None:
            found.append((encoded_words.decode(name), _shown(address)))

    def _bare(self, text):
        """(name, address) of what has no angle brackets."""
        quotes = self._quotes
        if len(quotes) > 1 and text[quotes[1] :].lstrip()[:1] == b"@":  # "a b"@c: a local-part
            domain = b"".join(text[quotes[1] :].split())
            return b"", b'"' + text[quotes[0] : quotes[1]] + b'"' + domain
        words = text.split()
        if b"@" in text:
            # Blanks around "@" and dots are obsolete, and some devices have them.
            joined = b" ".join(words).replace(b" @", b"@").replace(b"@ ", b"@")
            closer = joined.replace(b" .", b".").replace(b". ", b".")
            words = [closer] if b" " not in closer else joined.split()
            last = max(at for at in range(len(words)) if b"@" in words[at])
            return b" ".join(words[:last] + words[last + 1 :]), words[last]
        if len(words) == 1 and not quotes:
            return b"", words[0]
        return text, b""


def _shown(address):
    local, at, domain = encoded_words.plain(address).rpartition("@")
    return local + at + idn.shown(domain)
