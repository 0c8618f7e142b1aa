"""What a FAT16 or FAT32 volume really holds, read without FatFs; runs inside the VM.

    tree = FatVolume(read_block).tree()      # {"/DIR": (0, [3]), "/DIR/A.TXT": (700, [4, 5])}

Offsets: Microsoft, "FAT: General Overview of On-Disk Format" (fatgen103).
"""

import struct


class FatError(Exception):
    """The volume contradicts itself; the text says where."""


class FatVolume:
    """`read(number)` returns the 512 octets of a block. A partition table is followed."""

    def __init__(self, read):
        self.read = read
        boot = read(0)
        self.start = 0
        if boot[54:57] != b"FAT" and boot[82:85] != b"FAT":
            self.start = struct.unpack_from("<I", boot, 446 + 8)[0]
            boot = read(self.start)
        (self.per_cluster, reserved, self.fats, roots, small, _, size) = struct.unpack_from(
            "<BHBHHBH", boot, 13)
        size = size or struct.unpack_from("<I", boot, 36)[0]
        sectors = small or struct.unpack_from("<I", boot, 32)[0]
        self.fat_size = size
        self.fat = self.start + reserved
        self.root = self.fat + self.fats * size
        self.data = self.root + roots * 32 // 512
        self.clusters = (self.start + sectors - self.data) // self.per_cluster
        self.width = 2 if self.clusters < 65525 else 4
        self.root_cluster = struct.unpack_from("<I", boot, 44)[0] if self.width == 4 else 0

    def entry(self, cluster):
        """What the first FAT says about a cluster."""
        offset = cluster * self.width
        block = self.read(self.fat + offset // 512)
        value = struct.unpack_from("<H" if self.width == 2 else "<I", block, offset % 512)[0]
        return value & 0x0FFFFFFF

    def compare_copies(self, written):
        """FatError where a block of the first FAT, as far as `written` has it, differs."""
        for block in written:
            if self.fat <= block < self.fat + self.fat_size and self.fats == 2:
                if bytes(self.read(block)) != bytes(self.read(block + self.fat_size)):
                    raise FatError(f"FAT block {block - self.fat} differs from its copy")

    def chain(self, first, owner, seen):
        """The clusters from `first` on; FatError where the chain is not one file's own."""
        clusters = []
        end = 0xFFF8 if self.width == 2 else 0x0FFFFFF8
        cluster = first
        while cluster < end:
            if not 2 <= cluster < self.clusters + 2:
                raise FatError(f"{owner}: cluster {cluster} does not exist")
            if cluster in seen:
                raise FatError(f"{owner}: cluster {cluster} is also of {seen[cluster]}")
            seen[cluster] = owner
            clusters.append(cluster)
            cluster = self.entry(cluster)
            if cluster == 0:
                raise FatError(f"{owner}: cluster {clusters[-1]} is free")
        return clusters

    def blocks(self, clusters):
        """The block numbers of some clusters."""
        for cluster in clusters:
            first = self.data + (cluster - 2) * self.per_cluster
            yield from range(first, first + self.per_cluster)

    def content(self, clusters, size):
        """The first `size` octets of a chain."""
        return b"".join([bytes(self.read(block)) for block in self.blocks(clusters)])[:size]

    def tree(self):
        """{path: (size, clusters)}, directories with size 0; FatError where nothing fits."""
        found = {}
        seen = {}
        if self.root_cluster:
            root = list(self.blocks(self.chain(self.root_cluster, "/", seen)))
        else:
            root = range(self.root, self.data)
        todo = [("", 0, root)]
        while todo:
            above, cluster, blocks = todo.pop()
            for path, attributes, first, size in self._entries(above, blocks):
                if path[-2:] == "/." or path[-3:] == "/..":
                    if path[-2:] == "/." and first != cluster:
                        raise FatError(f"{path}: cluster {first}, not {cluster}")
                    continue
                if path in found:
                    raise FatError(f"{path} is there twice")
                if attributes & ~0x20 and attributes != 0x10:
                    raise FatError(f"{path}: attributes {attributes:#x}")
                chain = self.chain(first, path, seen) if first else []
                if size > len(chain) * self.per_cluster * 512:
                    raise FatError(f"{path}: {size} octets in {len(chain)} clusters")
                found[path] = size, chain
                if attributes == 0x10:
                    if not chain:
                        raise FatError(f"{path}: a directory without a cluster")
                    todo.append((path, first, list(self.blocks(chain))))
        return found

    def _entries(self, above, blocks):
        for block in blocks:
            data = bytes(self.read(block))
            for at in range(0, 512, 32):
                name, attributes, high, low, size = struct.unpack_from("<11sB8xH4xHI", data, at)
                if name[0] == 0:
                    return
                if name[0] == 0xE5 or attributes == 0x0F or attributes & 0x08:
                    continue
                if min(name) < 0x20 or max(name) > 0x7E:
                    raise FatError(f"{above}: an entry is called {name}")
                base, extension = name[:8].rstrip().decode(), name[8:].rstrip().decode()
                path = above + "/" + base + ("." + extension if extension else "")
                yield path, attributes, high << 16 | low, size
