"""Segments: the mbox files of a mailbox, `<shard>/<number>.MBX` with 8.3 names.

256 segments share a directory, because FAT looks names up by reading the directory through.
"""

import os
from micropython import const

from picopost.limits import MAX_SEGMENTS

ENOENT = const(2)
_EACCES = const(13)
# What a write to a full card raises: VfsFat turns FatFs' short count into it, so no write here
# has a return value to check. MicroPython's errno does not name it.
ENOSPC = const(28)


def directory_of(mailbox, number):
    """Path of the directory that holds segment `number`."""
    return f"{mailbox}/{number >> 8:02X}"


def path_of(mailbox, number):
    """Path of segment `number` (0 to 65535)."""
    return f"{mailbox}/{number >> 8:02X}/{number:04X}.MBX"


def numbers(mailbox):
    """Yield (number, size) of each segment that lies in the mailbox's directories."""
    for shard in range(MAX_SEGMENTS >> 8):
        directory = directory_of(mailbox, shard << 8)
        try:
            os.stat(directory)
        except OSError as error:
            if error.errno != ENOENT:
                raise
            continue
        seen = bytearray(32)
        try:
            for entry in os.ilistdir(directory):
                number = _number_of(entry[0])
                if number >> 8 == shard:
                    seen[number >> 3 & 31] |= 1 << (number & 7)
                    yield number, entry[3]
        except UnicodeError:
            # A PC left a name here that is no UTF-8, and listing ends at it: ask for each of ours.
            for number in range(shard << 8, (shard + 1) << 8):
                if not seen[number >> 3 & 31] & 1 << (number & 7):
                    try:
                        yield number, os.stat(path_of(mailbox, number))[6]
                    except OSError as error:
                        if error.errno != ENOENT:
                            raise


def _number_of(name):
    """The number in `<number>.MBX`, -1 for any other name."""
    if len(name) != 8 or not name.upper().endswith(".MBX"):
        return -1
    try:
        number = int(name[:4], 16)
    except ValueError:
        return -1
    return number if name[:4].upper() == f"{number:04X}" else -1


def create(mailbox, number):
    """Open a new segment for writing, its directory made where it is the first there.

    The caller counts `volume.structural` up, until the segment's first flush.
    """
    try:
        try:
            return open(path_of(mailbox, number), "w+b")
        except OSError as error:
            if error.errno != ENOENT:  # its directory is missing
                raise
        os.mkdir(directory_of(mailbox, number))
        return open(path_of(mailbox, number), "w+b")
    except OSError as error:
        # FatFs' FR_DENIED: no cluster left for a directory to grow into.
        raise OSError(ENOSPC) if error.errno == _EACCES else error
