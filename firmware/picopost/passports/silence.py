"""Who writes regularly and has gone silent: one letter to the mailbox that the setting
`silence_alarm` names, for each silence. Loaded for a moment.
"""

import os
from binascii import hexlify

from picopost import clock, event_log, limits, load
from picopost.passports import table
from picopost.store.delivery import Delivery


async def look(visits, office):
    """Tell of all who have gone silent since the last look. Raises OSError, MemoryError.

    Where nobody has written for an hour the count of seconds is put on the card, which is no more
    behind than that after the next start.
    """
    newest = 0
    awaited = None
    for slot, passport in table.passports(visits):
        if not passport:
            continue
        newest = max(newest, passport.stamp)
        if passport.regular and not passport.alarmed:
            awaited = slot
        if passport.silent(visits.served, visits.started):
            await office.pause()
            passport = table.get(visits, slot)  # it may have written meanwhile
            silence = passport.silent(visits.served, visits.started) if passport else 0
            if silence:
                _tell(visits, office, slot, passport, silence)
                newest = visits.served
    if awaited is not None and visits.served - newest >= limits.SILENCE_LEAST:
        await office.pause()
        passport = table.get(visits, awaited)
        if passport:
            _stamp(visits, office, awaited, passport)


def _tell(visits, office, slot, passport, silence):
    """The letter, then the note that it was written: a cut between them brings a second one."""
    refusal = office.admit(visits.alarm, limits.CARD_BLOCK)
    if refusal is not None:
        event_log.log("alarm_failed", mailbox=visits.alarm, why=refusal)
        return
    name = visits.clients.get(passport.peer, {}).get("name", "")
    hostname = office.hostname.encode()
    delivery = Delivery(bytearray(limits.CARD_BLOCK + 8), [office.mailbox(visits.alarm)], b"",
                        hostname, b"local", hostname, b"%s@%s" % (visits.alarm.encode(), hostname),
                        True)
    text = letter(passport, silence, hostname, visits.alarm, name, clock.now())
    delivery.feed(text, 0, len(text))  # less than a block
    delivery.commit()
    passport.alarmed = 1
    _stamp(visits, office, slot, passport)
    event_log.log("device_silent", peer=passport.peer, helo=passport.helo,
                  mailbox=visits.alarm, silent=silence, every=passport.every)
    office.expire(visits.alarm)


def _stamp(visits, office, slot, passport):
    passport.stamp = visits.served
    table.put(visits, office.volume, slot, passport)


def letter(passport, silence, hostname, mailbox, name, now):
    """The whole of it (RFC 5322, RFC 3834 5), octets with LF line ends."""
    words = load("picopost.passports.words")
    hostname = str(hostname, "utf-8")
    return ("From: picopost <MAILER-DAEMON@%s>\nTo: <%s@%s>\nSubject: %s has gone silent\n"
            "Date: %s\nMessage-ID: <%s@%s>\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
            "%s has sent no letter\nfor %s, in which this server was there to take it. Usually it\n"
            "sends one each %s.\n\n"
            "What to look at: its power; its cable or Wi-Fi; whether its address has changed;\n"
            "what it says of the mail that it could not send.\n\n"
            "What is known of it:\n%s\n\n"
            "There will be no other letter about it before it has written again.\n" % (
                hostname, mailbox, hostname, words.who(passport), str(clock.mail_date(), "utf-8"),
                str(hexlify(os.urandom(8)), "utf-8"), hostname, words.who(passport, name),
                words.span(silence), words.span(passport.every),
                "\n".join(words.of(passport, now, name)))).encode()
