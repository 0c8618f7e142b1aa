# Runs inside the VM: fills a mailbox on a card image with the firmware's own store.
from picopost import limits
from picopost.event_log import log
from picopost.store.delivery import Delivery
from picopost.store.mailbox import Mailbox
from picopost.store.volume import Volume


class ImageFile:
    """A card image as a block device."""

    def __init__(self, path):
        self.file = open(path, "r+b")
        self.blocks = self.file.seek(0, 2) // 512

    def readblocks(self, block, buf):
        self.file.seek(block * 512)
        self.file.readinto(buf)

    def writeblocks(self, block, buf):
        self.file.seek(block * 512)
        self.file.write(buf)

    def ready(self):
        return True

    async def wait_ready(self):
        pass

    def ioctl(self, operation, argument):
        return self.blocks if operation == 4 else 512 if operation == 5 else 0


def fill(path, name, count, size):
    """Deliver `count` letters of about `size` octets to the mailbox of account `name`."""
    import os

    volume = Volume(ImageFile(path))
    volume.mount("/sd")
    try:
        os.mkdir("/sd/mail")
    except OSError:
        pass
    box = Mailbox(name, "/sd/mail/" + name, volume)
    box.open(log)
    block = bytearray(limits.CARD_BLOCK + 8)
    body = b"x" * 70 + b"\r\n"
    for number in range(count):
        text = b"Subject: %d\r\n\r\n" % number + body * (size // len(body)) + b".\r\n"
        delivery = Delivery(block, [box], b"boy@abc.com", b"abc.com ([192.0.2.1])", b"ESMTP",
                            b"xyz.com", None)
        at = 0
        while not delivery.ended:
            at = delivery.feed(text, at, len(text))
            if delivery.full:
                delivery.spill()
        delivery.commit()
    box.close()
    volume.unmount()
