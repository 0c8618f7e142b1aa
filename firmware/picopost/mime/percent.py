"""Octets that are written as two hexadecimal digits behind a sign."""

from binascii import unhexlify


def percent_decoded(text, sign=b"%"):
    """`text` (bytes) with what follows each `sign`, two hexadecimal digits, as an octet (RFC 2231
    4, RFC 2047 4.2); what is no escape stays as it is.
    """
    pieces = text.split(sign)
    for number in range(1, len(pieces)):
        piece = pieces[number]
        try:
            octet = unhexlify(piece[:2])
        except ValueError:
            octet = b""
        pieces[number] = octet + piece[2:] if octet else sign + piece
    return b"".join(pieces)
