"""Format an empty card as it comes from the shop: a partition table and one FAT file system.

Written here instead of calling mkfs.vfat because it needs no tool, no root and no package, and
writes only the few sectors that are not zero, so a sparse image stays sparse.
Layouts: Microsoft "FAT: General Overview of On-Disk Format" (fatgen103); 32 KB clusters, the
4 MB alignment of partition and data area as the SD Association's formatter does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

_SECTOR = 512
_VOLUME_ID = 0x70057CA7
_FAT16_ROOT_ENTRIES = 512
# fatgen103: the FAT type follows from the number of clusters and from nothing else (4085 and
# 65525 are the borders); it asks to keep 16 away from them, for the sake of bad drivers.
_FAT16_CLUSTERS = range(4085 + 16, 65525 - 16)
_FAT32_CLUSTERS = range(65525 + 16, 0x0FFFFFF5)


def format_fat(write_sector: Callable[[int, bytes], None], sectors: int) -> None:
    """Write partition table and file system on a card of `sectors` zeroed sectors of 512 octets.

    FAT16 below 2 GB, FAT32 from there on, with the largest cluster, up to 32 KB, that the type
    allows. Raises ValueError when the card is too small for FAT16 (about 2 MB).
    """
    for bits, allowed in ((16, _FAT16_CLUSTERS), (32, _FAT32_CLUSTERS)):
        for per_cluster in (64, 32, 16, 8, 4, 2, 1):
            volume = _Volume(bits, per_cluster, sectors)
            if volume.clusters in allowed:
                volume.write(write_sector)
                return
    raise ValueError(f"no FAT fits {sectors} sectors")


class _Volume:
    """The numbers of one file system, all in sectors, and its sectors that are not zero."""

    def __init__(self, bits: int, per_cluster: int, sectors: int):
        self.bits = bits
        self.per_cluster = per_cluster
        alignment = 8192 if bits == 32 else 64
        self.start = alignment
        self.sectors = sectors - self.start
        self.root_sectors = 0 if bits == 32 else _FAT16_ROOT_ENTRIES * 32 // _SECTOR
        entries = max(self.sectors, 0) // per_cluster + 2
        self.fat_sectors = -(-entries * bits // 8 // _SECTOR)
        tables = 2 * self.fat_sectors + self.root_sectors
        # The reserved sectors are stretched so that the first cluster is aligned too.
        self.reserved = alignment - tables % alignment
        if self.reserved < 32:
            self.reserved += alignment
        self.clusters = (self.sectors - self.reserved - tables) // per_cluster

    def write(self, write_sector: Callable[[int, bytes], None]) -> None:
        boot = self._boot_sector()
        write_sector(0, self._partition_table())
        write_sector(self.start, boot)
        if self.bits == 32:
            information = self._fs_information()
            write_sector(self.start + 1, information)
            write_sector(self.start + 6, boot)
            write_sector(self.start + 7, information)
            first_entries = struct.pack("<III", 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFFF)
        else:
            first_entries = struct.pack("<HH", 0xFFF8, 0xFFFF)
        for copy in range(2):
            write_sector(self.start + self.reserved + copy * self.fat_sectors,
                         first_entries.ljust(_SECTOR, b"\0"))

    def _partition_table(self) -> bytes:
        kind = 0x0C if self.bits == 32 else 0x06
        no_chs = b"\xfe\xff\xff"
        entry = struct.pack("<B3sB3sII", 0, no_chs, kind, no_chs, self.start, self.sectors)
        return _signed(b"\0" * 446 + entry)

    def _boot_sector(self) -> bytes:
        wide = self.bits == 32
        common = struct.pack(
            "<3s8sHBHBHHBHHHII", b"\xeb\x58\x90" if wide else b"\xeb\x3c\x90", b"PICOPOST",
            _SECTOR, self.per_cluster, self.reserved, 2, 0 if wide else _FAT16_ROOT_ENTRIES,
            0, 0xF8, 0 if wide else self.fat_sectors, 63, 255, self.start, self.sectors)
        if wide:
            common += struct.pack("<IHHIHH12x", self.fat_sectors, 0, 0, 2, 1, 6)
        return _signed(common + struct.pack(
            "<BBBI11s8s", 0x80, 0, 0x29, _VOLUME_ID, b"NO NAME    ",
            b"FAT32   " if wide else b"FAT16   "))

    def _fs_information(self) -> bytes:
        # The root directory takes one cluster, number 2, which was the last one given out.
        return _signed(struct.pack("<I480xIII12x", 0x41615252, 0x61417272, self.clusters - 1, 2))


def _signed(start: bytes) -> bytes:
    return start.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"
