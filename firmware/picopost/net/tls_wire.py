"""What mbedTLS takes for its socket: a connection of either link, without waiting."""

import errno
import io

from micropython import const

# Which way the wire would have blocked.
READ = const(1)
WRITE = const(2)

ALERT = const(21)  # the record's type, RFC 5246 6.2.1
_CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"
_CLOSE = const(4)  # what io.IOBase's ioctl may be asked


class Wire(io.IOBase):
    """A stream for `SSLContext.wrap_socket`, and what its session's last call met.

    It hands over one record a call of the session and then claims to be dry, so that a call
    computes for one record at most, and what a record means is not mixed with data before it.
    Failures are kept in `error` and `ended` instead of being told to mbedTLS, which would drop
    what it has already decrypted and knows no more than 255 errors.
    """

    def __init__(self):
        self.connection = None  # there has to be one before the session does anything
        self.restart()

    def restart(self):
        """For another session."""
        self._in_body = False  # of a record, else in its header of 5 octets
        self._had_record = False
        self._finishing = False  # our ChangeCipherSpec is out, or on its way
        self.established = False
        self.blocked = 0  # the way in which the last call had to give up; 0: neither
        self.ended = False
        self.error = None
        self.first = b""  # the peer's first 5 octets
        self.tail = b""  # the last two octets of the handshake's last read
        self.length = 0  # of the last record's body

    def begin(self):
        """A call of the session follows."""
        self.blocked = 0
        self._had_record = False

    def readinto(self, buf):
        if self._finishing and not self.established:
            # mbedTLS has written its Finished, the last message, and asks for what follows.
            self.established = True
            return None
        if self._had_record or self.error:
            return None
        try:
            count = self.connection.read_now(buf)
            if count is None:
                self.blocked = READ
                return None
            if not count:
                self.ended = True
                return None
            if not self.established:
                self._note(buf, count)
        except (OSError, MemoryError) as error:
            self.error = error
            return None
        # mbedTLS asks for the rest of a header or of a body, never for more.
        if count == len(buf):
            self._had_record = self._in_body
            self._in_body = not self._in_body
        return count

    def _note(self, buf, count):
        if len(self.first) < 5:
            self.first += bytes(buf[:count])
        if self._in_body:
            # A body that came in pieces is asked for piece by piece: the first asks for all.
            self.length = max(self.length, len(buf))
            self.tail = (self.tail + bytes(buf[max(0, count - 2) : count]))[-2:]
        else:
            self.length = 0

    def write(self, buf):
        if self.error:
            return None
        if not self.established and buf == _CHANGE_CIPHER_SPEC:
            self._finishing = True
        try:
            count = self.connection.write_now(buf)
        except (OSError, MemoryError) as error:
            self.error = error
            return None
        if not count:
            self.blocked = WRITE
            return None
        return count

    def ioctl(self, request, argument):
        return 0 if request == _CLOSE else -errno.EINVAL
