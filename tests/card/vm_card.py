# Runs inside the VM: the firmware's mailboxes on a card image, for conftest.py.
import asyncio
import os

from picopost import clock, limits
from picopost.event_log import log
from picopost.store.delivery import Delivery
from picopost.store.mailbox import Mailbox
from picopost.store.maildrop import Maildrop
from vm_repair import ROOT, mount

block = bytearray(limits.CARD_BLOCK + 8)
boxes = {}
volume = None


def start(path, names):
    """Mount the image and open its mailboxes, made where missing."""
    global volume
    volume = mount(path)
    if "mail" not in os.listdir(ROOT):
        os.mkdir(ROOT + "/mail")
    for name in names:
        boxes[name] = Mailbox(name, f"{ROOT}/mail/{name}", volume)
        boxes[name].open(log)


def stop():
    for name in list(boxes):
        boxes.pop(name).close()
    volume.unmount()
    volume.sync()


def deliver(names, wire, date, cut=False):
    """Feed a message as DATA brings it; returns its unique-id in the first mailbox.

    With `cut` all of it comes, and is never committed.
    """
    clock.now = lambda: date
    delivery = Delivery(block, [boxes[name] for name in names], b"boy@abc.com",
                        b"abc.com ([192.0.2.1])", b"ESMTP", b"xyz.com", None)
    at = delivery.feed(wire, 0, len(wire))
    while at < len(wire):
        delivery.spill()
        at = delivery.feed(wire, at, len(wire))
    if cut:
        return None
    delivery.commit()
    index = boxes[names[0]].index
    return "%08x.%08x" % (index.uid_validity, index.next_uid - 1)


async def nothing():
    pass


def delete(name, numbers):
    """What POP3's DELE and QUIT do."""
    maildrop = Maildrop(boxes[name])
    asyncio.run(maildrop.open(nothing))
    for number in numbers:
        maildrop.delete(number)
    return asyncio.run(maildrop.commit(nothing))
