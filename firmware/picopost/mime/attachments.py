"""A message's attachments one after the other, each a stream of what was attached.

    found = Attachments(file, bytearray(4096))
    while found.next():
        print(found.number, found.name, found.content_type)
        while octets := found.readinto(target):
            await connection.write(target[:octets])  # or file.write()
"""

from picopost.mime import charsets, parts, transfer
from picopost.mime.content import Content


class Attachments:
    """Those of the message that `file` (anything with `readinto`) has from where it stands up to
    its end, which is read once. `buffer`: as parts.Parser. Raises what `file` raises, and nothing
    for what is in the message.

    number        of the attachment: 1, 2, ... in the order of the message
    path          its section number (RFC 3501 6.4.5)
    name          of its file, as Content.name
    content_type  str
    octets        of it that were read so far
    """

    def __init__(self, file, buffer):
        self._file = file
        self._parser = parts.Parser(buffer)
        self._content = None
        self._decoder = None  # of the part in which it stands
        self._source = b""  # to be decoded
        self.number = self.octets = 0
        self.path = self.name = self.content_type = ""

    def next(self):
        """Go to the next one, past what was not read of this; False: there is none."""
        found = None
        while found is None:
            found = self.step()
        return found

    def step(self):
        """`next` for who has other things to do between two blocks: None as long as it is not
        known, and the buffer was filled once more.
        """
        self._decoder = None
        self._source = b""
        parser = self._parser
        while True:
            event = parser.next()
            if event == parts.NEED:
                parser.filled(self._file.readinto(parser.room()))
                return None
            if event == parts.PART:
                self._content = Content()
            elif event == parts.FIELD:
                self._content.note(parser.name.lower(), parser.value)
            elif event == parts.BODY:
                kind = parser.content_type
                if parser.leaf and self._content.is_attachment(kind):
                    self.number += 1
                    self.octets = 0
                    self.path = parser.path
                    self.name = self._content.name
                    self.content_type = charsets.decode(kind, "us-ascii")
                    self._decoder = transfer.decoder(parser.encoding)
                    return True
            elif event == parts.DONE:
                return False

    def readinto(self, target):
        """The next octets of it, without its transfer encoding, into `target` (transfer.MIN_TARGET
        octets at least); how many, 0 at its end.
        """
        parser = self._parser
        while self._decoder:
            if len(self._source):
                used, octets = self._decoder.decode(self._source, target)
                self._source = self._source[used:]
            else:
                event = parser.next()
                octets = 0
                if event == parts.NEED:
                    parser.filled(self._file.readinto(parser.room()))
                elif event == parts.DATA:
                    self._source = parser.data
                elif event == parts.END:
                    octets = self._decoder.finish(target)
                    self._decoder = None
            if octets:
                self.octets += octets
                return octets
        return 0
