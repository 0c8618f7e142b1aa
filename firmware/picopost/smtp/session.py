"""One SMTP session: moves lines between the client and the dialogue, and mail to the store."""

from picopost import event_log, limits
from picopost.net.line_reader import TOO_LONG
from picopost.smtp import data, dialogue, replies
from picopost.store.delivery import Delivery


class Session:
    """`post_office` has `hostname`, `max_message_size`, `resolve`, `admit`, `mailbox`, `ready`."""

    def __init__(self, channel, post_office):
        self._channel = channel
        self._office = post_office
        self._delivery = None
        self._dialogue = dialogue.Dialogue(post_office.hostname, post_office, channel.peer,
                                           post_office.max_message_size)

    def farewell(self, timed_out):
        """What a client is told whose time is up, or whose session broke."""
        return self._dialogue.reply(replies.TIMED_OUT if timed_out else replies.BROKEN)

    def release(self):
        """Free what a session that ended early still holds."""
        if self._delivery:
            self._delivery.abort()
            self._delivery = None

    async def run(self):
        """From the greeting to the end of the session."""
        channel = self._channel
        talk = self._dialogue
        await channel.write(talk.greeting())
        while True:
            channel.read_idle = limits.SMTP_IDLE
            line = await channel.reader.readline(limits.MAX_COMMAND_LINE)
            if line is None:
                return
            if line is TOO_LONG:
                reply, action = talk.too_long(), dialogue.NOTHING
            else:
                reply, action = talk.command(line)
            if action == dialogue.DATA:
                reply = await self._data()
            elif reply[0] >= 0x34:  # 4xx or 5xx
                event_log.log("refused", peer=channel.peer, service="smtp",
                              command=line[:80] if line is not TOO_LONG else "",
                              why=reply.rstrip())
            await channel.reply(reply)
            if action == dialogue.QUIT:
                break
            if talk.errors > limits.MAX_ERRORS:
                await channel.reply(talk.reply(replies.TOO_MANY_ERRORS))
                break
        await channel.flush()

    async def _data(self):
        """The whole of DATA; returns the reply behind it."""
        channel = self._channel
        talk = self._dialogue
        recipients = talk.recipients
        try:
            self._delivery = delivery = Delivery(
                channel.seat.block, [self._office.mailbox(name) for name, _ in recipients],
                talk.reverse_path, b"%s ([%s])" % (talk.helo, channel.peer.encode()),
                b"ESMTP" if talk.extended else b"SMTP", self._office.hostname.encode(),
                recipients[0][1] if len(recipients) == 1 else None)
        except OSError as error:
            event_log.log("card_fault", peer=channel.peer, error=str(error))
            return talk.refuse_data(replies.LOCAL_ERROR)
        await channel.write(talk.start_data())
        outcome = await data.receive(channel, delivery, self._office.max_message_size,
                                     self._office.ready, self._admit)
        self._delivery = None
        accepted = outcome is replies.MAIL_ACCEPTED
        event_log.log("accepted" if accepted else "refused", peer=channel.peer, service="smtp",
                      octets=delivery.octets, sender=talk.reverse_path,
                      mailbox=",".join([name for name, _ in recipients]),
                      why="" if accepted else outcome[2])
        if accepted:
            for name, _ in recipients:
                self._office.expire(name)
        return talk.data_done(outcome)

    def _admit(self, octets):
        """None, or why the first mailbox that cannot take the message refuses it."""
        for name, _ in self._dialogue.recipients:
            refusal = self._office.admit(name, octets)
            if refusal is not None:
                return refusal
        return None
