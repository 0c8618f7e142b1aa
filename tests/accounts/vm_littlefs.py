# Runs inside the MicroPython VM: the accounts file on LittleFS, the board's file system, and the
# power cut at each write of a block.
import os

import vfs
from picopost import accounts_file


class PowerCut(BaseException):
    """No `except` of the firmware catches it."""


class Flash:
    """64 blocks of 4 KB as the RP2040's; an erase or a write is old, torn in half, or new."""

    def __init__(self, data=None):
        self.data = data or bytearray(64 * 4096)
        self.cut = -1
        self.writes = 0
        self.torn = False

    def readblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        self._change(block * 4096 + offset, buf)

    def ioctl(self, operation, argument):
        if operation == 6:
            self._change(argument * 4096, b"\xff" * 4096)
        return {4: 64, 5: 4096}.get(operation, 0)

    def _change(self, at, octets):
        if self.writes == self.cut:
            if self.torn:
                self.data[at : at + len(octets) // 2] = octets[: len(octets) // 2]
                self.torn = False  # what follows never reaches it
            raise PowerCut
        self.data[at : at + len(octets)] = octets
        self.writes += 1


def on(flash, call):
    """What `call` gives with the flash mounted, as the board's working directory; or PowerCut."""
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    os.chdir("/flash")
    try:
        return call()
    except PowerCut:
        return PowerCut
    finally:
        os.chdir("/")
        vfs.umount("/flash")


def campaign(old, new):
    """(cuts, the states found after them): `old` or `new` accounts, or what else there was."""
    first = Flash()
    vfs.VfsLfs2.mkfs(first)
    on(first, lambda: accounts_file.write(old))
    found = []
    for torn in (False, True):
        cut = 0
        while True:
            flash = Flash(bytearray(first.data))
            flash.cut = cut
            flash.torn = torn
            ended = on(flash, lambda: accounts_file.write(new)) is not PowerCut  # noqa: B023
            again = dict(on(Flash(flash.data), accounts_file.read))
            found.append("new" if again == new else "old" if again == old else again)
            if ended:
                break
            cut += 1
    return len(found) - 2, found
