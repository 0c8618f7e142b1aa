"""`ssl` for firmware in the VM: the VM's own TLS, but it takes room in the heap as on a board.

A board's mbedTLS allocates from MicroPython's heap, the VM's from the C library. Here each
context and session keeps as much of the heap as it would take there, in pieces of the same
size, so that a heap that is too small fails as the board's would.
"""

import errno

import tls
from micropython import const
from tls import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED  # noqa: F401
from tls import MBEDTLS_VERSION, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER  # noqa: F401

# What mbedTLS 3.6 allocates, in octets (counted with malloc hooks around the VM), and with each
# piece 12 by which MicroPython keeps track of it; in words: a board's has 4 octets, the VM's, in
# twice the heap, 8. Lists, because these can be freed at once, as mbedTLS frees.
_NONE = [None]
_CERTIFICATES = const((608 + 12) // 4)
_CERTIFICATE = const((400 + 12) // 4)
_KEY = const((256 + 12) // 4)
_POINT = const((144 + 12) // 4)
_OBJECT = const(500 // 4)  # the session's own, which the garbage collector frees
_IN = const((16_717 + 12) // 4)
_OUT = const((4_429 + 12) // 4)
_HANDSHAKE = const((984 + 12) // 4)  # later the session
_TRANSFORM = const((304 + 12) // 4)
_SMALL = const((512 + 12) // 4)

# Sessions that nobody has closed: on a board their memory may never come back.
unclosed = 0


def _of_context():
    return _NONE * _CERTIFICATES, _NONE * _CERTIFICATE, _NONE * _KEY, _NONE * _POINT


def _of_session():
    # In mbedTLS' order, and nothing else in between.
    return (_NONE * _OBJECT, _NONE * _IN, _NONE * _OUT, _NONE * _HANDSHAKE, _NONE * _TRANSFORM,
            _NONE * _SMALL)


def _ballast(make):
    try:
        return make()
    except MemoryError:
        raise OSError(errno.ENOMEM)  # noqa: B904 (MicroPython has no `raise ... from`)


class SSLContext:
    def __init__(self, protocol):
        self._ballast = _ballast(_of_context)
        self._context = tls.SSLContext(protocol)
        self.load_cert_chain = self._context.load_cert_chain

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True):
        # So few words of state that no frame comes from the heap before the ballast does.
        return self._wrap(_ballast(_of_session), sock, server_side, do_handshake_on_connect)

    def _wrap(self, ballast, sock, server_side, do_handshake_on_connect):
        return SSLSocket(ballast, self._context.wrap_socket(
            sock, server_side=server_side, do_handshake_on_connect=do_handshake_on_connect))


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
