# Runs in the VM: what each version of a decoder makes of a body that comes in pieces.
from picopost.mime import base64, quoted_printable, transfer


def decoded(encoding, data, piece, room, plain):
    decoder = transfer.decoder(encoding)
    if plain and encoding == b"base64":
        decoder = base64.Base64()
    elif plain and encoding == b"quoted-printable":
        decoder._decode = quoted_printable.decode
    target = memoryview(bytearray(room))
    out = b""
    at = 0
    view = memoryview(data)
    while at < len(data):
        source = view[at:min(len(data), at + piece)]
        consumed, produced = decoder.decode(source, target)
        assert consumed or produced
        at += consumed
        out += bytes(target[:produced])
    return out + bytes(target[:decoder.finish(target)])
