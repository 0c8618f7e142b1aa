"""`ssl` for firmware in the VM: the VM's own TLS, but it takes room in the heap as on a board.

A board's mbedTLS allocates from MicroPython's heap, the VM's from the C library. Here each
context and session keeps as much of the heap as it would take there, in pieces of the same
size, so that a heap that is too small fails as the board's would.
"""

import errno

import tls
from tls import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED  # noqa: F401
from tls import MBEDTLS_VERSION, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER  # noqa: F401

_WORD = 4  # on a board; a word of the VM's heap is twice as large, and so is the heap
# Octets that mbedTLS 3.6 allocates (counted with malloc hooks around the VM): certificate and key;
# incoming record, outgoing record, handshake or later session, transforms, and small pieces.
_CONTEXT = (608, 400, 256, 144)
_SESSION = (16_717, 4_429, 984, 304, 512)

# Sessions that nobody has closed: on a board their memory may never come back.
unclosed = 0


def _ballast(sizes):
    try:
        # Lists, because these can be freed at once, as mbedTLS frees: see close().
        return [[None] * (size // _WORD) for size in sizes]
    except MemoryError:
        raise OSError(errno.ENOMEM)  # noqa: B904 (MicroPython has no `raise ... from`)


class SSLContext:
    def __init__(self, protocol):
        self._ballast = _ballast(_CONTEXT)
        self._context = tls.SSLContext(protocol)
        self.load_cert_chain = self._context.load_cert_chain

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True,
                    server_hostname=None):
        ballast = _ballast(_SESSION)
        return SSLSocket(ballast, self._context.wrap_socket(
            sock, server_side=server_side, do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname))


class SSLSocket:
    def __init__(self, ballast, session):
        global unclosed
        unclosed += 1
        self._ballast = ballast
        self._session = session
        self.readinto = session.readinto
        self.write = session.write
        self.cipher = session.cipher

    def close(self):
        global unclosed
        if self._ballast:
            unclosed -= 1
            for piece in self._ballast:
                piece.clear()
            self._ballast = None
        self._session.close()
