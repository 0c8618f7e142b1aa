# Runs inside the VM, for `card repair`: what the firmware does with a card when it starts.
import os
import sys

from picopost import accounts_file, event_log
from picopost.store.mailbox import Mailbox
from picopost.store.volume import Volume

ROOT = "/sd"
GAVE_UP = 3


class ImageDevice:
    """A card image in SdCard's place."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // 512

    def ready(self):
        return True

    def readblocks(self, block, buf):
        self._file.seek(block * 512)
        if self._file.readinto(buf) != len(buf):
            raise OSError(5)

    def writeblocks(self, block, buf):
        if block + len(buf) // 512 > self._blocks:
            raise OSError(5)  # or the image would grow
        self._file.seek(block * 512)
        if self._file.write(buf) != len(buf):
            raise OSError(5)

    def ioctl(self, op, arg):
        if op == 3:
            self._file.flush()
        if op == 4:
            return self._blocks
        if op == 5:
            return 512
        return 0


def mount(path):
    """Mount the image at `path` as the appliance mounts its card; returns the volume."""
    volume = Volume(ImageDevice(path))
    if volume.mount(ROOT):
        event_log.log("repaired", why="a write that a power cut tore")
    return volume


def recover(name, volume):
    """Open and close one mailbox: that is all of the firmware's recovery. OSError: it gave up."""
    mailbox = Mailbox(name, f"{ROOT}/mail/{name}", volume)
    try:
        mailbox.open(event_log.log)
    finally:
        mailbox.close()


def mailboxes():
    """The names of the folders that could be an account's; none on an unused card."""
    for entry in os.ilistdir(ROOT):
        if entry[0].lower() == "mail":
            return [entry[0] for entry in os.ilistdir(ROOT + "/mail")
                    if entry[1] == 0x4000 and accounts_file.is_name(entry[0])]
    return []


def main():
    """Exit status: 0, or GAVE_UP when a mailbox could not be opened."""
    volume = mount(sys.argv[1])
    status = 0
    for name in mailboxes():
        try:
            recover(name, volume)
        except OSError as error:
            event_log.log("mailbox_closed", mailbox=name, why=str(error))
            status = GAVE_UP
    volume.unmount()
    volume.sync()
    sys.exit(status)


if __name__ == "__main__":
    main()
