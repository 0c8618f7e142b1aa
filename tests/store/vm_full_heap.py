# Runs inside the VM, for test_full_heap.py: the heap ends at each allocation of what a store does.
import gc
import hashlib

import vm_store
from picopost.store.delivery import Delivery
from vm_fat_check import FatVolume
from vm_guard_blocks import formatted
from vm_store import (  # noqa: F401
    RamDisk,
    block,
    boxes,
    delete,
    deliver,
    drop,
    mount,
    open_box,
    start_again,
    sweep,
    uid,
)

_BLOCK = 32  # octets of one of the heap's blocks in 64 bits
_CLUSTERS = 4200  # the least of FAT16; of one block, so that a letter has many
_filler = None


class Card(RamDisk):
    """Allocates for each block, as the driver of a card does."""

    def readblocks(self, block, buf):
        for at in range(0, len(buf), 512):
            here = (block << 9) + at
            buf[at : at + 512] = memoryview(self.data)[here : here + 512]

    def writeblocks(self, block, buf):
        for at in range(0, len(buf), 512):
            here = (block << 9) + at
            self.data[here : here + 512] = memoryview(buf)[at : at + 512]


def _format():
    disk = formatted(16, _CLUSTERS)
    made = Card(disk.blocks)
    for number in disk.base:
        made.data[number * 512 : number * 512 + 512] = disk.base[number]
    return made


card = _format()
_empty = bytes(card.data)
_saved = bytearray(card.data)


def starve(blocks):
    """Leave so many blocks of the heap free, in one piece; nothing is collected by itself."""
    global _filler
    gc.collect()
    left = [bytearray(blocks * _BLOCK) if blocks else None]
    size = 1 << 16  # no more of it is kept when one is taken for used after `relieve`
    while size:
        try:
            _filler = [_filler, bytearray(size)] if size > 1 else (_filler,)
        except MemoryError:
            size >>= 1
    left.clear()
    gc.collect()
    gc.disable()


def relieve():
    global _filler
    while _filler:
        rest = _filler[0]
        if isinstance(_filler, list):
            _filler.clear()
        _filler = rest
    gc.enable()
    gc.collect()


def starving(blocks, act, give_up):
    """`act()` with that much of the heap; after an error `give_up()`, with what can be collected.
    What was raised, or None.
    """
    raised = None
    starve(blocks)
    try:
        act()
    except BaseException as error:
        raised = error
    gc.enable()
    try:
        if raised:
            give_up()
    except BaseException as error:
        raised = error
    finally:
        relieve()
    return raised


def fresh(boxes_wanted):
    """An empty card with some mailboxes."""
    for name in boxes:
        boxes[name].close()
    boxes.clear()
    vm_store.volume.unmount()
    vm_store.disk = card
    card.data[:] = _empty
    mount()
    for name in boxes_wanted:
        open_box(name)


def save():
    """The card as it is; `restore` brings it back."""
    global _names
    _names = list(boxes)
    for name in boxes:
        boxes[name].close()
    vm_store.volume.unmount()
    _saved[:] = card.data
    restore()


def restore():
    for name in boxes:
        boxes[name].close()
    vm_store.volume.unmount()
    card.data[:] = _saved
    mount()
    boxes.clear()
    for name in _names:
        open_box(name)


def letters(name):
    """{unique-id: (octets, digest)} of what a mail program would fetch."""
    maildrop = drop(name)
    found = {}
    for number in range(1, maildrop.count + 1):
        file, size = maildrop.open_message(number)
        digest = hashlib.sha256()
        while size:
            piece = file.read(min(size, 2048))
            size -= len(piece)
            digest.update(piece)
        found[uid(maildrop, number)] = maildrop.octets_of(number), digest.digest()[:8]
    maildrop.close()
    assert len(found) == maildrop.count
    return found


def everything():
    return {name: letters(name) for name in boxes}


def wrong(promised, now, when, extra):
    """What is wrong with what is there `now`: octets of text for each finding."""
    found = []
    for name in promised:
        for key in promised[name]:
            if key not in now[name]:
                found.append("%s: %s lost %s" % (when, name, key))
            elif promised[name][key] != now[name][key]:
                found.append("%s: %s changed %s" % (when, name, key))
        more = len(now[name]) - len(promised[name])
        if more > extra:
            found.append("%s: %s has %d that nobody was promised" % (when, name, more))
    return found


def check_fat():
    try:
        FatVolume(lambda block: card.data[block * 512 : block * 512 + 512]).tree()
    except Exception as error:
        return ["FAT: " + repr(error)]
    return []


class Sending:
    """A letter to some mailboxes, as a session has it."""

    def __init__(self, names, text):
        self.names = names
        self.text = text
        self.delivery = None

    def act(self):
        self.delivery = None
        text = self.text
        self.delivery = Delivery(block, [boxes[name] for name in self.names], b"boy@abc.com",
                                 b"abc.com ([192.0.2.1])", b"ESMTP", b"xyz.com", None)
        at = 0
        while not self.delivery.ended:
            at = self.delivery.feed(text, at, min(len(text), at + 1460))
            if self.delivery.full:
                self.delivery.spill()
        self.delivery.commit()

    def give_up(self):
        if self.delivery:
            self.delivery.abort()


def letter(size, mark=b"x"):
    return b"Subject: %s\r\n\r\n" % mark + (mark * 60 + b"\r\n") * (size // 62) + b".\r\n"


def play(thing, step):
    """With ever more of the heap, until it goes through: (how often that failed, [(blocks, what was
    raised, findings)] where something is wrong).
    """
    report = []
    tries = 0
    raised = True
    while raised:
        restore()
        promised = everything()
        raised = starving(tries * step, thing.act, thing.give_up)
        found = after(promised, raised)
        if found:
            report.append((tries * step, repr(raised), found))
        tries += 1
    return tries - 1, report


def after(promised, raised):
    """What is wrong now, after more letters, and after restarts."""
    found = []
    if raised is not None and not isinstance(raised, (MemoryError, OSError)):
        found.append("raised " + repr(raised))
    if vm_store.volume.structural:
        found.append("structural stays %d" % vm_store.volume.structural)
    for name in boxes:
        if boxes[name].writing:
            found.append("%s: writing stays %s" % (name, boxes[name].writing))
    # Where the card is lost a copy may not be taken back: see DESIGN, "The store".
    extra = 0
    if vm_store.volume.failure:
        extra = 1
        start_again()
    try:
        now = everything()
        if raised is None:
            promised = now
        found += wrong(promised, now, "now", extra)
        for size in (300, 9000, 300, 300):
            deliver(list(boxes), letter(size, b"later"))
        now = everything()
        found += wrong(promised, now, "after more", 4 + extra)
        start_again()
        found += wrong(now, everything(), "after a restart", 0)
        for name in boxes:
            sweep(name)
        deliver(list(boxes), letter(9000, b"last"))
        start_again()
        found += wrong(now, everything(), "after another", 1)
        found += check_fat()
    except OSError as error:
        found.append(repr(error))
    return found


class Sweeping:
    """The space of deleted letters is given back."""

    def __init__(self, name):
        self.name = name

    def act(self):
        self.steps = boxes[self.name].sweep()
        for _ in self.steps:
            pass

    def give_up(self):
        self.steps.close()
