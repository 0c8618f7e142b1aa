"""A message's parts as events, while its octets pass through one buffer (RFC 2046 5.1, RFC 5322).

    parser = Parser(bytearray(4096))
    while True:
        event = parser.next()
        if event == NEED:
            parser.filled(file.readinto(parser.room()))
        elif event == PART: ...
        elif event == DONE:
            break

Nothing is ever raised for what a message contains. Lines end in LF or CRLF. What does not follow
the RFCs is read like this:
- A line in a header that is neither a field nor the continuation of one ends it and belongs to the
  body. "From " lines are passed over (mbox), as are continuations of nothing.
- A multipart without a boundary that can be used, one that lies deeper than limits.MIME_NESTING,
  and a message/rfc822 that is encoded, is a leaf: it has DATA and no parts.
- The delimiters of an outer multipart end all inner ones; the end of the message ends all.
- A delimiter fills its line, but for blanks behind it. One that follows another at once begins no
  part: between them would have to be an empty line.
"""

from micropython import const

from picopost.limits import MIME_BOUNDARY, MIME_BUFFER, MIME_LOOK, MIME_NESTING, MIME_PARTS
from picopost.mime import fields, nesting

try:
    from picopost.mime.octets_viper import count, find
except ImportError:  # no native code for this machine
    from picopost.mime.octets import count, find

NEED = const(0)  # more of the message is wanted: room() and filled()
PART = const(1)  # a part begins, and its header
FIELD = const(2)  # one field of a header: name, value, truncated
BODY = const(3)  # the header is over: content_type, encoding, leaf, header_start, body_start
DATA = const(4)  # octets of a leaf's body: data
END = const(5)  # the part is over: body_end, lines
DONE = const(6)  # the message is over; from now on always
PREAMBLE = const(7)  # octets before a multipart's first part: data. Its text where no part comes

_BEGIN = const(0)
_NEW_PART = const(1)  # behind a delimiter
_NEW_MESSAGE = const(2)  # behind a message/rfc822's header
_HEADER = const(3)
_BODY = const(4)
_AROUND = const(5)  # preamble or epilogue
_ENDING = const(6)
_DONE = const(7)

_UNKNOWN = const(-1)
_MESSAGE_TYPES = (b"message/rfc822", b"message/global")  # RFC 2046 5.2.1, RFC 6532 3.7
_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


class Parser:
    """Reads one message. `buffer`: the caller's bytearray, limits.MIME_BUFFER octets at least.

    Properties of the part an event is about, offsets in octets from the beginning of the message:
    path          str: its section number (RFC 3501 6.4.5), "" for the message. From BODY on a body
                  that is no multipart of a message has the number of that: "1", "2.1"
    message       True: its header is a message's: the whole one, or that in a message/rfc822, whose
                  path the latter's header has too
    depth         parts around it
    header_start, body_start (from BODY on), body_end (at END, without the line end that belongs to
                  the delimiter), lines (LF in the body, at END)
    content_type  bytes, lower case, with the defaults of RFC 2045 5.2 and RFC 2046 5.1.5 (from BODY
                  to the next PART)
    encoding      bytes, lower case, b"" if none is given
    leaf          False: parts follow, not DATA
    name, value, truncated  of a FIELD; value is bytes, unfolded, at most limits.MIME_VALUE
    data          memoryview in `buffer`, of DATA and PREAMBLE, until room() is called
    cut           True: there were more than limits.MIME_PARTS parts
    """

    def __init__(self, buffer):
        if len(buffer) < MIME_BUFFER:
            raise ValueError("buffer too small")
        self.content_type = self.encoding = b""
        self.data = None
        self.leaf = True
        self.cut = False
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._at = 0  # buffer[_at:_end] is still to be read
        self._end = 0
        self._base = 0  # octets of the message before buffer[0]
        self._eof = False
        self._lines = 0  # LF before buffer[_at]
        self._line_end = 0  # octets of the line end before it
        self._at_line = True  # a line begins there
        self._open = nesting.Nesting()
        self._parts = 0
        self._state = _BEGIN
        self._field = fields.Field()
        self._in_line = False  # of a header
        self._given_type = self._boundary = None
        self._body_end = self._end_lines = 0
        self._keep = 0  # parts that stay open where others end
        self._last = False  # no further part of the innermost multipart follows
        self._ended = False  # the innermost part's END was told

    # --- the message comes ----------------------------------------------------------------

    def room(self):
        """Where more of the message is to be put: a memoryview. To be called on NEED."""
        at = self._at
        if at:
            left = self._end - at
            self._view[:left] = self._view[at:self._end]
            self._base += at
            self._at = 0
            self._end = left
        return self._view[self._end:]

    def filled(self, octets):
        """So many octets were put there; 0: the message is at its end."""
        self._end += octets
        self._eof = not octets

    # --- of the part ----------------------------------------------------------------------

    @property
    def path(self):
        return self._open.path()

    @property
    def depth(self):
        return self._open.depth - 1

    @property
    def message(self):
        return bool(self._open.get(nesting.FLAGS) & nesting.MESSAGE)

    @property
    def header_start(self):
        return self._open.get(nesting.HEADER)

    @property
    def body_start(self):
        return self._open.get(nesting.BODY)

    @property
    def body_end(self):
        return max(self._body_end, self.body_start)

    @property
    def lines(self):
        return max(self._end_lines - self._open.get(nesting.LINES), 0)

    @property
    def name(self):
        return self._field.name

    @property
    def value(self):
        return self._field.value()

    @property
    def truncated(self):
        return self._field.truncated

    # --- events ---------------------------------------------------------------------------

    def next(self):
        """The next event."""
        if self._ended:
            self._ended = False
            self._open.close()
        while True:
            state = self._state
            if state == _BODY or state == _AROUND:
                event = self._scan()
            elif state == _HEADER:
                event = self._header()
            elif state == _NEW_PART:
                event = self._new_part()
            elif state == _ENDING:
                event = self._ending()
            elif state == _DONE:
                return DONE
            else:
                event = self._begin(0, nesting.MESSAGE)
            if event is not None:
                return event

    def _begin(self, number, flags):
        self._open.open(number, self._base + self._at, flags)
        self._parts += 1
        self._given_type = self._boundary = None
        self.encoding = b""
        self._in_line = self._field.active = False
        self._state = _HEADER
        return PART

    def _new_part(self):
        kind = self._delimiter(self._at)
        if kind == _UNKNOWN:
            return NEED
        if kind >> 1 == self._open.depth:
            self._delimited(self._at, kind)
            return None
        number = self._open.get(nesting.CHILDREN) + 1
        self._open.put(nesting.CHILDREN, number)
        return self._begin(number, 0)

    def _header(self):
        buffer = self._buffer
        field = self._field
        while True:
            at = self._at
            end = self._end
            if self._in_line:
                stop = line_end = buffer.find(b"\n", at, end)
                if line_end < 0:
                    stop = end
                if stop > at and buffer[stop - 1] == 13 and (line_end >= 0 or not self._eof):
                    stop -= 1  # its LF may still come
                field.append(self._view[at:stop])
                self._at = stop
                if line_end < 0:
                    if not self._eof:
                        return NEED
                    self._line_end = 0
                else:
                    self._next_line(line_end, line_end + 1 - stop)
                self._in_line = False
                continue
            look = min(end, at + MIME_LOOK)
            line_end = buffer.find(b"\n", at, look)
            if line_end < 0:
                if look == end and end - at < MIME_LOOK and not self._eof:
                    return NEED
                line_end = look
            if at < end and (buffer[at] == 32 or buffer[at] == 9):
                self._in_line = True
                continue
            if field.active:
                field.active = False
                self._note_field()
                return FIELD
            if at == end:
                return self._header_over()
            if buffer[at] == 10 or buffer.find(b"\r\n", at, min(look, at + 2)) == at:
                self._next_line(line_end, line_end + 1 - at)
                return self._header_over()
            if buffer.find(b"From ", at, min(look, at + 5)) == at:
                self._in_line = True
                continue
            name = b""
            colon = buffer.find(b":", at, line_end)
            if colon > 0:
                name = bytes(buffer[at:colon]).rstrip(b" \t")  # RFC 5322 4.5: blanks are obsolete
                if name and (min(name) < 33 or max(name) > 126):
                    colon = -1
            if colon < 0 or buffer.startswith(b"--", at) and self._delimiter(at):
                return self._header_over()
            if name:
                field.begin(name)
            self._at = colon + 1
            self._in_line = True

    def _next_line(self, line_end, octets):
        self._at = line_end + 1
        self._lines += 1
        self._line_end = octets

    def _note_field(self):
        name = self._field.name.lower()
        if name == b"content-type":
            if self._given_type is None:
                self._given_type, self._boundary = fields.media_type(self._field.value())
        elif name == b"content-transfer-encoding" and not self.encoding:
            self.encoding = fields.token(self._field.value())

    def _header_over(self):
        opened = self._open
        opened.put(nesting.BODY, self._base + self._at)
        opened.put(nesting.LINES, self._lines)
        self._at_line = True
        kind = self._given_type
        if kind is None:
            kind = b"text/plain"
            if opened.depth > 1 and opened.get(nesting.FLAGS, 1) & nesting.DIGEST:
                kind = b"message/rfc822"
        self.content_type = kind
        self.leaf = True
        self._state = _BODY
        multipart = kind.startswith(b"multipart/")
        if opened.depth <= MIME_NESTING:
            if multipart and self._boundary and len(self._boundary) <= MIME_BOUNDARY:
                if kind == b"multipart/digest":
                    opened.put(nesting.FLAGS, opened.get(nesting.FLAGS) | nesting.DIGEST)
                opened.begin_boundary(self._boundary)
                self.leaf = False
                self._state = _AROUND
            elif kind in _MESSAGE_TYPES and self.encoding in _PLAIN_ENCODINGS:
                self.leaf = False
                self._state = _NEW_MESSAGE
        if not multipart and not opened.get(nesting.NUMBER):
            opened.put(nesting.NUMBER, 1)
        return BODY

    def _scan(self):
        """Body, preamble or epilogue, up to the next delimiter."""
        buffer = self._buffer
        needle = self._open.needle
        while True:
            at = self._at
            stop = end = self._end
            found = kind = _UNKNOWN
            if needle:
                if self._at_line:
                    kind = self._delimiter(at)
                    if kind == _UNKNOWN:
                        return NEED
                    if kind:
                        self._delimited(at, kind)
                        return None
                look = at
                while True:
                    found = find(buffer, look, end, needle)
                    if found < 0:
                        break
                    kind = self._delimiter(found + 1)
                    if kind:
                        break
                    look = found + 1
                if found >= 0:
                    stop = found
                elif not self._eof:
                    stop = self._unsure(max(look, end - len(needle)), end)
                if stop > at and buffer[stop - 1] == 13 and (found >= 0 or not self._eof):
                    stop -= 1
            if stop > at:
                self._at = stop
                self._at_line = False
                self._lines += count(buffer, at, stop)
                if self._state == _BODY:
                    self.data = self._view[at:stop]
                    return DATA
                if not self._last:
                    self.data = self._view[at:stop]
                    return PREAMBLE
            elif found >= 0 and kind != _UNKNOWN:
                self._delimited(found + 1, kind)
                return None
            elif self._eof:
                self._body_end = self._base + at
                self._end_lines = self._lines
                self._keep = 0
                self._state = _ENDING
                return None
            else:
                return NEED

    def _unsure(self, at, end):
        """Where in buffer[at:end] the beginning of a delimiter may be of which more is to come."""
        last = self._buffer.rfind(b"\n", at, end)
        if last >= 0 and self._open.needle.startswith(bytes(self._view[last:end])):
            return last
        return end

    def _delimiter(self, at):
        """What the line at buffer[at] delimits, as Nesting.match; _UNKNOWN: it goes on."""
        buffer = self._buffer
        look = min(self._end, at + MIME_LOOK)
        line_end = buffer.find(b"\n", at, look)
        if line_end < 0:
            if look - at == MIME_LOOK:  # whether more has come or not
                return 0
            if not self._eof:
                dashes = b"--".startswith(bytes(self._view[at:min(look, at + 2)]))
                return _UNKNOWN if dashes else 0
            line_end = look
        if not buffer.startswith(b"--", at):
            return 0
        return self._open.match(bytes(self._view[at + 2:line_end]).rstrip(b" \t\r"))

    def _delimited(self, line, kind):
        """A delimiter is at buffer[line], and buffer[_at:line] is the line end that is its own."""
        buffer = self._buffer
        at = self._at
        self._body_end = self._base + at
        self._end_lines = self._lines
        if at == line:  # read already, in a header or as another delimiter's
            self._body_end -= self._line_end
            self._end_lines -= self._line_end > 0
        else:
            self._lines += 1
        self._keep = kind >> 1
        line_end = buffer.find(b"\n", line, self._end)
        if line_end < 0:
            line_end = self._end
        text = len(bytes(self._view[line:line_end]).rstrip(b" \t\r"))
        self._last = bool(kind & 1)
        if self._parts >= MIME_PARTS:
            self._last = self.cut = True
        if self._last:
            self._at = line + text
            self._at_line = False
            self._line_end = 0
        elif line_end < self._end:
            self._next_line(line_end, 2 if buffer[line_end - 1] == 13 else 1)
        else:
            self._at = line_end
            self._line_end = 0
        self._state = _ENDING

    def _ending(self):
        opened = self._open
        if opened.depth > self._keep:
            self._ended = True
            return END
        if not opened.depth:
            self._state = _DONE
        elif self._last:
            opened.end_boundary()
            self._state = _AROUND
        else:
            self._state = _NEW_PART
        return None
