# Runs inside the VM: listings of a real maildrop on a card image, for test_listings.py.
import asyncio
import gc

from picopost import limits
from picopost.event_log import log
from picopost.pop3.dialogue import Dialogue
from picopost.store import index as index_file
from picopost.store.mailbox import Mailbox
from picopost.store.maildrop import Maildrop
from picopost.store.volume import Volume
from vm_fill import ImageFile

buffer = bytearray(limits.MAX_POP3_LISTING_LINE)


async def nothing():
    pass


def start(path, name):
    global volume, box, maildrop, talk
    volume = Volume(ImageFile(path))
    volume.mount("/sd")
    box = Mailbox(name, "/sd/mail/" + name, volume)
    box.open(log)
    maildrop = Maildrop(box)
    asyncio.run(maildrop.open(nothing))
    talk = Dialogue("xyz.com", None, None)
    talk.logged_in(name, maildrop)


def allocated(put_line, count):
    """Octets of heap that the lines of messages 1 to `count` take and leave to the collector."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for number in range(1, count + 1):
        put_line(number, buffer, 0)
    taken = gc.mem_alloc() - before
    gc.enable()
    return taken


def commit(marks):
    """(most records looked at between two turns of the loop, how many were deleted), of QUIT after
    these deletions; they are taken back.
    """
    looks = [0]
    longest = [0]
    index = box.index
    original = index.load

    def load(slot):
        looks[0] += 1
        return original(slot)

    async def pause():
        longest[0] = max(longest[0], looks[0])
        looks[0] = 0

    drop = Maildrop(box)
    asyncio.run(drop.open(nothing))
    for number in marks:
        drop.delete(number)
    slots = [drop.slot_of(number) for number in marks]
    index.load = load
    try:
        deleted = asyncio.run(drop.commit(pause))
        asyncio.run(pause())
    finally:
        index.load = original
    for slot in slots:
        base = index.load(slot)
        index.words()[base] = index.words()[base] & ~0xFF | index_file.LIVE
        index_file._owner[2] = True
        index.write_back()
    return longest[0], deleted
