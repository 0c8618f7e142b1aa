# Runs inside the VM: a FAT file system in RAM and a mailbox on it, for test_mailbox.py.
import asyncio
import hashlib
import os

import vfs
from picopost import limits
from picopost.event_log import log
from picopost.store import mboxrd
from picopost.store.delivery import Delivery
from picopost.store.mailbox import Mailbox
from picopost.store.maildrop import Maildrop
from picopost.store.volume import Volume


class RamDisk:
    """A block device that counts, and that can fail from a given write on."""

    def __init__(self, blocks):
        self.data = bytearray(blocks * 512)
        self.written = 0
        self.read = 0
        self.fail_after = -1

    def readblocks(self, block, buf):
        self.read += len(buf) // 512
        buf[:] = memoryview(self.data)[block * 512 : block * 512 + len(buf)]

    def writeblocks(self, block, buf):
        if self.fail_after >= 0 and self.written >= self.fail_after:
            raise OSError(5)
        self.written += len(buf) // 512
        self.data[block * 512 : block * 512 + len(buf)] = buf

    def ready(self):
        return True

    async def wait_ready(self):
        pass

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // 512
        if op == 5:
            return 512
        return 0


disk = RamDisk(4096)
vfs.VfsFat.mkfs(disk)


def mount():
    global volume
    volume = Volume(disk)
    volume.mount("/sd")


def start_again():
    """What the appliance does when its card has failed."""
    for name in boxes:
        boxes[name].close()
    volume.unmount()
    mount()
    for name in boxes:
        open_box(name)


mount()
block = bytearray(limits.CARD_BLOCK + 8)
boxes = {}


async def nothing():
    pass


def open_box(name):
    boxes[name] = Mailbox(name, "/sd/" + name, volume)
    boxes[name].open(log)
    return boxes[name]


def reopen(name):
    boxes[name].close()
    return open_box(name)


def deliver(names, wire, piece=2048, chunked=False):
    """Feed a message as DATA or BDAT brings it, `piece` octets at a time; returns its octets."""
    global latest
    latest = delivery = Delivery(block, [boxes[name] for name in names], b"boy@abc.com",
                               b"abc.com ([192.0.2.1])", b"ESMTP", b"xyz.com", None, chunked, True)
    try:
        for start in range(0, len(wire), piece):
            end = min(start + piece, len(wire))
            at = delivery.feed(wire, start, end)
            while at < end and not delivery.ended:
                delivery.spill()
                at = delivery.feed(wire, at, end)
        if not delivery.ended and not chunked:
            delivery.abort()
            return None
        delivery.commit()
    except OSError:
        delivery.abort()
        raise
    return delivery.octets


def deliver_half(name, wire):
    """A large message whose end never comes, as a power cut leaves it."""
    global cut  # else its file would write once more, when it is collected
    cut = delivery = Delivery(block, [boxes[name]], b"boy@abc.com", b"abc.com ([192.0.2.1])",
                              b"ESMTP", b"xyz.com", None)
    at = delivery.feed(wire, 0, len(wire))
    while at < len(wire):
        delivery.spill()
        at = delivery.feed(wire, at, len(wire))


def append_unrecorded(name, text):
    """A small message that a power cut parts from its record."""
    box = boxes[name]
    head = b"From x Mon Nov 23 10:00:00 2026\nReturn-Path: <x>\nReceived: from x\n"
    data = head + b"\tby y with SMTP id "
    data += b"%08x.%08x;\n\tdate\n" % (box.index.uid_validity, box.index.next_uid) + text
    return box.put(data, len(data))


def try_deliver(names, wire):
    try:
        return deliver(names, wire)
    except OSError as error:
        return "OSError %d" % error.errno


def drop(name):
    maildrop = Maildrop(boxes[name])
    asyncio.run(maildrop.open(nothing))
    return maildrop


def uid(maildrop, number):
    """The unique-id of a message as UIDL shows it."""
    line = bytearray(17)
    assert maildrop.put_uid(number, line, 0) == len(line)
    return bytes(line)


def listing(name):
    maildrop = drop(name)
    return [(maildrop.octets_of(n), uid(maildrop, n)) for n in range(1, maildrop.count + 1)]


def text(name, number):
    """The message's text on the card."""
    file, size = drop(name).open_message(number)
    with file:
        return file.read(size)


def wire(name, number, lines=-1):
    """The message as RETR or TOP sends it, through small buffers."""
    file, rest = drop(name).open_message(number)
    state = mboxrd.new_sending(lines)
    out = bytearray(80)
    sent = b""
    with file:
        while rest and not state[mboxrd.ENDED]:
            data = file.read(min(100, rest))
            rest -= len(data)
            state[mboxrd.SOURCE] = 0
            while state[mboxrd.SOURCE] < len(data) and not state[mboxrd.ENDED]:
                state[mboxrd.TARGET] = 0
                mboxrd.send(state, data, len(data), out, len(out))
                sent += out[: state[mboxrd.TARGET]]
    state[mboxrd.TARGET] = 0
    return bytes(sent + out[: mboxrd.finish_send(state, out)])


def failed(action):
    """The name of the exception that `action` raises, or None."""
    try:
        action()
    except Exception as error:
        return type(error).__name__
    return None


def digest(name, number):
    return hashlib.sha256(wire(name, number)).digest()[:8]


def delete(name, numbers):
    maildrop = drop(name)
    for number in numbers:
        maildrop.delete(number)
    return asyncio.run(maildrop.commit(nothing))


def sweep(name):
    for _ in boxes[name].sweep():
        pass
    return files(name)


def files(name):
    found = []
    for shard in os.listdir("/sd/" + name):
        if len(shard) == 2:
            found += sorted(os.listdir("/sd/%s/%s" % (name, shard)))
    return found


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def peek(path, offset, size):
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def entries_with_size(size):
    """Offsets in the image of the size fields of directory entries with that size (FAT)."""
    wanted = size.to_bytes(4, "little")
    return [at + 28 for at in range(0, len(disk.data), 32)
            if disk.data[at + 8 : at + 11] == b"MBX" and disk.data[at + 28 : at + 32] == wanted]


def fill_up():
    with open("/sd/FILLER.BIN", "wb") as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass


def open_error(name):
    boxes[name].close()
    try:
        open_box(name)
    except OSError as error:
        return type(error).__name__ + ": " + str(error)
    return None
