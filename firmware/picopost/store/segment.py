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
    for shard in os.ilistdir(mailbox):
        name = shard[0]
        if shard[1] != 0x4000 or len(name) != 2:
            continue
        for entry in os.ilistdir(f"{mailbox}/{name}"):
            file = entry[0]
            if len(file) == 8 and file.upper().endswith(".MBX"):
                try:
                    number = int(file[:4], 16)
                except ValueError:
                    continue  # not ours; a person put it there
                if path_of("", number) == f"/{name}/{file}".upper() and number < MAX_SEGMENTS:
                    yield number, entry[3]


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
