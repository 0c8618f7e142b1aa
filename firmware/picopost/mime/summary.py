"""What a list or a notice shows of a message: who wrote it, about what, when, its first line of
text, and what is attached."""

from picopost import limits
from picopost.mime import addresses, charsets, dates, encoded_words, parts, transfer
from picopost.mime.content import Content

_TARGET = 512


class Summary:
    """
    sender       (name, address) of the first in From, or of Sender: two str, "" where there is none
    subject      str
    date         as dates.parse, or None
    text         str: the first line of the first text/plain that has one, else of a text/html; at
                 most limits.MIME_TEXT characters
    attachments  [(filename, content type, octets)]: str, str, at most limits.MIME_TEXT characters,
                 and the size without its transfer encoding; limits.MIME_ATTACHMENTS at most
    more         how many attachments there are beside these
    text_is_html  where `text` is from
    """

    def __init__(self):
        self.sender = ("", "")
        self.subject = self.text = ""
        self.date = None
        self.attachments = []
        self.more = 0
        self.text_is_html = False


def read(file, buffer):
    """The Summary of the message that `file` (anything with `readinto`) has from where it stands up
    to its end. `buffer`: the caller's bytearray, limits.MIME_BUFFER octets at least.

    Raises what `file` raises, and nothing for what is in the message.
    """
    reading = Reading(file, buffer)
    while reading.step():
        pass
    return reading.summary


class Reading:
    """`read` for who has other things to do between two blocks. `summary`: what is known so far."""

    def __init__(self, file, buffer):
        self.summary = Summary()
        self._file = file
        self._parser = parts.Parser(buffer)
        self._target = memoryview(bytearray(_TARGET))
        self._part = None

    def step(self):
        """Go on to where the buffer has to be filled, and fill it. False: all is known."""
        parser = self._parser
        while True:
            event = parser.next()
            if event == parts.NEED:
                parser.filled(self._file.readinto(parser.room()))
                return True
            if event == parts.PART:
                self._part = _Part(self.summary, parser.depth == 0)
            elif event == parts.FIELD:
                self._part.field(parser.name.lower(), parser.value)
            elif event == parts.BODY:
                self._part.begin(parser)
            elif event == parts.DATA:
                self._part.data(parser.data, self._target)
            elif event == parts.END:
                if parser.leaf and self._part:
                    self._part.end(self._target)
                self._part = None
            elif event == parts.DONE:
                return False


class _Part:
    """One part, as it is read."""

    def __init__(self, summary, outermost):
        self._summary = summary
        self._outermost = outermost
        self._content = Content()
        self._has_from = False
        self._octets = 0
        self._decoder = self._line = None
        self._type = b""

    def field(self, name, value):
        """A field of its header; the name in lower case."""
        summary = self._summary
        self._content.note(name, value)
        if not self._outermost:
            pass
        elif name == b"subject" and not summary.subject:
            summary.subject = encoded_words.decode(value)
        elif name == b"date" and summary.date is None:
            summary.date = dates.parse(value)
        elif name == b"from" and not self._has_from or name == b"sender" and not summary.sender[1]:
            found = addresses.parse(value)
            if found:
                summary.sender = found[0]
                self._has_from = name == b"from"

    def begin(self, parser):
        """The header is over."""
        if not parser.leaf:
            return
        self._type = parser.content_type
        self._decoder = transfer.decoder(parser.encoding)
        if self._content.is_attachment(self._type):
            return
        plain = self._type != b"text/html"
        if not self._summary.text or plain and self._summary.text_is_html:
            self._line = _FirstLine(self._content.charset, not plain)

    def data(self, octets, target):
        """Octets of its body."""
        used = 0
        while used < len(octets):
            consumed, produced = self._decoder.decode(octets[used:], target)
            used += consumed
            self._take(target[:produced], False)

    def end(self, target):
        """It is over."""
        self._take(target[: self._decoder.finish(target)], True)
        summary = self._summary
        if self._line:
            line = self._line.line
            if line:
                summary.text = line
                summary.text_is_html = self._line.is_html
        elif self._content.is_attachment(self._type):
            if len(summary.attachments) < limits.MIME_ATTACHMENTS:
                most = limits.MIME_TEXT
                summary.attachments.append((self._content.name[:most], charsets.decode(
                    self._type[:most], "us-ascii"), self._octets))
            else:
                summary.more += 1

    def _take(self, octets, final):
        self._octets += len(octets)
        if self._line and not self._line.done:
            self._line.take(octets, final)


class _FirstLine:
    """The first line with anything in it, of a text that comes in pieces; `done`: it is known."""

    def __init__(self, charset, is_html):
        self.line = ""
        self.done = False
        self.is_html = is_html
        self._decoder = charsets.Decoder(charset)
        self._left = limits.MIME_TEXT_LOOK
        self._html = None
        if is_html:
            from picopost.mime.html_text import HtmlText

            self._html = HtmlText()

    def take(self, octets, final):
        text = self._decoder.decode(octets, final)
        if self._html:
            text = self._html.read(text, final)
        text = (self.line + text).lstrip()
        line, end, _ = text.replace("\r", "\n").partition("\n")
        self.line = line[: limits.MIME_TEXT]
        self._left -= len(octets)
        self.done = bool(end) or len(line) > limits.MIME_TEXT or self._left < 0
        if self.done or final:
            self.line = charsets.in_a_line(self.line).strip()
