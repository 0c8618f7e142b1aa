"""Throw old mail away where the owner asked for it. Loaded only then.

keep_newest  so many messages stay
keep_days    what is older goes; messages without a date (no clock yet) stay
drop_oldest  the oldest go while a mailbox is within a tenth of its bounds
"""

from picopost import clock, limits
from picopost.store import index as index_file


async def expire(mailbox, rules, pause):
    """Delete what `rules.rule(name, ...)` no longer keeps, durably; returns how many.

    Not while a POP3 session has the mailbox: it would count messages that are gone.
    """
    name = mailbox.name
    newest = rules.rule(name, "keep_newest")
    days = rules.rule(name, "keep_days")
    messages = octets = None
    if rules.rule(name, "drop_oldest"):
        messages = (rules.rule(name, "max_messages") or limits.MAX_MESSAGES) * 9 // 10
        octets = rules.rule(name, "max_octets")
        octets = octets and octets * 9 // 10
    if newest and (not messages or newest < messages):
        messages = newest
    now = clock.now()
    before = now - days * 86400 if days and now else 0
    await pause()
    if not mailbox.take():
        return 0  # the next letter asks again
    try:
        index = mailbox.index
        live, held = index.live, index.octets
        dropped = 0
        for slot in range(index.slots):
            base = index.load(slot)
            words = index.words()
            if words[base] & 0xFF != index_file.DELETED:
                date = words[base + index_file.DATE]
                if not date and before and not (messages and live > messages
                                                or octets and held > octets):
                    continue  # from before the clock was set: it does not grow old
                if not (messages and live > messages or octets and held > octets
                        or 0 < date < before):
                    break  # they stand in the order of their arrival
                live -= 1
                held -= words[base + index_file.OCTETS]
                index.mark_deleted(slot)
                dropped += 1
            if slot & 15 == 15:
                index.write_back()
                await pause()
        if dropped:
            index.sync()
        return dropped
    finally:
        mailbox.in_use = False
