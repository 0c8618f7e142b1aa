"""The appliance's TLS identity: key, certificate, and the room that their sessions take.

All that TLS needs beside is loaded with the first session, for most devices use none.
"""

import asyncio
import errno
import gc
import sys
import time

from picopost import event_log, limits, load

KEY = "tls_key.der"
CERTIFICATE = "tls_cert.der"
# A fatal alert, internal_error (RFC 5246 7.2): all that a client can be told before its handshake.
REFUSAL = b"\x15\x03\x03\x00\x02\x02\x50"


# A VM of 64 bits is given twice the heap, and things shall take twice the room in it.
_SCALE = 1 if sys.maxsize < 1 << 32 else 2


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

    `fingerprint` is the SHA-256 of the certificate in lower-case hex, `sessions` how many are
    open: limits.TLS_SESSIONS at most; `waiting` how many want one and find no room.
    """

    def __init__(self, context, fingerprint):
        self.fingerprint = fingerprint
        self.sessions = 0
        self._context = context
        self._reserve = None
        self.waiting = 0
        self._freed = asyncio.Event()
        self._rest = 0  # ms that the last step of a handshake took
        self._resume = 0  # ticks at which the next one may start
        self.keep_room()

    @staticmethod
    def load():
        """The identity from the flash; None, and the reason in the log, where there is none.

        Reads tls_key.der and tls_cert.der (a private key and its X.509 certificate, DER) from
        the current directory. Raises ValueError when they are something else.
        """
        try:
            import ssl
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

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        digest = hashlib.sha256(certificate).digest()
        return Identity(context, binascii.hexlify(digest).decode())

    def keep_room(self):
        """Keep holes for mbedTLS' two large buffers, which the heap could not find later. For who
        is about to make something that stays: where they were lost, now is the time.
        """
        if self._reserve is None and not self.sessions:
            gc.collect()
            try:
                try:
                    self._reserve = _holes(limits.TLS_HOLE_SPARE)
                except MemoryError:
                    self._reserve = _holes(0)
                self._freed.set()
            except MemoryError:
                # Something still holds what the session had, or has got in between. Most things
                # do not live long: the server asks again. (A task for it would settle in the hole.)
                pass

    def has_lost_room(self):
        """Whether nobody has the room, and it is not kept either."""
        return self._reserve is None and not self.sessions

    def spare_room(self):
        """The larger hole, a bytearray, or None while TLS has it. To be used up to the next await;
        then nothing may refer to it, or a TLS session finds no room.
        """
        return self._reserve[0] if self._reserve else None

    def give_room(self):
        """The holes are free: what is to fill them has to come at once."""
        self._reserve = None
        gc.collect()

    def wrap(self, connection):
        """A TLS connection around `connection`; nothing is read or written yet.

        So it can be had before a client is told to go ahead. It owns `connection` from now on
        and takes its slot and memory until close() or abort(). Raises Busy.
        """
        if self.sessions >= limits.TLS_SESSIONS:
            raise Busy("all %d TLS sessions are in use" % limits.TLS_SESSIONS)
        try:
            session = load("picopost.net.tls").Connection(self, self._context, connection)
        except (MemoryError, OSError) as error:
            self.keep_room()
            if isinstance(error, OSError) and error.errno != errno.ENOMEM:
                raise
            raise Busy("the heap has no room for a TLS session")
        self.sessions += 1
        return session

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
                    # Where the room is lost nobody's end will bring it, but ours may: what several
                    # who wait are made of lies in its way.
                    if left <= 0 or not self.sessions and self.waiting > 1:
                        raise
                if not self.sessions:
                    await asyncio.sleep_ms(limits.TLS_RETRY)
                    continue
                self._freed.clear()
                try:
                    await asyncio.wait_for_ms(self._freed.wait(), left)
                except asyncio.TimeoutError:
                    pass  # one last try
        finally:
            self.waiting -= 1

    def ended(self):
        """A session has given its memory back."""
        self.sessions -= 1
        self.keep_room()
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


def _holes(spare):
    return [bytearray((size + spare) * _SCALE) for size in limits.TLS_BUFFERS]


def _read(path):
    with open(path, "rb") as file:
        return file.read(limits.TLS_FILE)
