"""One message on its way in: from DATA's 354 to CRLF.CRLF (RFC 5321 section 4.1.1.4), or chunk by
chunk with BDAT (RFC 3030), to the one reply behind it.
"""

import errno
import time

from picopost import event_log, limits
from picopost.smtp import replies
from picopost.store import mboxrd_state as mboxrd
from picopost.store.segment import ENOSPC

_BARE = mboxrd.BARE_LF | mboxrd.BARE_CR


class Intake:
    """A message that is refused half-way is drained to its end: the client listens only there.

    `delivery` is where it goes; `max_size` octets is what it may have; `volume` is what it lies on,
    whose card is waited for before each write, so that it holds up nobody else.

        failure   the Reply that refuses it, or None so far
        octets    what has come on the wire
    All waiting raises OSError (ECONNRESET) when the client leaves before the end, and is cancelled
    by the server when the client is too slow; `abort` then, and nothing is kept.
    """

    def __init__(self, channel, delivery, max_size: int, volume, reject_bare: bool):
        self._channel = channel
        self._delivery = delivery
        self._max_size = max_size
        self._volume = volume
        self._reject_bare = reject_bare
        self.failure = None
        self.octets = 0
        self._began = 0
        self._octets_before = 0

    async def data(self):
        """All of it, to the end of the mail data."""
        channel = self._channel
        reader = channel.reader
        delivery = self._delivery
        self._begin()
        while True:
            start = reader.start
            reader.start = delivery.feed(reader.buffer, start, reader.end)
            self.octets += reader.start - start
            if delivery.ended:
                return
            if delivery.full:
                await self._spill()
            elif not channel.read_ahead():
                await _fill(channel, self._began, self.octets - self._octets_before)
            elif channel.had_its_turn():
                await self._give_way()

    async def chunk(self, count: int):
        """`count` octets, the next of several chunks."""
        reader = self._channel.reader
        delivery = self._delivery
        self._begin()
        octets = 0
        while octets < count:
            end = min(reader.end, reader.start + count - octets)
            if end == reader.start:
                await _fill(self._channel, self._began, octets)
                continue
            start = reader.start
            reader.start = delivery.feed(reader.buffer, start, end)
            octets += reader.start - start
            self.octets += reader.start - start
            if delivery.full:
                await self._spill()
        self._look()

    async def finish(self):
        """After the last octet; commits nothing yet. `failure` says what became of it."""
        delivery = self._delivery
        if self.failure is None:
            if delivery.full:
                await self._spill()
            if self.failure is None:
                delivery.finish()
                self._look()
        if self.failure is None and self._reject_bare and delivery.flags & _BARE:
            self.refuse(replies.BARE_IN_MESSAGE)

    def refuse(self, reply):
        """It is not taken, for this reason."""
        self.failure = reply
        self._delivery.abort()

    async def commit(self):
        """Make it safe. Returns the Reply, MAIL_ACCEPTED only when it is."""
        try:
            if not self._volume.ready():
                await self._wait_for_card()
            # Nothing is awaited behind it: a client that hears 421 then would send it again.
            self._delivery.commit()
            return replies.MAIL_ACCEPTED
        except OSError as error:
            return self._failed(error)

    def abort(self):
        """Nothing of the message remains."""
        self._delivery.abort()

    def _look(self):
        """Refuse what has become too much."""
        if self.failure is None:
            if self._delivery.content_octets > self._max_size:
                self.refuse(replies.MESSAGE_TOO_BIG)
            elif self._delivery.received_fields >= limits.MAX_RECEIVED:
                self.refuse(replies.MAIL_LOOP)

    async def _spill(self):
        self._look()
        if self.failure is None:
            try:
                if not self._volume.ready():
                    await self._wait_for_card()
                self._delivery.spill()
            except OSError as error:
                self.failure = self._failed(error)
        if self.failure is not None:
            self._delivery.discard()
        if self._channel.had_its_turn():
            await self._give_way()

    def _begin(self):
        self._began = time.ticks_ms()
        self._octets_before = self.octets

    async def _give_way(self):
        _allow(self._channel, self._began, self.octets - self._octets_before)
        await self._channel.give_way()

    async def _wait_for_card(self):
        self._channel.expect(limits.CARD_TIME)
        await self._volume.wait_ready()

    def _failed(self, error):
        """Nothing is kept after an error of the card; the Reply that it deserves."""
        self._delivery.abort()
        full = error.errno == ENOSPC
        event_log.log("card_full" if full else "card_fault", peer=self._channel.peer,
                      error=str(error))
        return replies.CARD_FULL if full else replies.LOCAL_ERROR


def _allow(channel, began: int, octets: int):
    """How long to read on in what began at these ticks, of which so many octets have come: not for
    long without any, and all in all not for a sender slower than a device's modem.
    """
    spent = time.ticks_diff(time.ticks_ms(), began)
    earned = (octets >> limits.TEXT_RATE_BITS) * 1000
    channel.read_within(min(limits.SMTP_DATA_IDLE, limits.SMTP_DATA_GRACE + earned - spent))


async def _fill(channel, began: int, octets: int):
    """Wait for more, as `_allow` has it."""
    _allow(channel, began, octets)
    if not await channel.reader.fill():
        raise OSError(errno.ECONNRESET)


async def drain(channel, count: int):
    """Read `count` octets of a refused chunk and forget them (RFC 3030 2)."""
    reader = channel.reader
    began = time.ticks_ms()
    octets = 0
    while octets < count:
        if reader.end == reader.start:
            await _fill(channel, began, octets)
        taken = min(count - octets, reader.end - reader.start)
        reader.start += taken
        octets += taken
