"""The appliance's TLS identity: key and certificate, and a session that is ready for a client.

mbedTLS wants 17 KB of the heap in one piece, 4 KB in another and 2 KB of small ones, and the heap
moves nothing: once there are sessions, it would not have them. So what is made at the start is a
whole session, which waits for its client; and when that one's is over and has just given back its
memory, the next one is made. It takes the same pieces in the same order, each from the lowest
address that has room for it, as before. So each finds its own old place, if no better one. A better
one that reaches into a larger piece's place is left as the one way to lose it, which is rare; then
the server asks again until what is in the way has gone.

All that TLS needs beside is loaded with the first client, for most devices use none.
"""

import asyncio
import errno
import gc
import time

from picopost import Misconfigured, event_log, limits, load
from picopost.net.tls_wire import Wire

KEY = "tls_key.der"
CERTIFICATE = "tls_cert.der"
# A fatal alert, internal_error (RFC 5246 7.2): all that a client can be told before its handshake.
REFUSAL = b"\x15\x03\x03\x00\x02\x02\x50"
_NO_ROOM = (MemoryError, OSError)  # mbedTLS' has ENOMEM


class TlsError(OSError):
    """The session cannot go on; str() says why. To errno's readers the peer is gone."""

    def __init__(self, cause):
        super().__init__(errno.ECONNABORTED, cause)
        self.cause = cause

    def __str__(self):
        return self.cause


class Busy(TlsError):
    """No TLS session is to be had now; str() says of what there is too little."""


class NotTls(TlsError):
    """The peer spoke something else in its handshake's place."""


class Identity:
    """The appliance's key and certificate, and the TLS sessions under them. Made by `load`.

    `fingerprint` is the SHA-256 of the certificate in lower-case hex, `sessions` how many clients
    have one: limits.TLS_SESSIONS at most; `waiting` how many want one and find no room.
    """

    def __init__(self, context, fingerprint):
        self.fingerprint = fingerprint
        self.sessions = 0
        self._context = context
        # mbedTLS' session for who comes next, on that wire; None while there is none.
        self._session = None
        self._wire = Wire()
        self.waiting = 0
        self._freed = asyncio.Event()
        self._rest = 0  # ms that the last step of a handshake took
        self._resume = 0  # ticks at which the next one may start
        self._prepare(self._wire)

    @staticmethod
    def load():
        """The identity from the flash; None, and the reason in the log, where there is none.

        Reads tls_key.der and tls_cert.der (a private key and its X.509 certificate, DER) from
        the current directory. Raises Misconfigured when they are something else.
        """
        try:
            from ssl import tls  # in C: frames of ssl's own methods come from the heap
        except ImportError:
            event_log.log("no_tls", why="this MicroPython image has no ssl module")
            return None
        try:
            key = _read(KEY)
            certificate = _read(CERTIFICATE)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            event_log.log("no_tls", why="there is no %s and %s" % (KEY, CERTIFICATE))
            return None
        import binascii
        import hashlib

        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(certificate, key)
        except ValueError as error:
            raise Misconfigured("%s and %s are no key and its certificate: %s"
                                % (KEY, CERTIFICATE, error))
        digest = hashlib.sha256(certificate).digest()
        return Identity(context, binascii.hexlify(digest).decode())

    def keep_ready(self):
        """Have a session ready for who comes next. Where the heap has no room for it, not yet: most
        of what is in the way does not live long, and the server asks again.
        """
        if self._session is None and not self.sessions:
            self._prepare(self._wire)

    # From a session's end to the next one's beginning nothing else may be made, not even the frame
    # of a function (more than 11 words of state take one from the heap): it could be put where the
    # large pieces were.

    def _prepare(self, wire):
        gc.collect()
        self._wire = wire
        try:
            self._new_session()
        except _NO_ROOM:
            pass
        self._freed.set()

    def _new_session(self):
        wire = self._wire
        wire.restart()
        self._session = self._context.wrap_socket(wire, server_side=True,
                                                  do_handshake_on_connect=False)

    def _one_more(self):
        if self.sessions:
            self._wire = Wire()  # the other one is in use
        gc.collect()
        self._new_session()
        try:
            if self.sessions:
                _want(limits.TLS_OTHERS)
        except MemoryError:
            self._session.close()
            self._session = None
            raise

    def wrap(self, connection):
        """A TLS connection around `connection`; nothing is read or written yet.

        So it can be had before a client is told to go ahead. It owns `connection` from now on
        and takes its slot and memory until close() or abort(). Raises Busy.
        """
        if self.sessions >= limits.TLS_SESSIONS:
            raise Busy("all %d TLS sessions are in use" % limits.TLS_SESSIONS)
        try:
            secured = load("picopost.net.tls").Connection(self, connection)
            if self._session is None:
                self._one_more()
            _want(limits.TLS_HANDSHAKE_ROOM)
        except _NO_ROOM as error:
            if isinstance(error, OSError) and error.errno != errno.ENOMEM:
                raise
            raise Busy("the heap has no room for a TLS session")
        session, self._session = self._session, None
        self.sessions += 1
        secured.begin(self._wire, session)
        return secured

    async def admit(self, connection):
        """`wrap`, after waiting for room where others have it: for limits.TLS_WAIT at most, then it
        raises Busy.
        """
        deadline = time.ticks_add(time.ticks_ms(), limits.TLS_WAIT)
        self.waiting += 1
        try:
            while True:
                try:
                    return self.wrap(connection)
                except Busy:
                    left = time.ticks_diff(deadline, time.ticks_ms())
                    if left <= 0:
                        raise
                self._freed.clear()
                try:
                    await asyncio.wait_for_ms(self._freed.wait(), left)
                except asyncio.TimeoutError:
                    pass  # one last try
        finally:
            self.waiting -= 1

    def ended(self, wire):
        """The session on this wire has given its memory back just now, so the next one fits."""
        self.sessions -= 1
        if self._session is None:
            self._prepare(wire)
        self._freed.set()

    async def turn(self):
        """Wait until a step of a handshake may be taken."""
        while True:
            wait = time.ticks_diff(self._resume, time.ticks_ms())
            if not 0 < wait <= self._rest:  # more: so long ago that the ticks came round
                return
            await asyncio.sleep_ms(wait)

    def rest(self, took):
        """A step took so many ms: for as long no other one starts."""
        self._rest = took
        self._resume = time.ticks_add(time.ticks_ms(), took)


def _want(octets):
    """Raise MemoryError unless so many octets are free in the heap, in pieces of any size."""
    gc.collect()
    if gc.mem_free() < limits.HEAP_SCALE * octets:
        raise MemoryError


def _read(path):
    with open(path, "rb") as file:
        return file.read(limits.TLS_FILE)
