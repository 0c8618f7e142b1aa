# Runs inside the VM: listings of a real maildrop on a card image, for test_listings.py.
import asyncio
import gc

from picopost import limits
from picopost.event_log import log
from picopost.pop3.dialogue import Dialogue
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
    talk = Dialogue("xyz.com")
    talk.logged_in(maildrop)


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
