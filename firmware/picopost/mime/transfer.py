"""Content transfer encodings taken off as a body passes, into the caller's buffer (RFC 2045 6).

    reading = transfer.decoder(parser.encoding)
    consumed, produced = reading.decode(source, target)  # call again for the rest
    produced = reading.finish(target)  # behind the last of the body

`source` is a memoryview, bytes or bytearray, `target` a memoryview or bytearray of MIN_TARGET
octets at least. A target that is full enough, or a long source, ends a call early: call again. What
is wrong in a body is passed over or kept, as each class says, and never raised; how a body is cut
into sources changes nothing.
"""

from micropython import const

MIN_TARGET = const(128)

def decoder(encoding):
    """The decoder for `encoding`, a token in lower case as Parser.encoding; Identity for others."""
    if encoding == b"base64":
        try:
            from picopost.mime.base64_viper import Base64
        except ImportError:  # no native code for this machine
            from picopost.mime.base64 import Base64
        return Base64()
    if encoding == b"quoted-printable":
        from picopost.mime.quoted_printable import QuotedPrintable
        return QuotedPrintable()
    if encoding in (b"x-uuencode", b"uuencode", b"x-uue", b"uue"):
        from picopost.mime.uuencode import Uuencode
        return Uuencode()
    return Identity()


class Identity:
    """7bit, 8bit, binary (RFC 2045 6.2), and what is not known."""

    def decode(self, source, target):
        octets = min(len(source), len(target))
        target[:octets] = source[:octets]
        return octets, octets

    def finish(self, target):
        return 0
