"""The mail data: from DATA's 354 to the one reply behind CRLF.CRLF (RFC 5321 section 4.1.1.4)."""

import asyncio
import errno

from picopost import event_log, limits
from picopost.smtp import replies
from picopost.store.segment import ENOSPC


async def receive(channel, delivery, max_size, ready, admit):
    """Take the message in and commit it; returns its Reply, which is final.

    A message that is refused half-way is drained to its end, since the client listens only
    there. `ready()` is awaited before each write, so that a busy card holds up nobody else.
    `admit(octets)` has the last word when the size is known: None or a Reply.
    Raises OSError (ECONNRESET) when the client leaves before the end; nothing is kept then.
    """
    reader = channel.reader
    failure = None
    channel.read_idle = limits.SMTP_DATA_IDLE
    while True:
        reader.start = delivery.feed(reader.buffer, reader.start, reader.end)
        if failure is None and delivery.content_octets > max_size:
            failure = replies.MESSAGE_TOO_BIG
            delivery.abort()
        if delivery.ended:
            break
        if delivery.full:
            if failure is None:
                failure = await _spill(channel, delivery, ready)
            if failure is not None:
                delivery.discard()
        elif not await reader.fill():
            raise OSError(errno.ECONNRESET)
    if failure is None:
        failure = admit(delivery.octets)
    if failure is not None:
        delivery.abort()
        return failure
    return await _guarded(channel, delivery, delivery.commit, ready) or replies.MAIL_ACCEPTED


async def _spill(channel, delivery, ready):
    return await _guarded(channel, delivery, delivery.spill, ready)


async def _guarded(channel, delivery, step, ready):
    """Run one step on the card; returns None, or the Reply that its failure deserves."""
    try:
        await ready()
        step()
        await asyncio.sleep_ms(0)
        return None
    except OSError as error:
        delivery.abort()
        full = error.errno == ENOSPC
        event_log.log("card_full" if full else "card_fault", peer=channel.peer, error=str(error))
        return replies.CARD_FULL if full else replies.LOCAL_ERROR
