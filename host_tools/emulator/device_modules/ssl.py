"""`ssl` for firmware in the VM: the VM's own TLS, but it takes room in the heap as on a board.

A board's mbedTLS allocates from MicroPython's heap, the VM's from the C library. Here each
context and session keeps as much of the heap as it would take there, in pieces of the same
size, so that a heap that is too small fails as the board's would.

`ssl.tls`, the module of C that a board's `ssl` is a shell around and the firmware uses, is this
module too.
"""

import errno
import io
import sys

import tls as vm_tls
from micropython import const
from tls import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED  # noqa: F401
from tls import MBEDTLS_VERSION, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER  # noqa: F401

tls = sys.modules[__name__]

# What mbedTLS 3.6 allocates, in octets (counted with malloc hooks around the VM), and with each
# piece 12 by which MicroPython keeps track of it. The VM's words and heap are twice a board's.
_SCALE = const(2)
_CERTIFICATES = const(_SCALE * (608 + 12))
_CERTIFICATE = const(_SCALE * (400 + 12))
_KEY = const(_SCALE * (256 + 12))
_POINT = const(_SCALE * (144 + 12))
# The session's own object, which the garbage collector frees: the VM has 512 octets of it.
_OBJECT = const(_SCALE * 500 - 512)
_IN = const(_SCALE * (16_717 + 12))
_OUT = const(_SCALE * (4_429 + 12))
_HANDSHAKE = const(_SCALE * (984 + 12))  # later the session
_TRANSFORM = const(_SCALE * (304 + 12))
_SMALL = const(_SCALE * (512 + 12))

# Sessions that nobody has closed: on a board their memory may never come back.
unclosed = 0

# A BytesIO is the one thing here whose close() gives all its octets back at once, as mbedTLS does.
# Of a list that is cleared the first words stay until they are collected, in the midst of what the
# next session needs in one piece.
_piece = io.BytesIO


def _of_context():
    return _piece(_CERTIFICATES), _piece(_CERTIFICATE), _piece(_KEY), _piece(_POINT)


def _of_session():
    # In mbedTLS' order, and nothing else in between.
    return (_piece(_OBJECT), _piece(_IN), _piece(_OUT), _piece(_HANDSHAKE), _piece(_TRANSFORM),
            _piece(_SMALL))


def _ballast(make):
    try:
        return make()
    except MemoryError:
        raise OSError(errno.ENOMEM)  # noqa: B904 (MicroPython has no `raise ... from`)


def _serve(context, sock):
    return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)


class SSLContext:
    def __init__(self, protocol):
        self._ballast = _ballast(_of_context)
        self._context = vm_tls.SSLContext(protocol)
        self.load_cert_chain = self._context.load_cert_chain

    def wrap_socket(self, sock, *, server_side, do_handshake_on_connect):
        """For a server that takes the steps of the handshake itself, as the firmware does."""
        # A board's is of C and takes no frame from the heap. These have so few words of state that
        # they take none either, before all pieces of a session are made.
        return SSLSocket(_serve(self._context, sock), _ballast(_of_session))


class SSLSocket:
    def __init__(self, session, ballast):
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
            for piece in self._ballast[1:]:
                piece.close()
            self._ballast = None
        self._session.close()
