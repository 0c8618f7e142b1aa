"""A letter on the card as its parts, for who has other things to do between two of its blocks."""

from picopost import limits
from picopost.mime import parts

try:
    from picopost.mime.octets_viper import find
except ImportError:  # no native code for this machine
    from picopost.mime.octets import find

_SIGN = 0x3E  # >
_LF = 0x0A


class Text:
    """`where`: (file that stands at the message's beginning, octets on the card), as
    Maildrop.open_message has it. `parser` is at the event that `next` returned.
    """

    def __init__(self, out, office, where):
        self.parser = parts.Parser(bytearray(limits.CONSOLE_BUFFER))
        self.read = 0  # octets so far
        self._out = out
        self._office = office
        self._file, self._left = where
        self._line_begins = True

    async def next(self):
        """The parser's next event but NEED. OSError when the card has not what it should."""
        parser = self.parser
        while True:
            event = parser.next()
            if event != parts.NEED:
                return event
            await self._out.wait()
            await self._office.ready()
            room = parser.room()
            parser.filled(self._unquoted(room, self._fill(room)))

    def _fill(self, room):
        if not self._left:
            return 0
        count = self._file.readinto(room[: min(len(room), self._left)])
        if not count:
            raise OSError(5, "the message is cut on the card")
        self._left -= count
        self.read += count
        return count

    def _unquoted(self, room, count):
        """Undo mboxrd's quoting in room[:count]; how many octets are left of them. What may be the
        beginning of a quoted line at the end is left to the next time.
        """
        at = count
        while at and count - at < limits.MIME_BUFFER and room[at - 1] in b">From ":
            at -= 1
        if self._left and at and room[at - 1] == _LF and room[at:at + 1] == b">":
            self._file.seek(at - count, 1)
            self._left += count - at
            self.read -= count - at
            count = at
        at = 0
        while True:
            at = find(room, at, count, b">From ")
            if at < 0:
                break
            begin = at
            while begin and room[begin - 1] == _SIGN:
                begin -= 1
            if room[begin - 1] == _LF if begin else self._line_begins:
                room[at : count - 1] = room[at + 1 : count]
                count -= 1
            at += 5
        if count:
            self._line_begins = room[count - 1] == _LF
        return count
