# Runs inside the VM, for test_guard.py: a script of file operations on a FAT volume, and what a
# power cut at any of its writes leaves.
import os

import vfs
from picopost.store.guard import Guard
from vm_fat_check import FatError, FatVolume
from vm_fat_disk import JUNK, ZEROS

PLACE = "/g"
DIRECTORY = b"a directory"


def text(name, size):
    line = (name + "-") * 40
    return (line * (size // len(line) + 1))[:size].encode()


class Script:
    """Plays the store's operations; `history` tells which writes belong to which of them."""

    def __init__(self, disk, guarded, play=True):
        self.disk = disk
        self.guarded = guarded
        self.guard = Guard(disk)
        self.history = {}  # path: [(first write, behind the last, content then or None)]
        self.files = {}
        vfs.mount(vfs.VfsFat(disk), PLACE)
        self._bystanders()
        vfs.umount(PLACE)
        self.before = dict(disk.base)
        if not play:
            return
        if guarded:
            self.guard.mount(PLACE)
        else:
            vfs.mount(vfs.VfsFat(disk), PLACE)
        self.before = dict(disk.base)
        disk.writes.clear()
        disk.syncs.clear()
        try:
            self._play()
        finally:
            for file in self.files.values():
                file.close()
            vfs.umount(PLACE)
        self.volume = FatVolume(disk.get)
        self.journal = self.guard._journal

    def note(self, path, first, content):
        events = self.history.setdefault(path, [])
        events.append((first, len(self.disk.writes), content))

    def content(self, path):
        return path in self.history and self.history[path][-1][2] or b""

    def _bystanders(self):
        self.mkdir("/OLD")
        for size in (100, 3000, 700):  # grown in turn, so their chains are interleaved
            for path in ("/OLD/KEEP1.BIN", "/KEEP2.BIN", "/OLD/KEEP3.BIN"):
                self.write(path, len(self.content(path)) + size)
        self.write("/KEEP4.BIN", 100_000)
        self.close("/OLD/KEEP1.BIN", "/KEEP2.BIN", "/OLD/KEEP3.BIN", "/KEEP4.BIN")
        self.history = {path: [(0, 0, events[-1][2])] for path, events in self.history.items()}

    def mkdir(self, path):
        first = len(self.disk.writes)
        self.guard.structural = 1
        os.mkdir(PLACE + path)
        self.guard.structural = 0
        self.note(path, first, DIRECTORY)

    def write(self, path, size, structural=False, step=4096):
        """Write up to `size` octets behind what is there, then flush."""
        first = len(self.disk.writes)
        before = len(self.content(path))
        self.guard.structural = structural or path not in self.files
        if path not in self.files:
            self.files[path] = open(PLACE + path, "w+b")
        file = self.files[path]
        file.seek(before)
        data = memoryview(text(path, size))
        for at in range(before, size, step):
            file.write(data[at : min(at + step, size)])
        file.flush()
        self.guard.structural = 0
        self.note(path, first, bytes(data))

    def patch(self, path, at, data):
        """Overwrite in place, as an index record is."""
        first = len(self.disk.writes)
        before = self.content(path)
        self.files[path].seek(at)
        self.files[path].write(data)
        self.files[path].flush()
        self.note(path, first, before[:at] + data + before[at + len(data) :])

    def grow(self, path, size):
        """Append zeros, as an index grows."""
        first = len(self.disk.writes)
        before = self.content(path)
        self.guard.structural = 1
        self.files[path].seek(len(before))
        for _ in range(size // 512):
            self.files[path].write(ZEROS)
        self.files[path].flush()
        self.guard.structural = 0
        self.note(path, first, before + bytes(size))

    def close(self, *paths):
        for path in paths:
            self.files.pop(path).close()

    def remove(self, path):
        first = len(self.disk.writes)
        os.remove(PLACE + path)
        self.note(path, first, None)

    def _play(self):
        for path in ("/MAIL", "/MAIL/GIRL", "/MAIL/GIRL/00"):
            self.mkdir(path)
        index = "/MAIL/GIRL/INDEX.PIX"
        self.write(index, 512)
        segment = "/MAIL/GIRL/00/%04X.MBX"
        self.write(segment % 0, 700)
        self.grow(index, 2048)
        self.patch(index, 512, b"record" * 5)
        for size in (1400, 1500, 2200, 6000):
            self.write(segment % 0, size)
        self.patch(index, 544, b"record" * 5)
        self.write(segment % 1, 0)  # a large message: its name first, then data, then the flush
        self.write(segment % 1, 20_000, structural=True)
        self.write(segment % 0, 8000)
        self.close(segment % 1)
        self.remove(segment % 1)
        for number in range(2, 24):  # the directory grows
            self.write(segment % number, 100 * (number % 3))
            self.close(segment % number)
        self.write(segment % 0, 9000)
        for number in range(2, 8):
            self.remove(segment % number)
        self.write(segment % 2, 512)
        self.write(segment % 2, 80_000)  # most of a FAT block changes at once
        self.grow(index, 4096)
        self.mkdir("/MAIL/BOY")

    # --- power cuts ---------------------------------------------------------------------------

    def damage(self, at):
        """What is wrong with the volume when the write number `at` was cut: text, or None."""
        try:
            volume = FatVolume(self.disk.get)
            tree = volume.tree()
            if self.guarded:
                volume.compare_copies(self.disk.base)
            for path in tree:
                if path not in self.history and not path.startswith("/PICOPOST.J"):
                    raise FatError(f"{path} came from nowhere")
            for path in self.history:
                self._compare(volume, path, tree.get(path), at)
        except FatError as error:
            return str(error)

    def _compare(self, volume, path, found, at):
        before = after = None
        for first, end, content in self.history[path]:
            if end <= at:
                before = after = content
            elif first <= at:
                after = content
        if found is None:
            if before is None or after is None:
                return
            raise FatError(f"{path} is gone")
        if before is None and after is None:
            raise FatError(f"{path} came back")
        if DIRECTORY in (before, after):
            return
        size, chain = found
        if before is not None:
            whole = volume.content(chain, len(before))
            if whole != before and not (after and len(whole) == len(before) and all(
                    whole[i] in (before[i], after[i]) for i in range(len(before)))):
                raise FatError(f"{path}: other content")
        if before is after and (size != len(before) or len(chain) != (size + 511) // 512):
            raise FatError(f"{path}: {size} octets in {len(chain)} clusters")
        if after is not None and size > max(len(before or b""), len(after)):
            raise FatError(f"{path}: {size} octets")

    def mount(self):
        """What the next start does; True when the guard repaired."""
        if not self.guarded:
            return False
        repaired = Guard(self.disk).mount(PLACE)
        vfs.umount(PLACE)
        return repaired


class Campaign:
    """Every state that a cut leaves, mounted and checked; `run` once."""

    def __init__(self, script):
        self.script = script
        self.disk = script.disk
        self.cuts = self.checked = self.repaired = self.again = 0
        self.damages = []
        self._sound = set()  # what was checked already at this write

    def run(self, step=1, lose=True):
        """Tear each write at every `step`th of the lengths that differ in what they leave.

        `lose`: also with the last writes before it lost, as far back as the last sync.
        """
        writes, syncs = list(self.disk.writes), list(self.disk.syncs)
        disk = self.disk
        disk.base = dict(self.script.before)
        synced = 0
        for at, (block, old, new) in enumerate(writes):
            self._sound.clear()
            self._cut(at, {}, "whole")
            lengths = self._lengths(block, old, new)[::step]
            for length in lengths:
                self._cut(at, {block: new[:length] + old[length:]}, length)
            if lengths and self.script.guarded:
                length = lengths[len(lengths) // 2]
                self._cut_repair(at, {block: new[:length] + old[length:]})
            while syncs and syncs[0] <= at:
                synced = syncs.pop(0)
            lost = {}
            # the k writes before are lost, this one is not
            for k in range(1, at - synced + 1 if lose else 1):
                lost[writes[at - k][0]] = writes[at - k][1]
                if k > 16 and k % 8:
                    continue
                left = dict(lost)
                left[block] = new
                self._cut(at, left, f"{k} lost")
            disk.base[block] = new
        self._sound.clear()
        self._cut(len(writes), {}, "whole")

    def _lengths(self, block, old, new):
        """Torn lengths, one of those that leave the same; fewer for file data and the journal."""
        lengths = [n for n in range(1, 512) if old[n - 1] != new[n - 1]]
        if block < self.disk.data or old != JUNK and (old[11] in (0x10, 0x20)
                                                      or new[11] in (0x10, 0x20)):
            return lengths
        if block in self.script.journal:
            return [n for n in lengths if n <= 16 or n % 61 == 0]
        return lengths[::170]

    def _cut(self, at, left, how):
        """The next start on what the cut left: `left` over what was there before the write."""
        self.cuts += 1
        disk = self.disk
        disk.top = dict(left)
        disk.writes.clear()
        disk.syncs.clear()
        try:
            self.repaired += self.script.mount()
            result = frozenset([(block, content) for block, content in disk.top.items()
                                if block not in self.script.journal
                                and content != disk.base.get(block)])
            if result not in self._sound:
                self.checked += 1
                damage = self.script.damage(at)
                if damage is None:
                    self._sound.add(result)
                else:
                    self.damages.append((at, how, damage))
        finally:
            disk.top = None

    def _cut_repair(self, at, left):
        """The power goes away again, at each write of the repair."""
        disk = self.disk
        disk.top = dict(left)
        disk.writes.clear()
        self.script.mount()
        disk.top = None
        for block, old, new in list(disk.writes):
            lengths = [n for n in range(1, 512) if old[n - 1] != new[n - 1]]
            for length in lengths[:: max(1, len(lengths) // 2)]:
                self.again += 1
                torn = dict(left)
                torn[block] = new[:length] + old[length:]
                self._cut(at, torn, f"repair cut at {length}")
            left[block] = new
