"""`mail`: mailboxes, a mailbox's list, a letter to read, what is attached to it, its deletion.

A letter's number is its UID: it stays, and is never another's. While a command has a mailbox no
POP3 session gets it, and the other way round (RFC 1939 3).
"""

import asyncio
import gc
import time

from picopost import event_log, limits
from picopost.store import index as index_file
from picopost.store.maildrop import Maildrop

_USAGE = ("`mail`, `mail NAME`, `mail NAME 1-50`, `mail NAME 3`, `mail NAME 3 save 1`, "
          "`mail NAME 3 delete`")


async def answer(out, words, parts):
    office = parts.get("office")
    if not office or not office.volume or office.volume.failure:
        return "no card: " + (office.no_card if office else "the board is just starting")
    if not words:
        from picopost.console import users

        return await users.answer(out, words, parts)
    name, words = words[0].lower(), words[1:]
    if name not in office.accounts:
        return "no such account: `users` lists them"
    if not _understood(words):
        return _USAGE
    gc.collect()
    if gc.mem_free() < limits.HEAP_SCALE * limits.CONSOLE_ROOM:
        raise MemoryError
    mailbox = office.mailbox(name)
    tries = limits.MAILBOX_TRIES
    while not mailbox.take():
        tries -= 1
        if not tries:
            return "[IN-USE] a mail program has this mailbox, or old mail is being thrown away"
        await asyncio.sleep_ms(limits.MAILBOX_RETRY)
    drop = None
    deleted = 0
    try:
        drop = Maildrop(mailbox)
        await drop.open(office.pause)
        if not words or "-" in words[0]:
            return await _list(out, office, drop, words)
        number = await _find(drop, int(words[0]), office)
        if not number:
            return "no such message: `mail " + name + "` lists them"
        if len(words) == 1:
            from picopost.console import letter

            return await letter.show(out, office, drop.open_message(number))
        if len(words) == 3:
            from picopost.console import attachment

            return await attachment.save(out, office, drop.open_message(number), int(words[2]))
        drop.delete(number)
        deleted = await drop.commit(office.pause)
        event_log.log("deleted", service="console", mailbox=name, messages=deleted)
        await out.text("deleted")
    finally:
        mailbox.in_use = False
        if drop:
            drop.close()
        if deleted:
            office.sweep(mailbox)


def _understood(words):
    if not words:
        return True
    first, sign, last = words[0].partition("-")
    if not first.isdigit() or sign and not last.isdigit():
        return False
    more = words[1:]
    return not more or not sign and (
        more == ["delete"] or len(more) == 2 and more[0] == "save" and more[1].isdigit())


def _uid(drop, number):
    index = drop.mailbox.index
    return index.words()[index.checked(drop.slot_of(number)) + index_file.UID]


async def _find(drop, uid, office):
    """The number of the message in the maildrop; 0: it has none."""
    for number in range(drop.count, 0, -1):
        if not number & 31:
            await office.pause()
        if _uid(drop, number) == uid:
            return number
    return 0


async def _list(out, office, drop, words):
    """The newest, or those with numbers from ... to."""
    from picopost.console import heading

    first, last = 0, 0
    begin = 1
    if words:
        first, _, last = words[0].partition("-")
        first, last = int(first), int(last)
    else:
        begin = max(1, drop.count + 1 - limits.CONSOLE_PAGE)
    shown = 0
    for number in range(begin, drop.count + 1):
        if not number & 31:
            await office.pause()
        uid = _uid(drop, number)
        if words and not first <= uid <= last:
            continue
        shown += 1
        index = drop.mailbox.index
        base = index.checked(drop.slot_of(number))
        date = index.words()[base + index_file.DATE]
        octets = index.words()[base + index_file.OCTETS]
        sender, subject, attached = await heading.read(out, office, drop.open_message(number))
        await out.text("%5d  %s  %-24s  %6s%s  %s" % (
            uid, _when(date), sender[:24], size(octets), "+" if attached else " ", subject[:80]))
    await out.text("%d of %d messages, %s in all" % (shown, drop.count, size(drop.octets)))


def _when(seconds):
    if not seconds:
        return "-" + 15 * " "  # it came before the clock was set
    return "%d-%02d-%02d %02d:%02d" % time.gmtime(seconds)[:5]


def size(octets):
    """For a person."""
    if octets < 10_000:
        return "%d B" % octets
    return "%d KB" % (octets + 512 >> 10) if octets < 10_000_000 else "%d MB" % (
        octets + (1 << 19) >> 20)
