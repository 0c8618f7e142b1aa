"""A letter to read: its header, its text, and what is attached to it, as they come."""

from picopost.console.mail import size
from picopost.console.text import Text
from picopost.mime import charsets, encoded_words, parts, transfer
from picopost.mime.content import Content

_WIDTH = 78
_TARGET = 512
_FIELDS = (b"from", b"to", b"cc", b"date", b"subject")


async def show(out, office, where):
    """Of several forms of a text (multipart/alternative) the first that has anything in it."""
    letter = Text(out, office, where)
    parser = letter.parser
    target = memoryview(bytearray(_TARGET))
    attached = octets = 0
    content = decoder = lines = None
    forms = -1  # the depth of the outermost multipart/alternative that is open
    has_form = False
    while True:
        event = await letter.next()
        if event == parts.PART:
            content = Content()
        elif event == parts.FIELD:
            name = parser.name.lower()
            content.note(name, parser.value)
            if parser.message and name in _FIELDS:
                await Lines(out).text("%s: %s" % (charsets.decode(parser.name, "us-ascii"),
                                                  encoded_words.decode(parser.value)), True)
        elif event == parts.BODY:
            kind = parser.content_type
            if parser.leaf:
                decoder = transfer.decoder(parser.encoding)
                octets = 0
                if content.is_attachment(kind):
                    attached += 1
                elif forms < 0 or not has_form:
                    await out.text("")
                    lines = Lines(out, charsets.Decoder(content.charset), kind == b"text/html")
            elif forms < 0 and kind == b"multipart/alternative":
                forms = parser.depth
                has_form = False
        elif event == parts.DATA:
            used = 0
            while used < len(parser.data):
                consumed, produced = decoder.decode(parser.data[used:], target)
                used += consumed
                octets += produced
                if lines:
                    await lines.octets(target[:produced])
        elif event == parts.END and decoder:
            produced = decoder.finish(target)
            octets += produced
            if lines:
                await lines.octets(target[:produced], True)
                has_form = lines.any
            elif content.is_attachment(parser.content_type):
                await Lines(out).text("[%d] %s (%s, %s)" % (
                    attached, content.name or "without a name",
                    charsets.decode(parser.content_type, "us-ascii"), size(octets)), True)
            decoder = lines = None
        elif event == parts.END and parser.depth == forms:
            forms = -1
        elif event == parts.DONE:
            return


class Lines:
    """Text that comes in pieces as lines of a terminal: no controls, none too long, and of empty
    ones no more than one after another. `any`: there was one that was not empty.
    """

    def __init__(self, out, decoder=None, is_html=False):
        self.any = False
        self._out = out
        self._decoder = decoder
        self._html = None
        self._held = ""  # of a line that is not at its end
        self._was_empty = True
        if is_html:
            from picopost.mime.html_text import HtmlText

            self._html = HtmlText()

    async def octets(self, octets, final=False):
        """The next piece; `final`: there is no other."""
        text = self._decoder.decode(octets, final)
        if self._html:
            text = self._html.read(text, final)
        await self.text(text, final)

    async def text(self, text, final=False):
        text = self._held + text.replace("\r", "").replace("\t", "    ")
        *whole, held = text.split("\n")
        if final:
            whole.append(held)
            held = ""
        for line in whole:
            await self._show(await self._begin(line))
        self._held = await self._begin(held)

    async def _begin(self, line):
        """Show the beginning of one that is too long; what is left of it."""
        while len(line) > _WIDTH:
            at = line.rfind(" ", 0, _WIDTH + 1)
            if at < _WIDTH // 2:
                at = _WIDTH
            await self._show(line[:at])
            line = line[at:].lstrip(" ")
        return line

    async def _show(self, line):
        line = charsets.in_a_line(line).rstrip()
        if line or not self._was_empty:
            await self._out.text(line)
        self._was_empty = not line
        self.any = self.any or bool(line)
