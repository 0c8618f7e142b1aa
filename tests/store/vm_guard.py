# Runs inside the VM, for test_guard.py: volumes in RAM that remember every write, a script of
# file operations on them, and what a power cut at any of its writes leaves.
import os
import struct

import vfs
from fat_check import FatError, FatVolume
from picopost.store.guard import Guard

PLACE = "/g"
# What free clusters hold: old directories, whose entries claim clusters of others.
JUNK = b"".join([struct.pack("<11sB8xH4xHI", b"JUNK%04dBIN" % i, 0x20, 0, 5, 512)
                 for i in range(16)])
ZEROS = bytes(512)


class Disk:
    """A card of `blocks` blocks. `writes` are (block, old, new), `syncs` the places in between.

    What the card holds is `base`; while `top` is a dict, it lies over it and takes the writes.
    """

    def __init__(self, blocks):
        self.blocks = blocks
        self.data = blocks  # from here on unwritten blocks hold JUNK
        self.base = {}
        self.top = None
        self.writes = []
        self.syncs = []
        self.reads = 0
        self.error = None

    def get(self, block):
        if self.top and block in self.top:
            return self.top[block]
        return self.base.get(block) or (JUNK if block >= self.data else ZEROS)

    def readblocks(self, block, buf):
        self.reads += len(buf) // 512
        for i in range(len(buf) // 512):
            buf[i * 512 : i * 512 + 512] = self.get(block + i)

    def writeblocks(self, block, buf):
        if self.error:
            raise self.error
        for i in range(len(buf) // 512):
            new = bytes(buf[i * 512 : i * 512 + 512])
            self.writes.append((block + i, self.get(block + i), new))
            (self.base if self.top is None else self.top)[block + i] = new

    def ioctl(self, operation, argument):
        if operation == 3:
            self.syncs.append(len(self.writes))
        return {4: self.blocks, 5: 512}.get(operation, 0)

    def ready(self):
        return True

    wait_ready = ready


def formatted(bits, clusters, start=0, hint=2, per_cluster=1):
    """An empty volume at block `start`; a partition table where that is not 0."""
    reserved = 32 if bits == 32 else 1
    size = ((clusters + 2) * bits // 8 + 511) // 512
    roots = 0 if bits == 32 else 512
    data = start + reserved + 2 * size + roots // 16
    disk = Disk(data + clusters * per_cluster)
    sectors = disk.blocks - start
    boot = struct.pack("<3s8sHBHBHHBHHHII", b"\xeb\x58\x90", b"PICOPOST", 512, per_cluster,
                       reserved, 2, roots, 0, 0xF8, 0 if bits == 32 else size, 63, 255, start,
                       sectors)
    if bits == 32:
        boot += struct.pack("<IHHIHH12x", size, 0, 0, 2, 1, 6)
        info = struct.pack("<I480xIII12xH", 0x41615252, 0x61417272, clusters - 1, hint, 0)
        disk.base[start + 1] = info[:510] + b"\x55\xaa"
        disk.base[data] = ZEROS  # the root directory
    kind = b"FAT32   " if bits == 32 else b"FAT16   "
    boot += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 1, b"NO NAME    ", kind)
    disk.base[start] = boot + bytes(510 - len(boot)) + b"\x55\xaa"
    if start:
        entry = struct.pack("<B3sB3sII", 0, b"", 0x0C, b"", start, sectors)
        disk.base[0] = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    table = struct.pack("<III", 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFFF) if bits == 32 else (
        struct.pack("<HH", 0xFFF8, 0xFFFF))
    for copy in range(2):
        disk.base[start + reserved + copy * size] = table + bytes(512 - len(table))
    disk.data = data
    return disk


def text(name, size):
    line = (name + "-") * 40
    return (line * (size // len(line) + 1))[:size].encode()


class Script:
    """Plays the store's operations; `history` tells which writes belong to which of them."""

    def __init__(self, disk, guarded):
        self.disk = disk
        self.guarded = guarded
        self.guard = Guard(disk)
        self.history = {}  # path: [(first write, behind the last, content then or None)]
        self.files = {}
        vfs.mount(vfs.VfsFat(disk), PLACE)
        self._bystanders()
        vfs.umount(PLACE)
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
        self.guard.structural = True
        os.mkdir(PLACE + path)
        self.guard.structural = False
        self.note(path, first, "directory")

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
        self.guard.structural = False
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
        self.guard.structural = True
        self.files[path].seek(len(before))
        for _ in range(size // 512):
            self.files[path].write(ZEROS)
        self.files[path].flush()
        self.guard.structural = False
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
        self.write(segment % 2, 90_000)  # most of a FAT block changes at once
        self.grow(index, 4096)
        self.mkdir("/MAIL/BOY")

    # --- power cuts ---------------------------------------------------------------------------

    def damage(self, at, structural_only=False):
        """What is wrong with the volume when the write number `at` was cut: text, or None."""
        try:
            volume = FatVolume(self.disk.get)
            tree = volume.tree()
            copies = self.disk.top if self.disk.top is not None else ()
            for block in copies:
                if (self.guarded and volume.fat <= block < volume.fat + volume.fat_size * 2):
                    offset = (block - volume.fat) % volume.fat_size
                    if self.disk.get(volume.fat + offset) != (
                            self.disk.get(volume.fat + volume.fat_size + offset)):
                        raise FatError(f"FAT block {offset} differs from its copy")
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
        if "directory" in (before, after):
            return
        size, chain = found
        if before is not None:
            whole = volume.content(chain, len(before))
            if whole != before and not (after and len(whole) == len(before) and all(
                    one in (old, new) for one, old, new in zip(whole, before, after))):
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
    """Every state that a cut leaves, mounted and checked. Use `run` once."""

    def __init__(self, script, every_length):
        self.script = script
        self.disk = script.disk
        self.every_length = every_length
        self.cuts = self.checked = self.repaired = 0
        self.damages = []
        self._sound = set()

    def run(self):
        writes, syncs = list(self.disk.writes), list(self.disk.syncs)
        disk = self.disk
        disk.base = dict(self.script.before)
        synced = 0
        for at, (block, old, new) in enumerate(writes):
            self._sound.clear()
            self._cut(at, {}, "before")
            for length in self._lengths(block, old, new):
                self._cut(at, {block: new[:length] + old[length:]}, length)
            while syncs and syncs[0] <= at:
                synced = syncs.pop(0)
            lost = {}
            for k in range(1, at - synced + 1):  # the k writes before are lost, this one is not
                lost[writes[at - k][0]] = writes[at - k][1]
                torn = dict(lost)
                torn[block] = new
                self._cut(at, torn, f"lost {k}")
            disk.base[block] = new
        self._sound.clear()
        self._cut(len(writes), {}, "end")
        return self.cuts, self.checked, self.repaired, len(self.damages), self.damages[:5]

    def _lengths(self, block, old, new):
        """Torn lengths that differ in what they leave."""
        lengths = [n for n in range(1, 512) if old[n - 1] != new[n - 1]]
        metadata = block < self.disk.data or self._directory(old) or self._directory(new)
        if self.every_length or metadata and block not in self.script.journal:
            return lengths
        return [n for n in lengths if n <= 20 or n % 37 == 0]

    def _directory(self, content):
        return content[11] in (0x10, 0x20)

    def _cut(self, at, torn, how):
        self.cuts += 1
        disk = self.disk
        disk.top = dict(torn)
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
