"""Read a segment without its index: where its messages are, and which they are.

Loaded by recovery only. Constant memory: one block of the file at a time.
"""

from picopost import limits
from picopost.store import mboxrd_state as mboxrd

try:
    from picopost.store.mboxrd_viper import send
except ImportError:  # no native code for this processor
    from picopost.store.mboxrd import send

_SEPARATOR = b"\nFrom "
_HEX = b"0123456789abcdef"


def identity(head, start, end):
    """(uid_validity, uid) of the message that begins in head[start:end]; None: not ours.

    It is the `id` clause of the Received line that we put first (RFC 5321 section 4.4).
    """
    at = head.find(b"\nReceived: from ", start, end)
    at = head.find(b"\n\tby ", at, end) if at >= 0 else -1
    at = head.find(b" id ", at, end) if at >= 0 else -1
    text = bytes(head[at + 4 : at + 21])
    if at < 0 or len(text) != 17 or text[8] != 0x2E:
        return None
    for octet in text[:8] + text[9:]:
        if octet not in _HEX:
            return None
    return int(text[:8], 16), int(text[9:], 16)


def starts(file, block):
    """Generator: the offset of each From_ line, and at last the file's end; none without one."""
    size = file.seek(0, 2)
    file.seek(0)
    keep = len(_SEPARATOR) - 1
    view = memoryview(block)
    filled = file.readinto(view)
    if block.find(_SEPARATOR[1:], 0, keep) != 0:
        return
    yield 0
    base = 0  # offset in the file of block[0]
    while True:
        at = block.find(_SEPARATOR, 0, filled)
        while at >= 0:
            yield base + at + 1
            file.seek(base + filled)  # the caller may have read elsewhere
            at = block.find(_SEPARATOR, at + 1, filled)
        if base + filled >= size:
            break
        view[:keep] = view[filled - keep : filled]
        base += filled - keep
        count = file.readinto(view[keep:])
        if not count:
            break
        filled = keep + count
    yield size


def messages(path):
    """Generator: (offset, From_ line's length, size, blank line's length, identity or None).

    The blank line that ends a message is missing (0) where a PC wrote none. A From_ line with
    nothing behind it is no message.
    """
    block = bytearray(limits.CARD_BLOCK)
    head = bytearray(limits.MAX_TRACE)
    with open(path, "rb") as file:
        last = -1
        for start in starts(file, block):
            if last >= 0:
                file.seek(last)
                count = file.readinto(memoryview(head)[: min(start - last, len(head))])
                from_line = head.find(b"\n", 0, count) + 1
                if 0 < from_line < 512 and from_line < start - last:
                    file.seek(start - 2)
                    blank = int(file.read(2) == b"\n\n")
                    yield last, from_line, start - last, blank, identity(head, 0, count)
            last = start


def octets(path, offset, size):
    """Size on the wire of the text that stands in `size` octets from `offset` on."""
    block = bytearray(limits.CARD_BLOCK)
    view = memoryview(block)
    half = limits.CARD_BLOCK // 2
    state = mboxrd.new_sending()
    with open(path, "rb") as file:
        file.seek(offset)
        while size:
            count = file.readinto(view[: min(half, size)])
            if not count:
                raise OSError(5)
            size -= count
            state[mboxrd.SOURCE] = 0
            while state[mboxrd.SOURCE] < count:
                state[mboxrd.TARGET] = half
                send(state, block, count, block, len(block))
    state[mboxrd.TARGET] = half
    mboxrd.finish_send(state, block)
    return state[mboxrd.OCTETS]
