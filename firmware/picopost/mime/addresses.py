"""Address lists, as in From and To (RFC 5322 3.4 and 4.4, RFC 6532)."""

from picopost.limits import MIME_ADDRESSES, MIME_VALUE
from picopost.mime import encoded_words, idn

# What is looked for in one pass.
_COMMENT, _END, _QUOTE, _COMMA, _COLON, _SEMICOLON, _OPEN, _CLOSE, _BACKSLASH = b'()",:;<>\\'
# What would mean something if it were not in quotes stands as a control while a value is read, of
# which no value has any: they are passed over.
_HELD = {9: 1, 32: 1, _QUOTE: 2, 64: 3, _BACKSLASH: 4}


def parse(value):
    """[(name, address)] of `value`, a field's unfolded value (bytes), both as str: limits.
    MIME_ADDRESSES at most, of its first limits.MIME_VALUE octets. Where it fills these its last may
    be cut in two and is told only if it is alone. Never raises.

    Names are decoded (RFC 2047) and without quotes, "" where there is none; the first comment that
    is not blank is one where nothing else is. Domains in punycode are shown as people read them. Of
    a group its members are told, of a route (4.4) the address behind it; without a ";" behind it a
    colon is part of the name that follows. Between two addresses a comma may be missing. What has
    no "@" is an address where it is one word, as a local user's, else a name.
    """
    cut = len(value) >= MIME_VALUE
    if cut:
        value = value[:MIME_VALUE]
    found = []
    one = _Address()
    group = None  # (offset of its first in `found`, what was before the colon)
    comments = 0
    quoted = escaped = False
    for octet in value:
        if octet < 9:
            continue
        if escaped:
            escaped = False
        elif octet == _BACKSLASH and (quoted or comments):
            escaped = True
            continue
        elif comments:
            comments += (octet == _COMMENT) - (octet == _END)
            if not comments:
                one.comment_ends()
                continue
        elif octet == _QUOTE:
            quoted = not quoted
            one.quote(quoted)
            continue
        elif quoted:
            pass
        elif octet == _COMMENT:
            comments = 1
            continue
        elif octet == _OPEN:
            if one.angle is not None and not one.inside:
                one = one.next(found)  # a comma is missing
            one.inside = True
            one.angle = bytearray()
            continue
        elif octet == _CLOSE:
            one.inside = False
            one.behind = len(one.text)
            continue
        elif octet == _COLON and one.inside and one.angle[:1] == b"@":
            one.angle = bytearray()  # a route was before it
            continue
        elif octet == _COLON and not one.inside and one.angle is None and b"[" not in one.text:
            before = _name(bytes(one.text))
            if group and group[0] == len(found):
                before = group[1] + b": " + before
            else:
                _no_group(group, found)
            group = len(found), before
            one = _Address()
            continue
        elif octet == _COMMA and one.inside and one.angle[:1] == b"@":
            one.angle = bytearray(b"@")  # a route goes on
            continue
        elif not one.inside and (octet in (_COMMA, _SEMICOLON)
                                 or octet == _COLON and one.angle is not None):
            one.into(found)
            if len(found) == MIME_ADDRESSES:
                return found
            if octet == _SEMICOLON:
                group = None
            one = _Address()
            continue
        if comments:
            one.comment.append(octet)
        else:
            one.add(_HELD.get(octet, octet) if quoted else octet)
    if not cut or not found:
        one.comment_ends()
        one.into(found)
    _no_group(group, found)
    return found


def _no_group(group, found):
    """What was before a colon is part of the first name behind it."""
    if group and group[1] and group[0] < len(found):
        at, before = group
        name, address = found[at]
        found[at] = (encoded_words.decode(before) + ": " + name).rstrip(), address


class _Address:
    """One that is being read."""

    def __init__(self):
        self.text = bytearray()  # outside of angle brackets
        self.angle = None  # between them
        self.inside = False
        self.behind = 0  # offset in `text` of what is behind them
        self.comment = bytearray()  # of blank ones and the one that is read
        self._named = b""  # the first comment that was not blank

    def add(self, octet):
        (self.angle if self.inside else self.text).append(octet)

    def quote(self, begins):
        """A quotation mark."""
        self.add(_QUOTE)
        if not begins:
            self.add(32)  # what follows is another word, or "@"

    def comment_ends(self):
        self._named = self._named or b" ".join(bytes(self.comment).split())

    def next(self, found):
        """Add this one to `found`; the one that begins behind its angle brackets."""
        text = self.text
        self.text = text[:self.behind]
        other = _Address()
        other.text = text[self.behind:]
        self.into(found)
        return other

    def into(self, found):
        """Add what there is to `found`, if it is anything."""
        text = bytes(self.text)
        if self.angle is None:
            pairs = _bare(text)
        else:
            address = b"".join(bytes(self.angle).split())
            pairs = [(text, address)]
            if b"@" in text[self.behind:]:
                pairs = [(text[:self.behind], address)] + _bare(text[self.behind:])
        for name, address in pairs:
            name = _name(name)
            if not name:
                name, self._named = self._named, b""
            if (name or address or self.angle is not None) and len(found) < MIME_ADDRESSES:
                found.append((encoded_words.decode(name), _shown(address)))


def _bare(text):
    """[(name, address)] of what has no angle brackets: names are before their addresses, or behind
    the last.
    """
    if b"@" not in text and b"\3" in text:
        # An address in quotes, or one of the quotes is missing.
        text = _name(text).replace(b"<", b" ").replace(b">", b" ")
    words = text.split()
    if b"@" not in text:
        return [(b"", words[0])] if len(words) == 1 and b'"' not in text else [(text, b"")]
    # Blanks around "@" and dots are obsolete, and some devices have them.
    joined = b" ".join(words).replace(b" @", b"@").replace(b"@ ", b"@")
    closer = joined.replace(b" .", b".").replace(b". ", b".")
    words = [closer] if b" " not in closer else joined.split()
    pairs = []
    name = []
    for word in words:
        if b"@" in word:
            pairs.append((b" ".join(name), word))
            name = []
        else:
            name.append(word)
    if name:
        before, address = pairs[-1]
        pairs[-1] = before + b" " + b" ".join(name), address
    return pairs


def _name(text):
    """`text` without quotation marks, as a name."""
    text = text.replace(b'"', b"").replace(b"\1", b" ").replace(b"\2", b'"')
    return b" ".join(text.replace(b"\3", b"@").replace(b"\4", b"\\").split())


def _shown(address):
    # Quotes belong to a local-part, and what is in them stays as it is.
    address = address.replace(b"\1", b" ").replace(b"\2", b'\\"')
    address = address.replace(b"\3", b"@").replace(b"\4", b"\\\\")
    local, at, domain = encoded_words.plain(address).rpartition("@")
    return local + at + idn.shown(domain)
