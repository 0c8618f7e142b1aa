"""Header fields: one at a time, unfolded and bounded, and what the reader of parts must know of two
of them, Content-Type and Content-Transfer-Encoding (RFC 5322 2.2, RFC 2045 5 and 6)."""

from picopost.limits import MIME_VALUE
from picopost.mime.percent import percent_decoded


class Field:
    """The field that is being read: its lines come in pieces and are joined here.

    name       bytes as they are written, without the colon
    truncated  more came than there is room for
    active     a field has begun and was not yet told of
    """

    def __init__(self):
        self.name = b""
        self.truncated = False
        self.active = False
        self._value = bytearray(MIME_VALUE)
        self._length = 0

    def begin(self, name):
        """A field begins."""
        self.name = name
        self.truncated = False
        self.active = True
        self._length = 0

    def append(self, piece):
        """More of its value: a memoryview without line ends (unfolding, RFC 5322 2.2.3)."""
        if not self.active:
            return
        length = self._length
        octets = len(piece)
        if octets > MIME_VALUE - length:
            self.truncated = True
            octets = MIME_VALUE - length
            piece = piece[:octets]
        self._value[length:length + octets] = piece
        self._length = length + octets

    def value(self):
        """The value as bytes, made anew by each call; without blanks before it."""
        return bytes(memoryview(self._value)[:self._length]).lstrip(b" \t")


def media_type(value):
    """Of a Content-Type's value: (type/subtype in lower case, its parameter boundary or b"").

    A type that is none is text/plain (RFC 2045 5.2, as its errors are treated since).
    """
    parts = pieces(value)
    words = parts[0].lower().split() or [b""]
    kind = words[0]
    if b"/" not in kind or kind[-1] == 47:
        kind = b"".join(words)
    if kind.count(b"/") != 1:
        kind = b"text/plain"
    boundary = b""
    for piece in parts[1:]:
        name, _, text = piece.partition(b"=")
        name = name.strip().lower()
        if name == b"boundary":
            boundary = unquoted(text.strip())
            break
        if name.startswith(b"boundary*"):  # RFC 2231 3 and 4; its pieces are in order
            text = unquoted(text.strip())
            if name in (b"boundary*", b"boundary*0*"):
                text = text[text.rfind(b"'") + 1:]
            boundary += percent_decoded(text) if name.endswith(b"*") else text
    return kind, boundary.rstrip()  # no boundary ends in a space


def token(value):
    """A value that is one token, as Content-Transfer-Encoding's: in lower case, no comments."""
    return pieces(value)[0].strip().lower()


def pieces(value):
    """What stands between the semicolons of `value`, without comments (RFC 822 3.4.3)."""
    if b'"' not in value and b"(" not in value:
        return value.split(b";")
    found = []
    piece = bytearray()
    comments = 0  # open ones
    quoted = escaped = False
    for c in value:
        if escaped:
            escaped = False
        elif c == 92:  # backslash
            escaped = True
        elif comments:
            comments += (c == 40) - (c == 41)
            continue
        elif c == 34:
            quoted = not quoted
        elif quoted:
            pass
        elif c == 40:
            comments = 1
            continue
        elif c == 59:
            found.append(bytes(piece))
            piece = bytearray()
            continue
        if not comments:
            piece.append(c)
    found.append(bytes(piece))
    return found


def unquoted(text):
    """A quoted string without its quotes and escapes, and without what comes behind it; anything
    else as it is.
    """
    if text[:1] != b'"':
        return text
    plain = bytearray()
    escaped = False
    for c in text[1:]:
        if escaped:
            escaped = False
        elif c == 34:
            break
        elif c == 92:
            escaped = True
            continue
        plain.append(c)
    return bytes(plain)
