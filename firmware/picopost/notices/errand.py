"""One letter's notices: read what a list shows of it, see which rules want it, tell their servers.

Loaded for that, see queue.py. The letter may be fetched, deleted and moved meanwhile: it is read
without a lock, and what was read counts only if it stands where it stood before.
"""

import asyncio
import json

from micropython import const

from picopost import limits
from picopost.mime import summary
from picopost.net import dns
from picopost.notices import http, mqtt
from picopost.store import index as index_file
from picopost.store import segment

_WALK = const(128)  # records between two turns of the loop, as Maildrop


class _Text:
    """The beginning of a message in its segment, for summary.Reading."""

    def __init__(self, file, octets):
        self._file = file
        self._left = min(octets, limits.NOTICE_LOOK)

    def readinto(self, buffer):
        count = self._file.readinto(buffer[: min(len(buffer), self._left)]) if self._left else 0
        self._left -= count
        return count


async def run(notices, entry):
    """Do what can be done now; True: there is nothing left to do. Raises what the card raises."""
    known = await _read(notices.office, entry)
    if known is None:
        return True  # deleted: somebody has seen it
    if entry.wanted is None:
        entry.wanted = _wanted(notices, entry.mailbox, known[0])
    for number, target in enumerate(notices.targets):
        if entry.wanted >> number & 1 and notices.may_try(target):
            try:
                await _tell(notices, target, entry, *known)
                notices.told(entry, number)
            except http.Refused as error:
                notices.refused(entry, number, str(error), error.advice)
            except asyncio.TimeoutError:
                notices.failed(entry, number, "it does not answer")
            except OSError as error:
                notices.failed(entry, number, error.args[1] if len(error.args) > 1 else str(error))
    notices.expire(entry)
    return not entry.wanted


def _wanted(notices, mailbox, found):
    """The bits of the targets whose rules the letter meets; the LED is told on the way."""
    sender = "%s <%s>" % found.sender
    met = [_meets(rule, mailbox, sender.lower(), found.subject.lower()) for rule in notices.rules]
    if any([rule.get("led") for rule, meets in zip(notices.rules, met) if meets]):
        notices.light(mailbox)
    bits = 0
    for number, target in enumerate(notices.targets):
        if met[notices.rules.index(target.rule)]:
            bits |= 1 << number
    return bits


def _meets(rule, mailbox, sender, subject):
    return (rule.get("mailbox", mailbox) == mailbox and rule.get("from", "").lower() in sender
            and rule.get("subject", "").lower() in subject)


# --- the letter -----------------------------------------------------------------------------


async def _read(office, entry):
    """(Summary, octets); None: it is gone."""
    while True:
        mailbox = office.mailbox(entry.mailbox)
        place = await _place(office, mailbox, entry)
        if place is None:
            return None
        where, offset, size, octets = place
        from_line = index_file.from_line_of(where)
        file = open(segment.path_of(mailbox.path, index_file.segment_of(where)), "rb")
        try:
            file.seek(offset + from_line)
            reading = summary.Reading(_Text(file, size - from_line),
                                      bytearray(limits.NOTICE_BUFFER))
            while reading.step():
                await office.ready()
                await asyncio.sleep_ms(0)
                mailbox.check_open()
        finally:
            try:
                file.close()
            except OSError:
                pass  # it was only read
        now = await _place(office, mailbox, entry)
        if now == place:
            return reading.summary, octets
        # Its clusters may have been somebody else's already.


async def _place(office, mailbox, entry):
    """(WHERE, offset, size, octets) of its record; None: there is none, or it is deleted."""
    index = mailbox.index
    if index.uid_validity != entry.uid_validity:
        return None
    slot = index.slots
    while slot:
        slot -= 1
        base = index.load(slot)
        words = index.words()
        if words[base + index_file.UID] == entry.uid:
            if words[base] & 0xFF == index_file.DELETED:
                return None
            base = index.checked(slot)
            return (words[base + index_file.WHERE], words[base + index_file.OFFSET],
                    words[base + index_file.SIZE], words[base + index_file.OCTETS])
        if not slot % _WALK:
            await office.ready()
            await asyncio.sleep_ms(0)
            mailbox.check_open()
            if mailbox.index is not index:  # it was packed
                index = mailbox.index
                slot = index.slots
    return None


# --- the notice -----------------------------------------------------------------------------


async def _tell(notices, target, entry, found, octets):
    """OSError, TimeoutError, or Refused where it would be in vain again."""
    address = await dns.resolve(notices.link, target.host, limits.NOTICE_DNS)
    connection = await notices.link.connect(address, target.port, limits.NOTICE_CONNECT)
    try:
        if target.way == "mqtt":
            talk = mqtt.publish(connection, notices.office.hostname, target.rule["mqtt"],
                                _told(entry, found, octets))
        elif target.way == "ntfy":
            path, topic, body = _for_ntfy(target.path, entry, found)
            talk = http.post(connection, target.authority, path, body)
        else:
            talk = http.post(connection, target.authority, target.path, _told(entry, found, octets))
        wrong = await asyncio.wait_for_ms(talk, limits.NOTICE_TIME)
        if target.way != "mqtt":
            await http.hear_out(connection)  # in a time of its own: what was taken goes once
        await connection.close()
        if wrong:
            raise wrong
    finally:
        connection.abort()


def _told(entry, found, octets):
    """JSON (RFC 8259), octets, of which each value is bounded."""
    date = None
    if found.date:
        date = "%04d-%02d-%02dT%02d:%02d:%02d" % found.date[:6]
        offset = found.date[6]
        if offset is not None:
            date += "%s%02d:%02d" % ("-" if offset < 0 else "+", abs(offset) // 60,
                                     abs(offset) % 60)
    return json.dumps({
        "mailbox": entry.mailbox, "name": _cut(found.sender[0]), "from": _cut(found.sender[1]),
        "subject": _cut(found.subject), "date": date, "octets": octets,
        "text": _cut(found.text), "attachments": _names(found)}).encode()


def _for_ntfy(path, entry, found):
    """(path, topic, body): ntfy takes JSON at its root, with the topic in it; text of a letter in a
    header would have to be encoded.
    """
    topic, question, query = path[1:].partition("?")
    name, address = found.sender
    text = _cut(name or address)
    if found.text:
        text += "\n" + _cut(found.text)
    names = _names(found)
    if names:
        text += "\n[" + ", ".join(names) + "]"
    return "/" + question + query, topic, json.dumps({
        "topic": topic, "title": _cut(found.subject) or "Mail for " + entry.mailbox,
        "message": text or "-"}).encode()


def _names(found):
    return [(name or kind)[: limits.NOTICE_WORD]
            for name, kind, _ in found.attachments[: limits.NOTICE_NAMES]]


def _cut(text):
    return text[: limits.NOTICE_TEXT]
