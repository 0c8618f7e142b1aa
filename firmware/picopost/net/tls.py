"""TLS around a connection of either link. Loaded with the first session, see identity.py.

MicroPython's mbedTLS does the cryptography; here is when it computes, and how its waiting and
its failures become those of a connection. A TLS connection keeps the contract of the connection
that it wraps. Only what comes over the wire after it was made is read by the session: octets that
a client sent in the clear before its handshake can never pass for protected ones, provided that
the layer above throws away what it has buffered (RFC 3207 4.2).

Of the orderly end, TLS' close_notify: the peer's is understood; ours is not sent, since
MicroPython's `close` frees the session without it. The end of a stream is known by the
protocols above: by `221` and `+OK`, and by the dot at the end of a message.
"""

import asyncio
import errno
import time

from micropython import const

from picopost import load
from picopost.net import tls_wire
from picopost.net.identity import TlsError

_RECORD = const(4096)  # MBEDTLS_SSL_OUT_CONTENT_LEN in MicroPython's configuration

_HUNG_UP = "the peer hung up during the TLS handshake"
_GONE = (errno.ECONNRESET, errno.ECONNABORTED, 32)  # 32: EPIPE, which has no name here


class Connection:
    """A TLS connection; beside what `handshake` adds, the contract of the one inside.

    `version` and `cipher` are texts once the handshake is done. Deadlines are the caller's: it
    cancels. One task at a time may use it.
    """

    piece = _RECORD

    def __init__(self, identity, connection):
        self.peer = connection.peer
        self.local_port = connection.local_port
        self.version = self.cipher = ""
        self._identity = identity
        self._connection = connection
        self._octet = bytearray(1)
        self._unsent = False  # a record that a cancelled write left half sent
        self._wire = None
        self._session = None  # mbedTLS', from `begin` on until it has been given back

    def begin(self, wire, session):
        """The session to use, and the wire that it was made on; nothing is read or written yet."""
        wire.connection = self._connection
        self._wire = wire
        self._session = session

    async def handshake(self):
        """Agree on keys with the client (RFC 5246). Raises TlsError with the cause in words.

        Two of its steps compute long, 230 and 400 ms on an RP2040, and hold the loop so long.
        They are paced: after a step of t ms no handshake's next step starts before another t ms
        have passed, so the sessions of others have at least half of the time. A client that
        takes its time over its handshake holds up nobody but itself.
        """
        try:
            while not self._wire.established:
                await self._identity.turn()
                began = time.ticks_ms()
                count = self._handshake_step()
                self._identity.rest(time.ticks_diff(time.ticks_ms(), began))
                if self._wire.established:
                    break
                if self._wire.error:
                    raise self._broken_off(self._wire.error)
                if self._wire.ended or count == 0:
                    raise TlsError(_HUNG_UP)
                await self._wait()
            self.cipher, self.version = self._session.cipher()
        finally:
            if not self.version:
                self._end()

    def _handshake_step(self):
        self._wire.begin()
        try:
            return self._open_session().readinto(self._octet)
        except OSError as error:
            if not self._session:
                raise
            raise _failure(error, self._wire)

    def _broken_off(self, error):
        """What to raise for an error of the connection; it may have crossed the peer's alert."""
        if not isinstance(error, OSError) or error.errno not in _GONE:
            return error
        alert = bytearray(7)
        try:
            if self._connection.read_now(alert) == 7 and alert[0] == tls_wire.ALERT:
                return TlsError(load("picopost.net.tls_cause").alert_cause(alert[6]))
        except OSError:
            pass  # it had nothing more to say
        return TlsError(_HUNG_UP)

    def read_now(self, buf):
        """One to len(buf) octets; 0 at the end of the stream, None when nothing is there.

        OSError when the peer vanished. An end without close_notify is an end too: mail that is not
        complete is not taken. Raises TlsError for what is no valid record and for the peer's fatal
        alert.
        """
        wire = self._wire
        session = self._open_session()
        wire.begin()
        try:
            count = session.readinto(buf)
        except OSError as error:
            raise _failure(error, wire)
        if count is None:
            if wire.error:
                raise wire.error
            if wire.ended:
                return 0
        return count

    def wait_readable(self):
        """Awaitable: until `read_now`, which has just returned None, is worth another try."""
        return self._wait()

    async def write(self, buf):
        """All of `buf`, at the peer's pace. OSError when it vanished.

        A cancelled write may have sent a part of `buf`, in whole records; what is written next
        follows it.
        """
        if self._unsent:
            await self._flush()
        view = memoryview(buf)
        total = len(view)
        done = 0
        while done < total:
            # mbedTLS wants the same octets again until it has got rid of their record.
            done += await self._write_record(view[done : done + _RECORD])

    async def _flush(self):
        # mbedTLS first sends what is left, and then takes this octet for that record's content.
        await self._write_record(self._octet)

    async def _write_record(self, piece):
        wire = self._wire
        while True:
            session = self._open_session()
            wire.begin()
            try:
                count = session.write(piece)
            except OSError as error:
                raise _failure(error, wire)
            if wire.error:
                raise wire.error
            self._unsent = count is None or count < len(piece)
            if count:
                await asyncio.sleep_ms(0)
                return count
            await self._wait()

    def _wait(self):
        # Not what was asked for but what mbedTLS could not do: a read may have to write.
        if self._wire.blocked == tls_wire.READ:
            return self._connection.wait_readable()
        if self._wire.blocked == tls_wire.WRITE:
            return self._connection.wait_writable()
        return asyncio.sleep_ms(0)

    def _open_session(self):
        if self._session is None:
            raise OSError(errno.ENOTCONN)
        return self._session

    async def close(self):
        """Send what was written, give the session back, close the connection. Never raises."""
        try:
            if self._unsent and self._session and not self._wire.error:
                await self._flush()
        except OSError:
            pass  # the peer is gone, and with it who could miss the rest
        finally:
            self._end()
        await self._connection.close()

    def abort(self):
        """At once."""
        self._end()
        self._connection.abort()

    def is_wanted(self):
        """Whether others wait for the room that this session takes."""
        return self._identity.waiting > 0

    def _end(self):
        # mbedTLS' memory is freed by this call only, never by the garbage collector.
        session, self._session = self._session, None
        if session:
            session.close()
            session = None  # its own object is in the heap too
            self._identity.ended(self._wire)


def _failure(error, wire):
    return load("picopost.net.tls_cause").failure(error, wire)  # words, for a rare case
