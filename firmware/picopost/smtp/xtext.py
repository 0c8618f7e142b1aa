"""xtext, in which the parameters ENVID and ORCPT carry what could not stand there (RFC 3461 4)."""

_HEX_DIGITS = b"0123456789ABCDEF"


def decode_xtext(text: bytes) -> bytes:
    """The octets that `text` stands for; they may be any, controls and CRLF among them.

    Raises ValueError where it is not xtext: octets outside of 33 to 126, a "=", or a "+" without
    two hexadecimal digits, in capitals, behind it.
    """
    if text and (min(text) < 0x21 or max(text) > 0x7E) or b"=" in text:
        raise ValueError("not xtext")
    pieces = text.split(b"+")
    for number in range(1, len(pieces)):
        piece = pieces[number]
        code = piece[:2]
        if len(code) < 2 or code.strip(_HEX_DIGITS):
            raise ValueError("not xtext")
        pieces[number] = bytes((int(code, 16),)) + piece[2:]
    return b"".join(pieces)
