# Runs in the VM and under CPython: messages that are made while they are read, and what they cost.
import gc

from picopost.mime import parts, transfer


def pass_through(pieces, sample=0, decode=True):
    """(events by number, greatest depth, octets decoded, greatest growth of the heap) of a message
    that comes as an iterable of (piece, times); the heap is looked at every `sample` events."""
    measure = getattr(gc, "mem_alloc", None) if sample else None
    gc.collect()
    idle = measure() if measure else 0
    peak = depth = octets = turn = 0
    counts = [0] * 8
    parser = parts.Parser(bytearray(4096))
    target = memoryview(bytearray(1024))
    source = iter(pieces)
    piece, times, used = b"", 0, 0
    decoder = value = None
    while True:
        event = parser.next()
        counts[event] += 1
        turn += 1
        if event == parts.NEED:
            room = parser.room()
            filled = 0
            while filled < len(room):
                if used == len(piece):
                    times -= 1
                    used = 0
                    if times <= 0:
                        piece, times = next(source, (b"", 0))
                        if not times:
                            break
                octets_now = min(len(room) - filled, len(piece) - used)
                room[filled:filled + octets_now] = memoryview(piece)[used:used + octets_now]
                filled += octets_now
                used += octets_now
            parser.filled(filled)
            room = None
        elif event == parts.PART:
            depth = max(depth, parser.depth)
        elif event == parts.FIELD:
            value = parser.value
        elif event == parts.BODY:
            decoder = transfer.decoder(parser.encoding)
        elif event == parts.DATA and decode:
            at = 0
            while at < len(parser.data):
                consumed, produced = decoder.decode(parser.data[at:], target)
                at += consumed
                octets += produced
        elif event == parts.DONE:
            return counts, depth, octets, peak
        if measure and (event == parts.FIELD or turn % sample == 0):
            gc.collect()
            peak = max(peak, measure() - idle - len(piece))
        value = None  # noqa: F841 (it was alive when the heap was looked at)


def nested(depth, boundary, part, count, times):
    """A message with `count` parts at `depth`, each with `times` of the piece `part` in it."""
    yield b"Subject: x\r\n", 1
    for level in range(depth):
        yield b'Content-Type: multipart/mixed; boundary="%s%d."\r\n\r\n' % (boundary, level), 1
        if level < depth - 1:
            yield b"--%s%d.\r\n" % (boundary, level), 1
    for number in range(count):
        yield b"--%s%d.\r\nContent-Type: image/png; name=%d\r\n" % (
            boundary, depth - 1, number), 1
        yield b"Content-Transfer-Encoding: base64\r\nX-Long:", 1
        yield b" v", 1500
        yield b"\r\n\r\n", 1
        yield part, times
    for level in range(depth - 1, -1, -1):
        yield b"\r\n--%s%d.--\r\n" % (boundary, level), 1
