"""An image as a UF2 file: what it puts into flash, and where its file system lies.

Sources: the specification of UF2 (github.com/microsoft/uf2); pico-sdk's binary information
(pico/binary_info/structure.h, defs.h), in which MicroPython names its file system
(ports/rp2/rp2_flash.c).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from host_tools import boards

FLASH_BASE = 0x1000_0000  # where flash is in the address space of both chips (XIP)
FLASH_SIZE = boards.RP2040.flash_mib << 20

_BLOCK = 512
_HEADER = "<8I"  # two magics, flags, address, octets, number, how many, family
_MAGICS = (0x0A32_4655, 0x9E5D_5157)
_END_MAGIC = 0x0AB1_6F30
_MOST_OCTETS = 476
_NOT_MAIN_FLASH = 0x0000_0001
_FAMILY_PRESENT = 0x0000_2000

# The header of the binary information stands in the first 256 octets after the second stage of
# the boot, which has 256: marker, first and last of the pointers, mapping table, marker.
_INFO_FROM, _INFO_TO = 256, 512
_INFO_MARKERS = (0x7188_EBF2, 0xE71A_A390)
_BLOCK_DEVICE = 7
_MICROPYTHON = ord("M") | ord("P") << 8


class ImageError(Exception):
    """The file is no image that runs here; the text says why."""


class Region(NamedTuple):
    """A part of flash, in octets: `offset` from its beginning."""

    offset: int
    size: int


def read(path: Path, chip: boards.Chip = boards.RP2040) -> bytes:
    """What is in the flash of a chip that was given this file, from the beginning of flash on; 0xFF
    where the file says nothing.

    Raises ImageError when it is no UF2, one for another chip, or not whole; OSError.
    """
    data = path.read_bytes()
    if len(data) < _BLOCK or struct.unpack_from("<2I", data) != _MAGICS:
        raise ImageError("no UF2 file")
    flash = bytearray()
    families, numbers, count = set(), set(), 0
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK]
        if len(block) < _BLOCK:
            raise ImageError(f"cut off in block {at // _BLOCK}")
        *magics, flags, address, octets, number, of, family = struct.unpack_from(_HEADER, block)
        if (tuple(magics) != _MAGICS or struct.unpack_from("<I", block, _BLOCK - 4)[0]
                != _END_MAGIC or octets > _MOST_OCTETS):
            raise ImageError(f"no UF2 file from block {at // _BLOCK} on")
        families.add(family if flags & _FAMILY_PRESENT else None)
        if flags & _NOT_MAIN_FLASH or not flags & _FAMILY_PRESENT or family != chip.family:
            continue
        offset = address - FLASH_BASE
        if not 0 <= offset <= (chip.flash_mib << 20) - octets:
            raise ImageError(f"block {number} goes to {address:#x}, which is not in the flash of "
                             f"{chip.flash_mib} MB")
        numbers.add(number)
        count = of
        if len(flash) < offset + octets:
            flash += b"\xff" * (offset + octets - len(flash))
        flash[offset : offset + octets] = block[32 : 32 + octets]
    if not numbers:
        names = ", ".join("one that it does not name" if family is None else f"family {family:#x}"
                          for family in families)
        raise ImageError(f"for another chip ({names}), not for the {chip.name} ({chip.family:#x})")
    if len(numbers) != count:
        raise ImageError(f"cut off: {len(numbers)} of {count} blocks")
    return bytes(flash)


def file_system(flash: bytes) -> Region:
    """Where MicroPython's image `flash` has its file system. Raises ImageError if it says nowhere
    that it has one."""
    try:
        for entry in _binary_info(flash):
            kind, tag, _, address, size = struct.unpack_from("<2H3I", flash, entry)
            if kind == _BLOCK_DEVICE and tag == _MICROPYTHON:
                region = Region(address - FLASH_BASE, size)
                if region.offset < len(flash) or region.offset + size > FLASH_SIZE:
                    raise ImageError(f"its file system, {size} octets at {address:#x}, does "
                                     f"not fit into {FLASH_SIZE >> 20} MB beside the program")
                return region
    except struct.error:
        pass  # a pointer to where nothing is
    raise ImageError("no MicroPython for the RP2040: it does not tell where its file system is")


def _binary_info(flash: bytes) -> list[int]:
    """The offsets of its entries."""
    for at in range(_INFO_FROM, _INFO_TO, 4):
        first, start, end, mapping, last = struct.unpack_from("<5I", flash, at)
        if (first, last) == _INFO_MARKERS:
            break
    else:
        return []
    # What is copied to RAM at the start: its place in flash, then first and last place in RAM.
    copied = []
    at = mapping - FLASH_BASE
    while (source := struct.unpack_from("<I", flash, at)[0]) != 0:
        copied.append((source, *struct.unpack_from("<2I", flash, at + 4)))
        at += 12

    def offset(address: int) -> int:
        for source, low, high in copied:
            if low <= address < high:
                return source + address - low - FLASH_BASE
        return address - FLASH_BASE

    table = offset(start)
    return [offset(struct.unpack_from("<I", flash, table + at)[0])
            for at in range(0, max(0, end - start), 4)]
