# Runs inside the VM, for test_guard.py: FAT volumes in RAM that remember every write.
import struct

# What free clusters hold: old directories, whose entries claim clusters of others.
JUNK = b"".join([struct.pack("<11sB8xH4xHI", b"JUNK%04dBIN" % i, 0x20, 0, 5, 512)
                 for i in range(16)])
ZEROS = bytes(512)


class Disk:
    """A card of `blocks` blocks. `writes` are (block, old, new), `syncs` the places in between
    where all of them are on the card: as with the driver each write waits for the one before it.

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
        self.syncs.append(len(self.writes))

    def ioctl(self, operation, argument):
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
