"""What a part's header says of what is in it."""

from picopost.mime import parameters

_TEXT_TYPES = (b"text/plain", b"text/html")


class Content:
    """Noted field by field.

    disposition  "attachment", "inline", another token, or ""
    name         the file's, as it was sent: a str, "" where it has none. It may be anything but a
                 path that it would be wise to use
    charset      of a text
    """

    def __init__(self):
        self.disposition = ""
        self.name = ""
        self.charset = "us-ascii"  # RFC 2045 5.2

    def note(self, name, value):
        """A field of the header: its name in lower case, and its value (bytes)."""
        if name == b"content-disposition":
            self.disposition, found = parameters.parse(value)
            self.name = found.get("filename") or self.name
        elif name == b"content-type":
            found = parameters.parse(value)[1]
            self.name = self.name or found.get("name", "")
            self.charset = found.get("charset", self.charset)

    def is_attachment(self, content_type):
        """Whether a leaf of that type (bytes) is to be kept rather than read (RFC 2183 2): it says
        so, it has a name, or it is no text. A multipart that is a leaf has no boundary, and is read
        as text.
        """
        return self.disposition == "attachment" or bool(self.name) or not (
            content_type in _TEXT_TYPES or content_type.startswith(b"multipart/"))
