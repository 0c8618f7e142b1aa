"""An attachment out of the board: base64, line by line, with the SHA-256 of what was attached."""

import binascii
import hashlib
import sys

from picopost import limits
from picopost.console.text import Text
from picopost.mime import charsets, parts, transfer
from picopost.mime.content import Content


async def save(out, office, where, wanted):
    """Number `wanted` of a letter: event `attachment` (name, type), lines of base64 marked by "|=",
    each for itself, event `attached` (octets, sha256). What went wrong, or None.
    """
    letter = Text(out, office, where)
    parser = letter.parser
    number = 0
    content = None
    while True:
        event = await letter.next()
        if event == parts.PART:
            content = Content()
        elif event == parts.FIELD:
            content.note(parser.name.lower(), parser.value)
        elif event == parts.BODY and parser.leaf and content.is_attachment(parser.content_type):
            number += 1
            if number == wanted:
                break
        elif event == parts.DONE:
            return "it has %d attachments" % number
    await out.event("attachment", name=charsets.in_a_line(content.name),
                    type=charsets.decode(parser.content_type, "us-ascii"))
    total = hashlib.sha256()
    target = memoryview(bytearray(limits.CONSOLE_PIECE))
    decoder = transfer.decoder(parser.encoding)
    octets = 0
    while True:
        event = await letter.next()
        if event == parts.DATA:
            used = 0
            while used < len(parser.data):
                consumed, produced = decoder.decode(parser.data[used:], target)
                used += consumed
                octets += produced
                await _put(out, total, target[:produced])
        elif event == parts.END:
            produced = decoder.finish(target)
            octets += produced
            await _put(out, total, target[:produced])
            break
    await out.event("attached", octets=octets,
                    sha256=binascii.hexlify(total.digest()).decode())


async def _put(out, total, piece):
    if len(piece):
        total.update(piece)
        await out.wait()
        sys.stdout.write(b"|=")
        sys.stdout.write(binascii.b2a_base64(piece))
