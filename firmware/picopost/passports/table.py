"""The table of passports on the card: a file of fixed size, whose records are written in place.
Loaded when there is something to enter.

It is made once at its full size, so later writes touch no FAT; and a write goes through the journal
(store/guard.py), so that a power cut leaves the old record or the new one. Nothing waits for it to
be on the card.
"""

import struct

from micropython import const

from picopost import event_log, limits
from picopost.passports import record, visits
from picopost.store.segment import ENOENT

PATH = "/sd/" + record.NAME
_SECTOR = const(512)
_OCTETS = record.SIZE * record.COUNT


def open_table(of):
    """Open the table for the Visits `of` where there is one. What seconds of service go on from:
    one more than it tells of, so that what was noted before this start shows. Raises OSError.
    """
    try:
        of.file = open(PATH, "r+b")
    except OSError as error:
        if error.errno != ENOENT:
            raise
        return 0
    return max([-1] + [passport.stamp for _, passport in passports(of) if passport]) + 1


def passports(of):
    """Generator: (slot, Passport or None) of all slots."""
    file = of.file
    block = bytearray(_SECTOR)
    for slot in range(record.COUNT):
        at = slot * record.SIZE % _SECTOR
        if at == 0:
            if file is None or of.file is not file:  # another card's
                return
            of.file.seek(slot * record.SIZE)
            if of.file.readinto(block) != _SECTOR:  # a cut while it was made
                return
        yield slot, record.read(block, at)


def get(of, slot):
    """The Passport in a slot, or None. Raises OSError."""
    if of.file is None:
        return None
    packed = bytearray(record.SIZE)
    of.file.seek(slot * record.SIZE)
    of.file.readinto(packed)
    return record.read(packed, 0)


def put(of, volume, slot, passport):
    """Write a passport to its slot. Raises OSError."""
    block = bytearray(_SECTOR)
    start = slot * record.SIZE
    of.file.seek(start - start % _SECTOR)
    of.file.readinto(block)
    passport.pack_into(block, start % _SECTOR)
    of.file.seek(start - start % _SECTOR)
    volume.structural += 1
    try:
        of.file.write(block)
    finally:
        volume.structural -= 1


def enter(of, volume):
    """Generator: enter what the Visits `of` have noted, a small step a turn. Raises OSError.

    Where somebody else is at it, nothing.
    """
    if of.entering or not of.used:
        return
    of.entering = True
    try:
        _make(of, volume)
        yield
        yield from _enter(of, of.file, volume)
    finally:
        of.entering = False


async def enter_all(of, office):
    """`enter`, with others running in between. Whatever ends it, the next one may begin."""
    steps = enter(of, office.volume)
    try:
        for _ in steps:
            await office.pause()
    finally:
        steps.close()  # cancelled: MicroPython does not do it where a generator is given up


def _enter(of, file, volume):
    while of.used:
        visit = struct.unpack_from(visits.FORMAT, of.noted)
        slot = yield from _slot(of, visit[0], visit[1].rstrip(b"\0"), visit[7])
        if of.file is not file:  # the card was changed meanwhile
            return
        # No turn from here on: it may have been added to.
        visit = struct.unpack_from(visits.FORMAT, of.noted)
        if slot is not None:
            passport = slot[1] and get(of, slot[0]) or record.Passport()
            silent = passport.learn(visit, of.started)
            put(of, volume, slot[0], passport)
            if silent:
                event_log.log("device_back", peer=passport.peer, helo=passport.helo, silent=silent)
        of.noted[: of.used - visits.SIZE] = of.noted[visits.SIZE : of.used]
        of.used -= visits.SIZE
        yield


def _slot(of, address, helo, letters):
    """Generator: (slot, whether its passport is this device's) for a visit, or None: no room for
    who has brought no letter. Who has brought none gives way first, then who has been silent for
    longest; where an address has as many as it may have, one of its own.
    """
    best = None
    found = None
    own = own_slot = own_best = 0
    for slot, passport in passports(of):
        if slot * record.SIZE % _SECTOR == 0:
            yield
        fit = passport.fits(address, helo, of.served) if passport else 0
        if fit:
            rank = (fit + 3, passport.stamp)
        elif not passport:
            rank = (3, 0)
        else:
            rank = (1, -passport.began) if passport.letters else (2, -passport.stamp)
        if best is None or rank > best:
            best = rank
            found = (slot, fit > 0)
        if fit == 3:
            break
        if passport and passport.address == address:
            own += 1
            if own == 1 or rank > own_best:
                own_best, own_slot = rank, slot
    if found and not found[1] and own >= limits.PASSPORTS_PER_ADDRESS:
        best, found = own_best, (own_slot, False)
    if best is None or best[0] == 1 and not letters:
        return None
    return found


def _make(of, volume):
    """See to it that the file is there and has its full size. Raises OSError."""
    if of.file is None:
        volume.structural += 1
        try:
            try:
                of.file = open(PATH, "r+b")
            except OSError as error:
                if error.errno != ENOENT:
                    raise
                of.file = open(PATH, "w+b")
            of.file.flush()
        finally:
            volume.structural -= 1
    at = of.file.seek(0, 2)
    if at >= _OCTETS:
        return
    empty = bytes(_SECTOR)
    volume.structural += 1
    try:
        at -= at % _SECTOR
        of.file.seek(at)
        while at < _OCTETS:
            of.file.write(empty)
            at += _SECTOR
        of.file.flush()
    finally:
        volume.structural -= 1
