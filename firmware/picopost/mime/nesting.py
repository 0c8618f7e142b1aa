"""The parts that are open at one point of a message, from the message itself down to the innermost,
and the boundaries that may end them."""

from array import array

from micropython import const

from picopost.limits import MIME_NESTING

# What is kept of each, in one array: objects would take four times the room.
NUMBER = const(0)  # among its siblings, or 0 where its path does not count it
CHILDREN = const(1)  # so far
HEADER = const(2)  # offsets of its header
BODY = const(3)  # and its body
LINES = const(4)  # LF before its body
FLAGS = const(5)
_SIZE = const(6)

MESSAGE = const(1)  # its header is one of RFC 5322: the message itself, or one in a part
DIGEST = const(2)  # its parts are messages if they do not say otherwise (RFC 2046 5.1.5)


class Nesting:
    """A stack of parts.

    depth   of them, the message itself is the first
    needle  what begins every line that may end a part: LF and what all open boundaries begin with;
            b"" while there is none, so that one `find` is enough for all of them
    """

    def __init__(self):
        self.depth = 0
        self.needle = b""
        self._parts = array("I", bytes(4 * _SIZE * (MIME_NESTING + 1)))
        # Open multiparts: their boundaries one behind the other and where each begins, which part
        # of the stack each is, and how much of its boundary all up to it begin with.
        self._multiparts = 0
        self._boundaries = bytearray()
        self._starts = array("H", bytes(2 * MIME_NESTING + 2))
        self._owners = bytearray(MIME_NESTING)
        self._common = bytearray(MIME_NESTING)

    def open(self, number, header, flags):
        """A part begins in the innermost one, with the header at offset `header`."""
        at = self.depth * _SIZE
        self.depth += 1
        for value in (number, 0, header, header, 0, flags):
            self._parts[at] = value
            at += 1

    def get(self, what, up=0):
        """`what` (NUMBER to FLAGS) of the innermost part, or of the one that is `up` above it."""
        return self._parts[(self.depth - 1 - up) * _SIZE + what]

    def put(self, what, value):
        """Note it of the innermost part."""
        self._parts[(self.depth - 1) * _SIZE + what] = value

    def close(self):
        """The innermost part is over."""
        self.depth -= 1
        if self._multiparts and self._owners[self._multiparts - 1] == self.depth:
            self.end_boundary()

    def begin_boundary(self, boundary):
        """The innermost part is a multipart."""
        index = self._multiparts
        common = len(boundary)
        if index:
            common = self._common[index - 1]
            while not boundary.startswith(bytes(self._boundaries[:common])):
                common -= 1
        self._boundaries += boundary
        self._multiparts = index + 1
        self._starts[index + 1] = len(self._boundaries)
        self._owners[index] = self.depth - 1
        self._common[index] = common
        self._set_needle()

    def end_boundary(self):
        """The innermost multipart has no more parts."""
        self._multiparts -= 1
        self._boundaries = self._boundaries[:self._starts[self._multiparts]]
        self._set_needle()

    def _set_needle(self):
        self.needle = b""
        if self._multiparts:
            self.needle = b"\n--" + bytes(self._boundaries[:self._common[self._multiparts - 1]])

    def match(self, line):
        """What `line` (without "--" before and blanks behind) delimits: 0 nothing; else twice the
        depth of the multipart, and 1 more where it is the last delimiter.

        The innermost one goes first: some programs gave two of them the same boundary.
        """
        for index in range(self._multiparts - 1, -1, -1):
            start = self._starts[index]
            end = self._starts[index + 1]
            more = len(line) - (end - start)
            if more == 0 or more == 2 and line.endswith(b"--"):
                if self._boundaries.find(line[:end - start], start, end) == start:
                    return (self._owners[index] + 1 << 1) + (more > 0)
        return 0

    def path(self):
        """The innermost part's section number in IMAP (RFC 3501 6.4.5), as a str."""
        numbers = [self._parts[at] for at in range(NUMBER, self.depth * _SIZE, _SIZE)]
        return ".".join([str(number) for number in numbers if number])
