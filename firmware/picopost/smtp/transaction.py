"""The mail data of one transaction, for all its mailboxes: from the open store to the reply, and
the reports that a local sender asked for (RFC 3461).
"""

from picopost import clock, event_log, limits, load, unload
from picopost.smtp import parameters, replies
from picopost.smtp.data import Intake
from picopost.store import mboxrd_state as mboxrd
from picopost.store.delivery import Delivery
from picopost.store.segment import ENOSPC


class Transaction:
    """`talk` is the Dialogue with the open transaction; `intake` takes the message in.

    `chunked`: it comes by BDAT. Raises OSError when a mailbox is out of order.
    """

    def __init__(self, channel, talk, office, reject_bare: bool, chunked: bool):
        self._channel = channel
        self._arrival = clock.mail_date()
        self._talk = talk
        self._office = office
        recipients = talk.recipients
        self._mailboxes = [office.mailbox(name) for name, _ in recipients]
        self._delivery = Delivery(
            channel.seat.block, self._mailboxes, talk.reverse_path,
            b"%s ([%s])" % (talk.helo, channel.peer.encode()), talk.protocol,
            office.hostname.encode(), recipients[0][1] if talk.accepted == 1 else None,
            chunked, talk.sender is not None)
        self._uids = None  # of the copies, where somebody is to be told of them
        self.intake = Intake(channel, self._delivery, office.max_message_size, office.volume,
                             reject_bare)

    def abort(self):
        """Nothing of the message remains."""
        self.intake.abort()

    @property
    def bare_lf(self) -> bool:
        """Whether some line so far ended in LF alone."""
        return bool(self._delivery.flags & mboxrd.BARE_LF)

    @property
    def octets(self) -> int:
        """Of the message, our own lines included."""
        return self._delivery.octets

    async def settle(self) -> bytes:
        """After the last octet: commit, write what reports are due; returns the final Reply."""
        intake = self.intake
        await intake.finish()
        if intake.failure is None:
            full = self._full()
            if full and not self._can_report(full):
                intake.refuse(next(iter(full.values())))
        if intake.failure is not None:
            return intake.failure
        for mailbox in [each for each in self._mailboxes if each.name in full]:
            self._delivery.leave_out(mailbox)  # takes it out of self._mailboxes too
        outcome = await intake.commit()
        if self._office.notices and outcome is replies.MAIL_ACCEPTED:
            try:  # before anything is awaited: other letters may come behind it
                self._uids = [mailbox.index.next_uid - 1 for mailbox in self._mailboxes]
            except MemoryError:
                pass  # its 250 does not hang on a notice
        talk = self._talk
        if outcome is replies.MAIL_ACCEPTED and talk.sender and (full or talk.notices):
            try:
                outcome = await self._report(full)
            except MemoryError:  # no room to begin it, or to say that it failed
                if full:
                    outcome = replies.LOCAL_ERROR
        return outcome

    def _full(self):
        """{name: Reply} of the mailboxes that cannot take it, now that its size is known."""
        full = {}
        for mailbox in self._mailboxes:
            # All but the last block is on the card already.
            refusal = self._office.admit(mailbox.name, self._delivery.octets, 1,
                                         limits.CARD_BLOCK)
            if refusal is not None:
                full[mailbox.name] = refusal
        return full

    # A message that only some of its mailboxes can take is accepted for these when its sender's
    # own mailbox is here, and can be told of the others; else it is refused, and the client tells.

    def _can_report(self, full):
        talk = self._talk
        if len(full) == len(self._mailboxes) or talk.sender is None or talk.sender in full:
            return False
        size, messages = limits.MAX_REPORT, 1
        if talk.sender in [mailbox.name for mailbox in self._mailboxes]:  # it gets both
            size, messages = size + self._delivery.octets, 2
        if self._office.admit(talk.sender, size, messages, limits.MAX_REPORT) is not None:
            return False
        return all([notice.notify & parameters.FAILURE for notice in talk.notices
                    if any([name in full for name in notice.mailboxes])])

    def _outcomes(self, full):
        """[(path, ORCPT, None or the Reply that refused it)] to tell the sender of."""
        outcomes = []
        told = []
        for notice in self._talk.notices:
            refusal = None
            for name in notice.mailboxes:
                refusal = refusal or full.get(name)
                told.append(name)
            if notice.notify & (parameters.FAILURE if refusal else parameters.SUCCESS):
                outcomes.append((notice.path, notice.original or None, refusal))
        for name, path in self._talk.recipients:
            if name in full and name not in told:
                outcomes.append((path, None, full[name]))
        return outcomes

    async def _report(self, full):
        """Tell the sender what there is to tell; returns the final Reply.

        Where somebody will not get the message, the report is part of the promise: without it the
        sender hears 451 and sends again, and the others get the letter twice. Without the report
        of a success nothing is lost.
        """
        talk = self._talk
        office = self._office
        self._channel.expect(limits.CARD_TIME)
        try:
            outcomes = self._outcomes(full)
            if not outcomes:
                return replies.MAIL_ACCEPTED
            if office.admit(talk.sender, limits.MAX_REPORT) is not None:
                raise OSError(ENOSPC)
            await load("picopost.smtp.report").write(
                self._channel.seat.block, office.mailbox(talk.sender), office.hostname.encode(),
                talk.reverse_path, talk.envelope_id, outcomes, self._delivery.head(),
                self._arrival, office.ready)
        except (OSError, MemoryError) as error:
            event_log.log("report_failed", peer=self._channel.peer, mailbox=talk.sender,
                          error=str(error))
            if full:
                return replies.LOCAL_ERROR
        finally:
            unload("picopost.smtp.report")
        return replies.MAIL_ACCEPTED

    def log(self, service: str):
        """The line of an accepted letter; then the mailboxes' rules throw away what they say."""
        talk = self._talk
        event_log.log("accepted", peer=self._channel.peer, service=service,
                      octets=self._delivery.octets, sender=talk.reverse_path,
                      mailbox=b",".join([mailbox.name.encode() for mailbox in self._mailboxes]))
        for number, mailbox in enumerate(self._mailboxes):
            if self._uids:
                self._office.notices.put(mailbox, self._uids[number])
            self._office.expire(mailbox.name)
