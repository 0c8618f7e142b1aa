"""The mounted card: driver, fail-stop, guard and file system put together.

    VfsFat -> Guard (torn blocks) -> FailStop (first error is the last) -> SdCard
"""

import vfs

from picopost.store.fail_stop import FailStop
from picopost.store.guard import Guard


class Volume:
    """One card from `mount` to `unmount`; after a failure a new Volume takes over. `card` is its
    driver, `read(block, buf)` reads past the file system.
    """

    def __init__(self, card):
        self.card = card
        self._device = FailStop(card)
        self._guard = Guard(self._device)
        self._root = None
        self.shut = self._device.shut
        self.read = self._device.readblocks
        self.ready = self._device.ready  # without waiting, and mostly without asking the card
        self.wait_ready = self._device.wait_ready

    def mount(self, root):
        """Repair what a power cut tore, and mount at `root`; True when there was something.

        Raises OSError: ENODEV without a FAT file system, and what the card's driver raises.
        """
        repaired = self._guard.mount(root)
        self._root = root
        return repaired

    def probe(self):
        """See whether the card is still there; write what could wait. What is wrong stands in
        `failure`.
        """
        try:
            self._guard.tidy()
        except (OSError, MemoryError):
            pass  # FailStop keeps the card's; where the heap is full the next probe does it
        self._device.probe()

    def unmount(self):
        """Let the card go. Never raises; `sync` says whether all is on it."""
        if self._root:
            self.probe()
            vfs.umount(self._root)
            self._root = None

    def sync(self):
        """When this returns, all that was written is on the card for good; else it raises OSError.

        For promises: a `flush` only hands over to the card, which takes all in its order.
        """
        self._guard.sync()

    @property
    def failure(self):
        """None, or the arguments of the OSError that ended it."""
        if self._guard.writing:
            self._device.fail(None)
        return self._device.failure

    @property
    def structural(self):
        """Counts who is changing names, first clusters or sizes that matter: see guard.py.

        Count it down only after a `flush`: until then the change may wait in FatFs' window.
        """
        return self._guard.structural

    @structural.setter
    def structural(self, count):
        self._guard.structural = count
