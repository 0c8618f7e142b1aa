"""One message from DATA or BDAT to the card, for all its mailboxes, in constant memory.

The text passes through one card block. A message that ends while still in it is appended to
each mailbox's shared segment; a larger one streams into a segment of its own, block by block.
"""

from micropython import const

from picopost import clock, limits
from picopost.store import mboxrd_state as mboxrd
from picopost.store.header_scan import HeaderScan

try:
    from picopost.store.mboxrd_viper import receive
except ImportError:  # no native code for this processor
    from picopost.store.mboxrd import receive

_OVERSHOOT = const(8)  # octets that a call of `receive` may write behind a full block
_LIMIT = limits.CARD_BLOCK + _OVERSHOOT
_NO_UID = b"00000000.00000000"


class Delivery:
    """`block` is a bytearray of CARD_BLOCK and _OVERSHOOT: what passes the end moves to the start.

    octets   size on the wire so far, trace lines included, as POP3 will announce it
    ended    CRLF.CRLF was seen; never with BDAT, where the last chunk's count is the end
    """

    def __init__(self, block, mailboxes, reverse_path, received, protocol, by, forward_path,
                 chunked=False, keep_head=False):
        """Compose the trace lines. `received` is the from-clause, `by` our host name, `protocol`
        one of RFC 3848, `forward_path` the only recipient's or None (RFC 5321 section 4.4).
        `chunked`: the text comes by BDAT (RFC 3030). `keep_head`: `head` will be asked for.
        """
        self._block = block
        self._view = memoryview(block)
        self._whole = self._view[: limits.CARD_BLOCK]
        self._start = self._view[:_OVERSHOOT]
        self._over = self._view[limits.CARD_BLOCK :]
        self._mailboxes = mailboxes
        self._large = None
        date = clock.now()
        # A quoted local part may have spaces, which end the sender in a From_ line.
        sender = reverse_path.replace(b" ", b"_") or b"MAILER-DAEMON"
        trace = b"From %s %s\n" % (sender, clock.from_line_date())
        self._from_line = len(trace)
        trace += b"Return-Path: <%s>\nReceived: from %s\n\tby %s with %s id " % (
            reverse_path, received, by, protocol)
        self._uid_at = len(trace) + 9
        trace += _NO_UID
        if forward_path is not None:
            trace += b"\n\tfor <%s>" % forward_path
        trace += b";\n\t%s\n" % clock.mail_date()
        if len(trace) > limits.MAX_TRACE:
            raise ValueError("trace lines too long")
        self._date = date
        block[: len(trace)] = trace
        self._chunked = chunked
        self._state = mboxrd.new_receiving(chunked)
        self._state[mboxrd.TARGET] = self._head_at = len(trace)
        self._head = None if keep_head else b""
        self._scan = HeaderScan(len(trace) - 1)
        self._trace_octets = len(trace) - self._from_line + trace.count(b"\n") - 1

    @property
    def octets(self):
        return self._state[mboxrd.OCTETS] + self._trace_octets

    @property
    def content_octets(self):
        """Without the trace lines: what the SIZE extension counts (RFC 1870 section 5)."""
        return self._state[mboxrd.OCTETS]

    @property
    def ended(self):
        return self._state[mboxrd.ENDED]

    @property
    def flags(self):
        return self._state[mboxrd.FLAGS]

    def feed(self, source, start, end):
        """Take source[start:end] as far as the block has room; returns where it stopped.

        Stops for good behind CRLF.CRLF (`ended`). When it returns less than `end` and not ended,
        call `spill` (or `discard`) and feed the rest.
        """
        state = self._state
        state[mboxrd.SOURCE] = start
        receive(state, source, end, self._block, _LIMIT)
        if not self._scan.ended:
            self._scan.look(self._block, state[mboxrd.TARGET])
        return state[mboxrd.SOURCE]

    def finish(self):
        """BDAT: the last octet of the last chunk was fed. Completes the last line.

        `octets` is final then. `spill` before it while the block is `full`, as before each feed,
        to choose the time; or it does so itself, and may raise OSError; then call `abort`.
        `commit` does it for who did not. Once more, or after DATA, it does nothing.
        """
        if not self._chunked:
            return
        if self.full:
            self.spill()
        self._scan.look(self._block, mboxrd.finish_receive(self._state, self._block))

    @property
    def received_fields(self):
        """Received fields in the message's own header, as far as it was fed (RFC 5321 6.3)."""
        return self._scan.received

    def head(self):
        """The first whole lines of the message's own header, as mboxrd text with LF line ends.

        At most REPORT_HEAD octets; b"" without `keep_head`. Right after `commit` too, as long as
        nobody else has used the block.
        """
        if self._head is not None:
            return self._head
        block, start = self._block, self._head_at
        end = min(self._state[mboxrd.TARGET], start + limits.REPORT_HEAD)
        blank = block.find(b"\n\n", start - 1, end)
        if blank < 0:
            blank = block.rfind(b"\n", start - 1, end)
        return bytes(block[start : blank + 1])

    @property
    def full(self):
        """The block wants to be spilled before more can be fed."""
        return self._state[mboxrd.TARGET] > limits.CARD_BLOCK

    def discard(self):
        """Forget what the block holds: the rest of a refused message is only drained."""
        self._state[mboxrd.TARGET] = 0
        self._scan.ended = True
        self._head = self._head or b""

    def spill(self):
        """Write one whole block for each mailbox. Raises OSError; then call `abort`."""
        if self._large is None:
            self._head = self.head()
            self._large = []
            for mailbox in self._mailboxes:
                self._large.append(mailbox.begin())
        self._scan.spilled(self._block, limits.CARD_BLOCK)
        for large in self._large:
            if not large.size:
                self._stamp(large.mailbox, False)
            large.write(self._whole)
        self._start[:] = self._over
        self._state[mboxrd.TARGET] -= limits.CARD_BLOCK

    def commit(self):
        """The last of it, and the records. When this returns, the message is safe for everybody.

        Raises OSError when any mailbox failed; then no mailbox has it.
        """
        self.finish()
        if self._state[mboxrd.TARGET] >= limits.CARD_BLOCK:
            self.spill()
        length = self._state[mboxrd.TARGET] + 1
        self._block[length - 1] = 10  # the blank line that ends a message in mbox
        done = 0
        try:
            if self._large is None:
                for mailbox in self._mailboxes:
                    self._stamp(mailbox, True)
                    mailbox.append(self._block, length, self._from_line, self.octets, self._date)
                    done += 1
            else:
                rest = self._view[:length]
                for large in self._large:  # in the order of the mailboxes
                    large.write(rest)
                    large.commit(self._uid_at, self._from_line, self.octets, self._date)
                    done += 1
                self._large = None
        except BaseException:  # a MemoryError too
            # Nobody was told of the copies that did get through: they go again, or the sender's
            # next try would bring them twice.
            while done:
                done -= 1
                self._mailboxes[done].retract()
            self.abort()
            raise

    def leave_out(self, mailbox):
        """Before the commit: no copy for this mailbox."""
        self._mailboxes.remove(mailbox)
        for large in self._large or ():
            if large.mailbox is mailbox:
                large.abort()
                self._large.remove(large)
                break

    def abort(self):
        """Free what was written; nothing of the message remains."""
        for large in self._large or ():
            large.abort()
        self._large = None

    def _stamp(self, mailbox, final):
        """Name the copy in its Received line: unique-id as POP3 shows it."""
        index = mailbox.index
        at = self._uid_at - 9
        self._block[at : at + 17] = b"%08x.%08x" % (index.uid_validity,
                                                    index.next_uid if final else 0)
