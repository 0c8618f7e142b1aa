"""Read the FAT12, FAT16 or FAT32 file system of a card image or block device; never write.

Source: Microsoft "FAT: General Overview of On-Disk Format" (fatgen103). Where it leaves a choice
this reads as FatFs, the firmware's file system, does: 512-octet sectors, no partition table or
the first of its four partitions that holds a FAT, the first copy of the FAT.
Reads are preads, not a map: a block that a dying card cannot read is an OSError, not a SIGBUS.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

SECTOR = 512
_ATTR_VOLUME_ID = 0x08
_ATTR_DIRECTORY = 0x10
_ATTR_LONG_NAME = 0x0F
_FREE_ENTRY = 0xE5
_END_OF_DIRECTORY = 0x00
_MAX_DIRECTORY = 65536 * 32  # octets; fatgen103: a directory ends there
# Cluster counts from which on it is FAT16, FAT32 (FatFs, check_fs: its MAX_FAT12, MAX_FAT16).
_MAX_FAT12 = 0xFF5
_MAX_FAT16 = 0xFFF5


class CardError(Exception):
    """The card cannot be read as one; the text says why."""


class Entry(NamedTuple):
    """A directory entry. `path` begins below the root, without a slash there."""

    path: str
    name: str
    is_directory: bool
    size: int
    cluster: int
    legal: bool = True


class FatVolume:
    """The file system on `path`. Raises CardError when there is none, OSError as the file does.

    bits                12, 16 or 32
    fat                 the first copy, one number a cluster; the numbers 0 and 1 are no clusters
    free, bad, end      values in it: 0, the mark of a bad cluster, the least that ends a chain
    cluster_size        octets
    """

    def __init__(self, path: str | os.PathLike):
        self._file = os.open(path, os.O_RDONLY)
        try:
            self.size = os.lseek(self._file, 0, os.SEEK_END)  # a device's st_size is 0
            boot = self._find_boot_sector()
            self._read_layout(boot)
            self.fat = self._numbers(self.fat_copy(0))
        except BaseException:
            os.close(self._file)
            raise
        self._runs_of: tuple[int, int] | None = None
        self._runs: list[tuple[int, int, int]] = []

    def close(self) -> None:
        os.close(self._file)

    def pread(self, offset: int, length: int) -> bytes:
        """`length` octets of the image from `offset` on; OSError where it ends before that."""
        parts = []
        while length:
            part = os.pread(self._file, length, offset)
            if not part:
                raise OSError(f"the image ends at octet {offset}")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    # --- layout -------------------------------------------------------------------------------

    def _find_boot_sector(self) -> bytes:
        try:
            first = self.pread(0, SECTOR)
        except OSError as error:
            raise CardError(f"no card image: {error.strerror or error}") from error
        starts = [0]
        if first[510:] == b"\x55\xaa":
            for number in range(4):
                kind, start = struct.unpack_from("<4xB3xI", first, 446 + 16 * number)
                if kind:
                    starts.append(start)
        for self.start in starts:
            if self.start * SECTOR + SECTOR <= self.size:
                boot = self.pread(self.start * SECTOR, SECTOR)
                if _is_boot_sector(boot):
                    return boot
        raise CardError("no FAT file system in it")

    def _read_layout(self, boot: bytes) -> None:
        (per_cluster, reserved, self.copies, root_entries, sectors, _, fat_sectors,
         sectors_32, fat_sectors_32) = struct.unpack_from("<BHBHHBH8xII", boot, 13)
        self.sectors = sectors or sectors_32
        self.fat_sectors = fat_sectors or fat_sectors_32
        self.cluster_size = per_cluster * SECTOR
        self._fat_start = (self.start + reserved) * SECTOR
        self._root_start = self._fat_start + self.copies * self.fat_sectors * SECTOR
        self._root_size = -(-root_entries * 32 // SECTOR) * SECTOR
        self._data_start = self._root_start + self._root_size
        self.clusters = (self.start + self.sectors - self._data_start // SECTOR) // per_cluster
        self.bits = (12 if self.clusters <= _MAX_FAT12 else
                     16 if self.clusters <= _MAX_FAT16 else 32)
        self._root_cluster = struct.unpack_from("<I", boot, 44)[0] if self.bits == 32 else 0
        if (self.clusters < 1 or self.fat_sectors * SECTOR * 8 < (self.clusters + 2) * self.bits
                or (self.bits == 32) == bool(root_entries)):
            raise CardError("its FAT boot sector contradicts itself")
        top = 0x0FFFFFFF if self.bits == 32 else (1 << self.bits) - 1
        self.free, self.bad, self.end = 0, top - 8, top - 7

    def fat_copy(self, number: int) -> bytes:
        """Copy `number` of the FAT, as far as there are clusters."""
        return self.pread(self._fat_start + number * self.fat_sectors * SECTOR,
                          -(-(self.clusters + 2) * self.bits // 8))

    def _numbers(self, raw: bytes) -> array:
        if self.bits == 12:
            raw += b"\0"
            return array("H", ((raw[i * 3 // 2] | raw[i * 3 // 2 + 1] << 8) >> i % 2 * 4 & 0xFFF
                               for i in range(self.clusters + 2)))
        numbers = array("H" if self.bits == 16 else "I", raw)
        if sys.byteorder == "big":
            numbers.byteswap()
        if self.bits == 32:
            numbers = array("I", [number & 0x0FFFFFFF for number in numbers])
        return numbers

    # --- directories --------------------------------------------------------------------------

    def directory_cluster(self, directory: Entry | None) -> int:
        """Where a directory (None: the root) begins; 0 is the root's own place of FAT12 and 16."""
        return directory.cluster if directory else self._root_cluster

    def entries(self, directory: Entry | None = None) -> Iterator[Entry]:
        """What a directory (None: the root) holds, in its order, without `.` and `..`."""
        cluster = self.directory_cluster(directory)
        if cluster or directory:
            raw = b"".join(self.pread(self._offset_of(cluster), self.cluster_size)
                           for cluster in self.chain(cluster, _MAX_DIRECTORY)[0])
        else:
            raw = self.pread(self._root_start, self._root_size)
        parent = directory.path + "/" if directory else ""
        long_name: dict[int, bytes] = {}
        for at in range(0, len(raw), 32):
            entry = raw[at:at + 32]
            if entry[0] == _END_OF_DIRECTORY:
                return
            attributes = entry[11]
            if entry[0] == _FREE_ENTRY:
                long_name = {}
            elif attributes & 0x3F == _ATTR_LONG_NAME:
                if entry[0] & 0x40:
                    long_name = {}
                long_name[entry[0] & 0x3F] = entry
            elif attributes & _ATTR_VOLUME_ID or entry[:11] in (b".          ", b"..         "):
                long_name = {}
            else:
                name = _join_long_name(long_name, entry[:11]) or _short_name(entry)
                high, low, size = struct.unpack_from("<H4xHI", entry, 20)
                long_name = {}
                yield Entry(parent + name, name, bool(attributes & _ATTR_DIRECTORY), size,
                            low | (high << 16 if self.bits == 32 else 0),
                            min(entry[1:11]) >= 0x20 and (entry[0] > 0x20 or entry[0] == 0x05))

    # --- files --------------------------------------------------------------------------------

    def chain(self, cluster: int, octets: int) -> tuple[list[int], str | None]:
        """The clusters of a chain, as many as `octets` need at most, and why it ended too early.

        The reason is None where the chain ends as it should, or goes on.
        """
        clusters: list[int] = []
        for _ in range(min(-(-octets // self.cluster_size), self.clusters)):
            problem = self.problem(cluster)
            if problem:
                return clusters, problem
            clusters.append(cluster)
            cluster = self.fat[cluster]
            if cluster >= self.end:
                break
        return clusters, None

    def problem(self, cluster: int) -> str | None:
        """What is wrong with `cluster` as a member of a chain, None: nothing."""
        if cluster == self.bad:
            return "a cluster marked bad"
        if not 2 <= cluster < self.clusters + 2:
            return f"cluster {cluster}, which does not exist"
        if self.fat[cluster] == self.free:
            return f"cluster {cluster}, which is free"
        return None

    def read(self, entry: Entry, offset: int, length: int) -> bytes:
        """Part of a file; short where the file ends. OSError where its chain ends before that."""
        length = max(0, min(length, entry.size - offset))
        if self._runs_of != (entry.cluster, entry.size):
            self._runs = self._contiguous(self.chain(entry.cluster, entry.size)[0])
            self._runs_of = (entry.cluster, entry.size)
        parts = []
        for start, end, place in self._runs:
            if length and start <= offset < end:
                part = self.pread(place + offset - start, min(length, end - offset))
                parts.append(part)
                offset += len(part)
                length -= len(part)
        if length:
            raise OSError(f"its cluster chain ends at octet {offset}")
        return b"".join(parts)

    def _offset_of(self, cluster: int) -> int:
        return self._data_start + (cluster - 2) * self.cluster_size

    def _contiguous(self, clusters: list[int]) -> list[tuple[int, int, int]]:
        """(first octet, last + 1, place in the image) of each run of neighbouring clusters."""
        runs = []
        first = 0
        for i in range(1, len(clusters) + 1):
            if i == len(clusters) or clusters[i] != clusters[i - 1] + 1:
                runs.append((first * self.cluster_size, i * self.cluster_size,
                             self._offset_of(clusters[first])))
                first = i
        return runs


def _is_boot_sector(sector: bytes) -> bool:
    octets, per_cluster, reserved, copies, *_ = struct.unpack_from("<HBHB", sector, 11)
    return (sector[510:] == b"\x55\xaa" and sector[0] in (0xEB, 0xE9, 0xE8) and octets == SECTOR
            and per_cluster.bit_count() == 1 and reserved > 0 and copies in (1, 2))


def _short_name(entry: bytes) -> str:
    """The 8.3 name; octet 12 says which half Windows NT and FatFs show in lower case."""
    base = entry[:8].decode("cp437").rstrip(" ")
    extension = entry[8:11].decode("cp437").rstrip(" ")
    if entry[0] == 0x05:
        base = b"\xe5".decode("cp437") + base[1:]
    if entry[12] & 0x08:
        base = base.lower()
    if entry[12] & 0x10:
        extension = extension.lower()
    return f"{base}.{extension}" if extension else base


def _join_long_name(parts: dict[int, bytes], short: bytes) -> str | None:
    """The long name whose pieces precede a short one; None unless they belong to it."""
    if not parts or sorted(parts) != list(range(1, len(parts) + 1)):
        return None
    checksum = 0
    for octet in short:
        checksum = ((checksum >> 1 | checksum << 7) + octet) & 0xFF
    if any(part[13] != checksum for part in parts.values()):
        return None
    raw = b"".join(part[1:11] + part[14:26] + part[28:32] for _, part in sorted(parts.items()))
    return raw.decode("utf-16-le", "replace").split("\0")[0]
