"""Runs in the VM in main.py's place: the firmware with its card as a file, without the SD driver.

What is left is the firmware and the VM's own sockets, which is what servers on a PC can be compared
with. The flash has a file `card_image` with the path of the image. A sync of the card is an fsync
of the image, unless the flash has a file `no_fsync`.
"""

import gc
import os

# As main.py.
gc.threshold(16_384)

from picopost import appliance  # noqa: E402
from picopost.store.volume import Volume  # noqa: E402

_BLOCK = 512


class FileCard:
    """SdCard's interface to the store, on an image file."""

    def __init__(self, path, durable):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK
        self._durable = durable
        self._unsynced = False

    def readblocks(self, block, buf):
        self._file.seek(block * _BLOCK)
        self._file.readinto(buf)

    def writeblocks(self, block, buf):
        self._file.seek(block * _BLOCK)
        self._file.write(buf)
        self._unsynced = True

    def ioctl(self, operation, argument):
        if operation == 3 and self._unsynced:
            if self._durable:
                self._file.flush()  # the VM makes an fsync of it
            self._unsynced = False
        return self._blocks if operation == 4 else _BLOCK if operation == 5 else 0

    def ready(self):
        return True

    async def wait_ready(self):
        pass


def _open_card(board):
    with open("card_image") as file:
        path = file.read()
    volume = Volume(FileCard(path, "no_fsync" not in os.listdir()))
    volume.mount("/sd")
    return volume


appliance._open_card = _open_card
appliance.main()
