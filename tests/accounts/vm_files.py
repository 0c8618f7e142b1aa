# Runs inside the MicroPython VM: the files of accounts on a flash (a folder of the host, the
# working directory) and on a FAT card in RAM, with the power cut between any two steps.
import asyncio
import binascii
import os

import vfs
from picopost import (
    accounts,
    accounts_file,
    card_accounts,
    enrolment,  # noqa: F401 (this and the last: for the tests' expressions)
    event_log,
    limits,  # noqa: F401
)
from picopost.post_office import PostOffice
from picopost.settings import check
from picopost.store.volume import Volume

events = []


def log(event, **fields):
    events.append((event, fields))


event_log.log = log


class PowerCut(BaseException):
    """No `except` of the firmware catches it."""


class Flash:
    """In the place of `os` and `open` for accounts_file: the power fails before step `cut`."""

    def __init__(self):
        self.cut = -1
        self.steps = 0

    def step(self):
        if self.steps == self.cut:
            raise PowerCut
        self.steps += 1

    def open(self, path, mode="r"):
        if "w" not in mode:
            return open(path, mode)
        self.step()
        return FlashFile(self, open(path, mode))

    def rename(self, old, new):
        self.step()
        os.rename(old, new)

    def stat(self, path):
        return os.stat(path)


class FlashFile:
    def __init__(self, flash, file):
        self._flash = flash
        self._file = file

    def write(self, text):
        self._flash.step()
        return self._file.write(text)

    def flush(self):
        self._flash.step()
        self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


flash = Flash()
accounts_file.os = flash
accounts_file.open = flash.open


def cut_at(step, call):
    """Whether the power failed in `call`, before so many steps on the flash."""
    flash.steps, flash.cut = 0, step
    try:
        call()
        return False
    except PowerCut:
        return True
    finally:
        flash.cut = -1


def lines_of(known):
    """The accounts as they stand in a file, sorted."""
    return sorted(["%s:%d:%s:%s" % (name, known[name][0], binascii.hexlify(known[name][1]).decode(),
                                    binascii.hexlify(known[name][2]).decode()) for name in known])


def put(path, text):
    with open(path, "wb") as file:
        file.write(text)


def why(path, removals=False):
    """Why a file is refused, or None."""
    try:
        accounts_file.read(path, removals)
    except accounts_file.AccountsError as error:
        return str(error)


def lets_in(name, password):
    """Whether the accounts on the flash let somebody in."""
    return asyncio.run(accounts.verify(accounts_file.read(), name, password))


# --- a card ---------------------------------------------------------------------------------------

class RamDisk:
    """A block device; the power fails before block write number `cut`."""

    def __init__(self):
        self.data = bytearray(1024 * 512)
        self.cut = -1
        self.writes = 0
        self.fail = False

    def readblocks(self, block, buf):
        if self.fail:
            raise OSError(5)
        buf[:] = memoryview(self.data)[block * 512 : block * 512 + len(buf)]

    def writeblocks(self, block, buf):
        for at in range(0, len(buf), 512):
            if self.writes == self.cut:
                raise PowerCut
            self.writes += 1
            self.data[block * 512 + at : block * 512 + at + 512] = buf[at : at + 512]

    def ready(self):
        return True

    async def wait_ready(self):
        pass

    def ioctl(self, op, arg):
        return {4: 1024, 5: 512}.get(op, 0)


office = None
disk = None
counts = []  # `structural` of the volume at each call that changes names or first clusters


class Watched:
    """In the place of `os` and `open` for card_accounts."""

    stat = os.stat

    def remove(self, path):
        counts.append(office.volume.structural)
        os.remove(path)

    def open(self, path, mode):
        if mode == "wb":
            counts.append(office.volume.structural)
        return open(path, mode)


card_accounts.os = Watched()
card_accounts.open = card_accounts.os.open


def insert():
    """Mount the card, as the appliance does."""
    office.volume = Volume(disk)
    office.volume.mount("/sd")


def umount():
    try:
        vfs.umount("/sd")
    except OSError:
        pass  # it was not mounted


def begin(on_flash, on_card, settings):
    """A board with these accounts in its flash and its heap, and a card with these changes."""
    global office, disk
    umount()
    del events[:]
    del counts[:]
    put("accounts.txt", on_flash)
    office = PostOffice(check(settings), accounts_file.read(), "/sd")
    disk = RamDisk()
    vfs.VfsFat.mkfs(disk)
    insert()
    if on_card is not None:
        put("/sd/ACCOUNTS.TXT", on_card)


def make_read_only():
    """ACCOUNTS.TXT gets FAT's attribute for that, which MicroPython cannot set."""
    umount()
    at = disk.data.find(b"ACCOUNTSTXT")
    disk.data[at + 11] |= 1
    insert()


def start_again():
    """After a power cut: what is on flash and card is all that is left."""
    umount()
    disk.cut = flash.cut = -1
    office.accounts.clear()
    office.accounts.update(accounts_file.read())
    insert()


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno != 2:
            raise


def state():
    """(accounts in the heap, on the flash, ACCOUNTS.TXT, ACCOUNTS.BAD)"""
    return (lines_of(office.accounts), lines_of(accounts_file.read()),
            content("/sd/ACCOUNTS.TXT"), content("/sd/ACCOUNTS.BAD"))


def apply():
    """As the appliance: only where there is something."""
    if content("/sd/ACCOUNTS.TXT") is not None:
        card_accounts.apply(office, "/sd")
