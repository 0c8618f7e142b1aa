"""The words for what ended a TLS handshake or session: a cause that a person can act on. Loaded
when there is one.
"""

import errno

from micropython import const

from picopost.net.identity import NotTls, TlsError

# RFC 5246 7.2: what a client's alert says of our certificate, and of the rest.
_CERTIFICATE_ALERTS = {
    42: "bad certificate", 43: "unsupported certificate", 44: "certificate revoked",
    45: "certificate expired", 46: "certificate unknown", 48: "unknown certificate authority",
}
_ALERTS = {
    40: "handshake failure", 47: "illegal parameter", 50: "decode error", 51: "decrypt error",
    70: "protocol version", 71: "insufficient security", 80: "internal error",
}

# mbedTLS 3, ssl.h.
_FATAL_ALERT = const(-0x7780)
_NOTHING_IN_COMMON = const(-0x6E00)
_BAD_VERSION = const(-0x6E80)
_INVALID_RECORD = const(-0x7200)

_TOO_OLD = "the peer's TLS is too old, 1.2 is needed"


def failure(error, wire):
    """The TlsError to raise for an mbedTLS error; NotTls where the peer never spoke TLS."""
    spoke = wire.established or wire.first[:2] == b"\x16\x03" or _is_ssl2(wire.first)
    foreign = not spoke and error.errno == _INVALID_RECORD
    return (NotTls if foreign else TlsError)(cause_of(error, wire))


def cause_of(error, wire):
    """The words for an mbedTLS error: of a handshake until `wire` is established."""
    code = error.errno
    if code == errno.ENOMEM:
        return "out of memory in a TLS session"
    if wire.established:
        if code == _FATAL_ALERT:
            return "the peer ended the TLS session with an alert"
    elif code == _FATAL_ALERT:
        # Two octets: level and description in the clear. Later ones are encrypted.
        return alert_cause(wire.tail[1] if wire.length == 2 and len(wire.tail) == 2 else None)
    elif code == _BAD_VERSION:
        return _TOO_OLD
    elif code == _NOTHING_IN_COMMON:
        return "the peer offers no TLS 1.2 cipher suite for an ECDSA P-256 certificate"
    elif code == _INVALID_RECORD and wire.first[:2] != b"\x16\x03":
        return _not_tls(wire.first)
    return "TLS protocol error: %s" % (error.args[1] if len(error.args) > 1 else code)


def alert_cause(description):
    """The words for a fatal alert by its number (RFC 5246 7.2); None: it was encrypted."""
    if description in _CERTIFICATE_ALERTS:
        return "the peer does not accept our certificate: " + _CERTIFICATE_ALERTS[description]
    return "the peer refused the TLS handshake: %s" % _ALERTS.get(description,
                                                                  "alert %s" % description)


def _is_ssl2(first):
    """Whether it begins as an SSL 2 hello, in which old clients offered newer versions too."""
    return len(first) > 2 and first[0] & 0x80 and first[2] == 1


def _not_tls(first):
    if first[:4] in (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI"):
        return "the peer spoke HTTP, not TLS"
    if _is_ssl2(first):
        return _TOO_OLD
    for octet in first:
        if not (32 <= octet < 127 or octet in b"\r\n\t"):
            return "the peer sent something that is no TLS"
    return "the peer spoke plain text, not TLS"
