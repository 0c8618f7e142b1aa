"""Runs in the VM: what the MIME reader takes beside what it is made of. Seconds of each."""

import binascii
import time

from picopost.mime import parts, transfer

_BLOCK = 4096


def _seconds(run, *arguments):
    begin = time.ticks_us()
    run(*arguments)
    return time.ticks_diff(time.ticks_us(), begin) / 1e6


def _bare_base64(text, times):
    # Whole lines of 76 and CRLF, so whole quanta: 52 of them are a block of 4,056 octets.
    view = memoryview(text)
    for _ in range(times):
        for at in range(0, len(view), 4056):
            binascii.a2b_base64(view[at : at + 4056])


def _decoder(text, times):
    view = memoryview(text)
    target = memoryview(bytearray(_BLOCK))
    decoder = transfer.decoder(b"base64")
    for _ in range(times):
        at = 0
        while at < len(view):
            consumed, _ = decoder.decode(view[at : at + _BLOCK], target)
            at += consumed
    decoder.finish(target)


def base64(text, times):
    """(bare binascii on blocks of 4 KB, the decoder) for so many times `text`."""
    return _seconds(_bare_base64, text, times), _seconds(_decoder, text, times)


def _bare_find(text, times, needle):
    buffer = bytearray(_BLOCK)
    view = memoryview(text)
    for _ in range(times):
        for at in range(0, len(view), _BLOCK):
            piece = view[at : at + _BLOCK]
            buffer[: len(piece)] = piece
            buffer.find(needle)


def _scan(text, times, needle):
    parser = parts.Parser(bytearray(_BLOCK))
    begin = b"Content-Type: multipart/mixed; boundary=%s\n\n%s\n\n" % (needle[3:], needle[1:])
    parser.room()[: len(begin)] = begin
    parser.filled(len(begin))
    view = memoryview(text)
    at = 0
    while True:
        event = parser.next()
        if event == parts.NEED:
            if not times:
                break
            room = parser.room()
            count = min(len(room), len(view) - at)
            room[:count] = view[at : at + count]
            parser.filled(count)
            at += count
            if at == len(view):
                at = 0
                times -= 1


def scanning(text, times, needle):
    """(bare find in blocks of 4 KB that come by a copy, the parser) for so many times `text`."""
    return _seconds(_bare_find, text, times, needle), _seconds(_scan, text, times, needle)


def _whole(path):
    parser = parts.Parser(bytearray(_BLOCK))
    target = memoryview(bytearray(_BLOCK))
    octets = 0
    with open(path, "rb") as file:
        while True:
            event = parser.next()
            if event == parts.NEED:
                parser.filled(file.readinto(parser.room()))
            elif event == parts.BODY:
                decoder = transfer.decoder(parser.encoding)
            elif event == parts.DATA:
                data = parser.data
                at = 0
                while at < len(data):
                    consumed, produced = decoder.decode(data[at:], target)
                    at += consumed
                    octets += produced
            elif event == parts.END and parser.leaf:
                octets += decoder.finish(target)
            elif event == parts.DONE:
                return octets


def whole(path):
    """(seconds, octets decoded) of the message at `path`."""
    begin = time.ticks_us()
    octets = _whole(path)
    return time.ticks_diff(time.ticks_us(), begin) / 1e6, octets
