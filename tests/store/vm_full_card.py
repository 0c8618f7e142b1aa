# Runs inside the VM, for test_full_card.py: what power cuts leave of letters that found no room.
import os

import vm_full_heap
import vm_store
from vm_full_heap import boxes, card, everything, restore, wrong

# A directory entry has its first cluster at 20 and 26, its size at 28.
_LENGTHS = [0] + [32 * entry + at for entry in range(6) for at in (21, 27, 29)] + [300, 496]

_before = bytearray(card.data)
_last = bytearray(card.data)


class Tape:
    """The card's writes, block by block."""

    def __init__(self):
        self.writes = []
        self.untaped = card.writeblocks

    def writeblocks(self, block, buf):
        for at in range(0, len(buf), 512):
            self.writes.append((block + at // 512, bytes(buf[at : at + 512])))
        self.untaped(block, buf)


def fill(left):
    """Take all clusters but so many."""
    with open("/sd/FILLER.BIN", "wb") as file:
        for _ in range(os.statvfs("/sd")[3] - left):
            file.write(bytes(512))


def cuts(thing):
    """How many cuts there were in what `thing` does, and what is wrong after some: [(write, octets
    of it that came to the card, findings)].
    """
    restore()
    promised = everything()
    tape = Tape()
    card.writeblocks = tape.writeblocks
    vm_store.start_again()  # the guard asks for it when it is made
    _before[:] = card.data
    tape.writes.clear()
    room = True
    try:
        thing.act()
    except OSError as error:
        if error.errno != 28:
            raise
        thing.give_up()
        room = False
    for name in boxes:
        boxes[name].close()
    boxes.clear()
    vm_store.volume.unmount()
    card.writeblocks = tape.untaped
    if room:
        return 0, ["there was room"]
    report = []
    count = 0
    _last[0] ^= 0xFF  # no card is like it
    for number, (block, new) in enumerate(tape.writes):
        for length in _LENGTHS:
            card.data[:] = _before
            for earlier, content in tape.writes[:number]:
                card.data[earlier * 512 : earlier * 512 + 512] = content
            card.data[block * 512 : block * 512 + length] = new[:length]
            if card.data == _last:
                continue
            _last[:] = card.data
            count += 1
            found = after_cut(promised)
            if found:
                report.append((number, length, found))
    return count, report


def after_cut(promised):
    vm_store.mount()
    try:
        for name in promised:
            vm_store.open_box(name)
        return wrong(promised, everything(), "after the cut", 0) + vm_full_heap.check_fat()
    except (OSError, RuntimeError) as error:
        return [repr(error)]
    finally:
        for name in boxes:
            boxes[name].close()
        boxes.clear()
        vm_store.volume.unmount()
