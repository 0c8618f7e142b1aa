"""What sessions leave behind of their devices, until it is entered into the passports on the card.

A session's end only adds to a few octets here, so no reply waits for it. Modules that know the card
are loaded for a moment, when nobody is at work (`due`).
"""

import struct
from binascii import crc32

from micropython import const

from picopost import clock, event_log, limits, load, unload
from picopost.policy import network
from picopost.smtp import replies

# A visit: address, HELO name; when it began and was seen last (seconds of service), the clock then,
# sessions, those that were refused, letters, quirks, port, octets, CRC-32 of the last refusal (0:
# none), the first octets of why.
FORMAT = "<I24sIIIHHHHHQI36s"
_KEY = const(28)
SIZE = const(98)
_MOST = const(0xFFFF)

# Bits of a visit's quirks; words.py has them all.
_NO_EHLO = const(2)
_ODD_HELO = const(4)
_ODD_PATH = const(8)
_HANGS_UP = const(64)
_STAYS = const(128)
_TLS_FAILS = const(256)
_LOGIN_FAILS = const(512)
_IN_TLS = const(1024)
_LOGS_IN = const(2048)


class Visits:
    """A bounded number of visits. What comes when there is no room is not noted: a passport is no
    promise.

    clients   the setting: rules by address, with names
    alarm     the account that is told of devices which have gone silent, or None
    served    seconds of service by this card's count, over all starts: what intervals are counted
              in, since it stands while we are off, without a network or a card
    started   what `served` was when this service began
    file      the table on the card, kept open (table.py); None: there is none yet
    used      octets of `noted` that are in use
    entering  somebody is about to enter them
    """

    def __init__(self, clients, alarm):
        self.clients = clients
        self.alarm = alarm
        self.noted = bytearray(limits.MAX_VISITS * SIZE)
        self.file = None
        self._begin(0)

    def _begin(self, served):
        self.served = self.started = self._entered = served
        self.used = 0
        self._put_off = 0
        self.entering = False

    def tick(self, serving):
        """Once a second."""
        if serving:
            self.served += 1
        else:
            self.started = self.served

    def visit(self, peer, port, talk, notes):
        """A session is over: `talk` is its Dialogue, `notes` its Notes."""
        helo = talk.helo
        reply = notes.refusal()
        if not helo and reply is None:
            return  # somebody looked whether the port is open
        quirks = notes.quirks
        for bit, shown in ((_NO_EHLO, helo and not talk.extended),
                           (_ODD_HELO, helo == b"unknown" or b"?" in helo),
                           (_ODD_PATH, talk.odd),
                           (_HANGS_UP, notes.ending == "hung up"),
                           (_STAYS, notes.ending == "timed out"),
                           (_TLS_FAILS, reply in (replies.TLS_FAILED, replies.TLS_WANTED)),
                           (_LOGIN_FAILS, reply == replies.AUTH_WRONG),
                           (_IN_TLS, talk.tls), (_LOGS_IN, talk.account)):
            if shown:
                quirks |= bit
        why = b""
        if reply is not None:
            why = notes.detail or reply.split(b" ", 2)[2]
            if isinstance(why, str):
                why = why.encode()
        self._note(struct.pack("<I24s", network(peer)[0], helo), notes.letters, notes.octets,
                   quirks, port, reply, why)

    def _note(self, key, letters, octets, quirks, port, reply, why):
        noted = self.noted
        began = self.served
        sessions = refusals = reason = 0
        at = 0
        while at < self.used:
            if noted[at : at + _KEY] == key:
                old = struct.unpack_from(FORMAT, noted, at)
                if self.served - old[2] < limits.BURST:
                    # What a device sends in one go, in however many sessions, is one visit.
                    began = old[2]
                    sessions, refusals, reason = old[5], old[6], old[11]
                    letters += old[7]
                    quirks |= old[8]
                    octets += old[10]
                    if reply is None:
                        why = old[12]
                    break
            at += SIZE
        if at == len(noted):
            return
        if reply is not None:
            reason = crc32(reply)
        struct.pack_into(FORMAT, noted, at, *struct.unpack("<I24s", key), began, self.served,
                         clock.now(), min(sessions + 1, _MOST),
                         min(refusals + (reply is not None), _MOST), min(letters, _MOST), quirks,
                         port, octets, reason, why)
        if at == self.used:
            self.used += SIZE

    def due(self, server):
        """Whether the card is to be asked now. Sessions of the `server` that are at work go first
        for a while.
        """
        patience = limits.PASSPORTS_HURRY
        if self.used < len(self.noted):
            patience = limits.PASSPORTS_PATIENCE
            if (self.served - self._entered < limits.PASSPORTS_PERIOD
                    or not (self.used or self.alarm)):
                return False
        if self._put_off < patience and server.at_work:
            self._put_off += 1
            return False
        return True

    async def enter(self, office):
        """Enter what was noted into the passports, and look who has gone silent."""
        self._entered = self.served
        self._put_off = 0
        try:
            try:
                await load("picopost.passports.table").enter_all(self, office)
                if self.alarm:
                    await load("picopost.passports.silence").look(self, office)
            finally:
                unload_all()
        except (OSError, MemoryError) as error:
            self._failed(error, office.volume)

    def open(self, volume):
        """The volume has been mounted. Raises OSError when the card fails."""
        self._begin(0)
        try:
            self._begin(load("picopost.passports.table").open_table(self))
        except (OSError, MemoryError) as error:
            self._failed(error, volume)
            if volume.failure:
                raise
        finally:
            unload_all()

    def close(self, volume):
        """Enter what can be entered, and let the card go. Never raises."""
        self.entering = False  # who was at it will not go on
        if self.used and not volume.failure:
            try:
                for _ in load("picopost.passports.table").enter(self, volume):
                    pass
            except (OSError, MemoryError) as error:
                self._failed(error, volume)
            finally:
                unload_all()
        if self.file:
            volume.shut(self.file)
            self.file = None
        self.used = 0

    def _failed(self, error, volume):
        self.used = 0
        if not volume.failure:  # that is told of by others
            try:
                event_log.log("passports_failed", error=str(error))
            except MemoryError:
                pass  # who looks after the card goes on


def unload_all():
    """What knows the card and its words leaves the heap."""
    for name in ("show", "silence", "table", "record", "words"):
        unload("picopost.passports." + name)
    unload("picopost.smtp.advice")
