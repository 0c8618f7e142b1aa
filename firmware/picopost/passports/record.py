"""A device's passport: a record of 128 octets in a table on the card, and what it learns.

All little-endian:

      0 CRC-32 of octets 4-127   4 address   8 port   10 quirks (words.py)
     12 first seen   16 last seen   20 last letter   24 last refusal, in seconds since 1970, 0 where
        the clock was not set
     28 letters   32 sessions   36 sessions that were refused   40 CRC-32 of the last Reply to that
     44 octets of all letters (8)
     52 when this was written   56 began to write last, in seconds of service (visits.py)
     60 usual interval   62 how far others are from it, both as logarithms   64 intervals seen
     66 alarm told   68 HELO name (24)   92 why it was refused (36)

The CRC's seed tells the version: what another one wrote does not pass.
"""

import math
import struct
from binascii import crc32

from micropython import const

from picopost import limits

SIZE = const(128)
COUNT = limits.MAX_PASSPORTS
NAME = "PICOPOST.DEV"
NAME_OCTETS = const(24)
_FORMAT = "<IIHHIIIIIIIIQIIHHHH24s36s"
_SEED = const(0x50445631)  # "PDV1"
_MOST = const(0xFFFFFFFF)
_MOST_INTERVALS = const(0xFFFF)

# Intervals are compared as natural logarithms in thousandths: twice as long is 693 more, whether of
# a minute or of a day.
_SCALE = const(1000)
_TWICE = const(693)
# The usual one is a mean of so many; each moves it as if it were at most twice or half of it, which
# makes it nearly a median: a week-end moves it little.
_MEAN_OF = const(8)
# Writes regularly who has done so for so many intervals, most of them no further from the usual one
# than a factor of 1.4.
REGULAR_INTERVALS = const(8)
_REGULAR_SPREAD = const(347)


class Passport:
    """What is known of one device; `packed` are SIZE octets, without it a new one."""

    def __init__(self, packed=None):
        (_, self.address, self.port, self.quirks, self.first, self.seen, self.wrote, self.refused,
         self.letters, self.sessions, self.refusals, self.reason, self.octets, self.stamp,
         self.began, self.usual, self.spread, self.intervals, self.alarmed, helo, why) = (
            struct.unpack(_FORMAT, packed or bytes(SIZE)))
        self.helo = helo.rstrip(b"\0")
        self.why = why.rstrip(b"\0")

    def pack_into(self, buffer, at):
        """Write it to `buffer` from `at` on."""
        struct.pack_into(_FORMAT, buffer, at, 0, self.address, self.port, self.quirks, self.first,
                         self.seen, self.wrote, self.refused, self.letters, self.sessions,
                         self.refusals, self.reason, self.octets, self.stamp, self.began,
                         self.usual, self.spread, self.intervals, self.alarmed, self.helo, self.why)
        struct.pack_into("<I", buffer, at, crc(buffer, at))

    @property
    def peer(self):
        """The address as people write it."""
        return ".".join([str(self.address >> shift & 255) for shift in (24, 16, 8, 0)])

    @property
    def every(self):
        """The usual interval in seconds, 0: not known."""
        return round(math.exp(self.usual / _SCALE)) if self.intervals else 0

    @property
    def regular(self):
        return self.intervals >= REGULAR_INTERVALS and self.spread <= _REGULAR_SPREAD

    def learn(self, visit, started):
        """Enter a visit, unpacked as visits.FORMAT has it; `started` as there. Seconds of service
        that it had been silent for, when that was alarmed of; else 0.
        """
        (self.address, helo, began, stamp, clock, sessions, refusals, letters, self.quirks,
         self.port, octets, reason, why) = visit
        self.helo = helo.rstrip(b"\0") or self.helo
        if not self.sessions:
            self.first = clock
        self.seen = clock
        self.stamp = stamp
        self.sessions = min(self.sessions + sessions, _MOST)
        silent = 0
        if letters:
            if self.letters:
                # What lies between two starts is no interval: it may have written elsewhere.
                if self.began >= started and began - self.began >= limits.BURST:
                    self.interval(began - self.began)
                if self.alarmed:
                    silent = began - self.began
            if not self.letters or began - self.began >= limits.BURST or began < self.began:
                self.began = began
            self.alarmed = 0
            self.wrote = clock
            self.letters = min(self.letters + letters, _MOST)
            self.octets += octets
        if refusals:
            self.refusals = min(self.refusals + refusals, _MOST)
            self.refused = clock
            self.reason = reason
            self.why = why.rstrip(b"\0")
        return silent

    def interval(self, seconds):
        """It has written again after so many."""
        sample = round(_SCALE * math.log(seconds))
        self.intervals = count = min(self.intervals + 1, _MOST_INTERVALS)
        if count == 1:
            self.usual = sample
            return
        weight = min(count, _MEAN_OF)
        off = max(-_TWICE, min(_TWICE, sample - self.usual))
        self.usual += round(off / weight)
        self.spread += round((abs(off) - self.spread) / weight)

    def silent(self, served, started):
        """Seconds of service since it wrote, where that is too long for it and not told of yet;
        else 0. After a start it gets one interval to be heard in.
        """
        silence = served - self.began
        if (self.regular and not self.alarmed and served - started >= self.every
                and silence >= max(limits.SILENCE_INTERVALS * self.every, limits.SILENCE_LEAST)):
            return silence
        return 0

    def fits(self, address, helo, served):
        """How well a visit fits: 3 it is this device's, 2 one of them has no name, 1 the device
        seems to have moved to another address, 0 not at all.

        Moved has a name that is a device's own, though devices of one make may share it: so only
        while nobody writes from the old address, whose next letter is nearly due or overdue.
        """
        if self.address == address:
            return 3 if self.helo == helo else 0 if self.helo and helo else 2
        return (self.helo == helo and is_distinctive(helo) and self.intervals
                and 4 * (served - self.began) >= 3 * self.every) and 1 or 0


def is_distinctive(helo):
    """Whether a HELO name may be one device's own: no literal or address, and none that all use."""
    return (len(helo) > 2 and b"?" not in helo and helo[:1] != b"["
            and helo.strip(b"0123456789.:") != b"" and helo != b"unknown"
            and helo[:9].lower() != b"localhost")


def crc(buffer, at):
    """The CRC-32 of the record that begins at `at`."""
    return crc32(memoryview(buffer)[at + 4 : at + SIZE], _SEED)


def read(buffer, at):
    """The Passport that begins at `at`; None: there is none, or a torn one."""
    if struct.unpack_from("<I", buffer, at)[0] != crc(buffer, at):
        return None
    return Passport(memoryview(buffer)[at : at + SIZE])
