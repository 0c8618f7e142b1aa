"""One SMTP session: moves lines between the client and the dialogue, and mail to the store."""

import asyncio
import time

from micropython import const

from picopost import event_log, limits
from picopost.net.channel import CLIENT_HELLO, TOO_LONG
from picopost.net.identity import REFUSAL, Busy, NotTls, TlsError
from picopost.policy import ANY_LOGIN
from picopost.sasl import MECHANISMS
from picopost.smtp import dialogue, replies
from picopost.smtp.data import drain
from picopost.smtp.notes import Notes
from picopost.smtp.transaction import Transaction

_LOOK = const(100)  # ms between two looks whether a client talks before the greeting
_SHOWN = const(80)  # octets of a command in the log
# Bits of Notes.quirks.
_EARLY = const(1)
_BARE_LF = const(16)
_PIPELINES = const(32)


class Session:
    """`service` is the smtp.service.Service of the port, `rules` the client's Policy there."""

    def __init__(self, channel, service, rules):
        office = service.office
        self._channel = channel
        self._service = service
        self._office = office
        self._rules = rules
        self._transaction = None
        self._notes = Notes()
        self._said = b""  # the last command, for the log
        self._logs_in = False
        self._dialogue = dialogue.Dialogue(office.hostname, office, channel.peer,
                                           office.max_message_size, rules)

    def farewell(self, timed_out):
        """What a client is told whose time is up, or whose session broke."""
        self._notes.ending = "timed out" if timed_out else "broke off"
        if timed_out and self._transaction and self._transaction.bare_lf:
            self._notes.remark("waited for the end of the message: the device ends its lines in "
                               "LF alone, so CRLF.CRLF never comes")
        if self._channel.handshaking:
            return b""
        return self._dialogue.reply(replies.TIMED_OUT if timed_out else replies.BROKEN)

    def release(self):
        """Free what a session that ended early still holds, and say what a person should know."""
        self._abandon()
        self._notes.write(self._channel.peer, self._service.name, self._rules.device,
                          self._dialogue.helo, self._said)
        if self._office.visits:
            try:
                self._office.visits.visit(self._channel.peer, self._service.port, self._dialogue,
                                          self._notes)
            except MemoryError:
                pass  # a passport is no promise; the client is still to hear the end

    def _abandon(self):
        transaction, self._transaction = self._transaction, None
        if transaction:
            transaction.abort()

    async def run(self):
        """From the greeting to the end of the session."""
        channel = self._channel
        talk = self._dialogue
        if self._rules.tls and not await self._begin_in_tls():
            return
        if not await self._greet():
            return
        idle_since = time.ticks_ms()
        while True:
            line = await channel.readline(limits.MAX_COMMAND_LINE, limits.SMTP_IDLE)
            if line is None:
                return
            if line is CLIENT_HELLO:
                self._refused(replies.TLS_UNASKED, "TLS")
                break  # what was said before it is still to be answered
            if line is TOO_LONG:
                self._said = b"a line of more than %d octets" % limits.MAX_COMMAND_LINE
                reply, action = talk.refuse_line(replies.LINE_TOO_LONG, channel.reader.head)
            elif self._rules.reject_bare and channel.reader.bare:
                self._said = b"a line that ends in LF alone"
                reply, action = talk.refuse_line(replies.BARE_LINE_END, line)
            else:
                self._remember(line)
                reply, action = talk.command(line)
            line = None  # it may have a password in it
            if channel.reader.bare:
                self._notes.quirks |= _BARE_LF
            if action in (dialogue.DATA, dialogue.CHUNK):
                letters = self._notes.letters
                reply = await (self._data() if action == dialogue.DATA else self._chunk())
                if self._notes.letters > letters:
                    idle_since = time.ticks_ms()
                    channel.seat.known = True
            elif action == dialogue.AUTH:
                reply = await self._authenticate()
            elif action == dialogue.STARTTLS:
                reply = await self._start_tls()
                if reply is None:
                    return
                if not reply:
                    continue
            elif reply[0] >= replies.TRANSIENT:
                self._refused(talk.refusal)
            if self._transaction and not talk.chunking:
                self._abandon()  # RSET, EHLO or HELO
            if reply[0] == replies.PERMANENT and talk.errors > limits.FREE_ERRORS:
                await self._pause((talk.errors - limits.FREE_ERRORS) * limits.ERROR_DELAY)
            if channel.queued and not talk.extended:
                self._notes.quirks |= _PIPELINES
            await channel.reply(reply)
            if action != dialogue.NOTHING or talk.in_transaction:
                channel.work()
            if action == dialogue.QUIT:
                self._notes.ending = "quit" if reply[0] == replies.SUCCESS else "was sent away"
                break
            last = None
            if talk.errors > limits.MAX_ERRORS or talk.failures >= limits.MAX_LOGIN_FAILURES:
                last = replies.TOO_MANY_ERRORS
            elif time.ticks_diff(time.ticks_ms(), idle_since) > self._patience():
                last = replies.NOTHING_SENT
            if last:
                self._notes.ending = "was sent away"
                await channel.reply(talk.reply(last))
                break
        await channel.flush()

    def _patience(self):
        """How long the session may go on without a letter: longer for one that comes in chunks."""
        octets = self._transaction.intake.octets if self._transaction else 0
        return limits.SMTP_UNPRODUCTIVE + (octets >> limits.TEXT_RATE_BITS) * 1000

    async def _pause(self, milliseconds):
        self._channel.expect(milliseconds + limits.WRITE_IDLE)
        await asyncio.sleep_ms(milliseconds)

    def _remember(self, line):
        """The command for the log; of AUTH, however spelled, no more than a mechanism that we know.
        What follows AUTH and is no command may be a secret of a client that did not notice that it
        was refused.
        """
        if not self._logs_in and line.lstrip()[:4].upper() != b"AUTH":
            self._said = line[:_SHOWN]
            return
        words = line[:_SHOWN].split(None, 2)
        if words and words[0][:4].upper() == b"AUTH":
            self._logs_in = True
            known = len(words) > 1 and words[1].upper() in MECHANISMS
            self._said = b"AUTH " + words[1] if known else b"AUTH"
        elif dialogue.is_verb(words):
            self._said = line[:_SHOWN]
        elif not self._dialogue.authenticating:
            self._said = b"what followed AUTH"

    def _refused(self, reply, command=None, detail=""):
        self._notes.refused(self._said if command is None else command, reply, detail)

    # --- the beginning ----------------------------------------------------------------------

    async def _greet(self):
        """220, or the refusal of who did not wait for it (False)."""
        channel = self._channel
        talk = self._dialogue
        if not talk.tls and await self._talks_early():
            if self._rules.wait:
                self._refused(replies.TALKED_EARLY, "talking before the greeting")
                self._notes.ending = "was sent away"
                await channel.write(talk.reply(replies.TALKED_EARLY))
                return False
            self._notes.quirks |= _EARLY
            self._notes.remark("talks before the greeting, which was let pass")
        await channel.write(talk.greeting())
        return True

    async def _talks_early(self):
        channel = self._channel
        early = channel.read_ahead()
        rest = limits.GREET_WAIT if self._rules.wait else 0
        while rest > 0 and not early:
            rest -= _LOOK
            await asyncio.sleep_ms(_LOOK)
            early = channel.read_ahead()
        return early

    # --- TLS --------------------------------------------------------------------------------

    async def _start_tls(self):
        """STARTTLS (RFC 3207): the reply where there is no room, b"" when the client goes on in
        TLS, None when its handshake failed.
        """
        talk = self._dialogue
        try:
            return b"" if await self._secure(talk.reply(replies.START_TLS)) else None
        except Busy:
            self._refused(replies.TLS_BUSY)
            return talk.reply(replies.TLS_BUSY)

    async def _begin_in_tls(self):
        """TLS from the first octet (RFC 8314 3.3); False when there will be none."""
        try:
            return await self._secure(b"")
        except Busy:
            self._refused(replies.TLS_BUSY, "TLS")
            await self._channel.write(REFUSAL)
            return False

    async def _secure(self, go_ahead):
        """Go over to TLS; False when the handshake failed. Raises Busy."""
        try:
            await self._channel.start_tls(self._service.identity, go_ahead)
        except Busy:
            raise
        except TlsError as error:
            plain = isinstance(error, NotTls)
            self._refused(replies.TLS_WANTED if plain else replies.TLS_FAILED, "TLS", str(error))
            return False
        self._dialogue.tls_started()
        return True

    # --- AUTH -------------------------------------------------------------------------------

    async def _authenticate(self):
        """Check what AUTH gave; returns the reply. Failures of an address make it wait."""
        talk = self._dialogue
        user = talk.user
        if self._rules.auth == ANY_LOGIN:
            return talk.authenticated("")
        failures = self._service.failures
        peer = self._channel.peer
        account = self._office.account(user)
        await self._pause(failures.begin(peer, account or ""))
        self._channel.expect(limits.LOGIN_TIME)
        if not await self._office.verify(account, talk.password):
            self._refused(replies.AUTH_WRONG, detail=(
                "wrong password for '%s'" if account else "no such user '%s'")
                % event_log.text(user))
            return talk.not_authenticated(replies.AUTH_WRONG)
        failures.succeeded(peer, account)
        self._channel.seat.known = True
        event_log.log("login", peer=peer, service=self._service.name, user=account)
        return talk.authenticated(account)

    # --- mail data --------------------------------------------------------------------------

    def _begin(self, chunked):
        """Open the store for the transaction; False when it cannot be."""
        try:
            self._transaction = Transaction(self._channel, self._dialogue, self._office,
                                            self._rules.reject_bare, chunked)
            return True
        except OSError as error:
            event_log.log("card_fault", peer=self._channel.peer, error=str(error))
            return False

    async def _data(self):
        """The whole of DATA; returns the reply behind it."""
        talk = self._dialogue
        if not self._begin(False):
            self._refused(replies.LOCAL_ERROR)
            return talk.refuse_data(replies.LOCAL_ERROR)
        await self._channel.write(talk.start_data())
        await self._transaction.intake.data()
        return self._over(await self._transaction.settle())

    async def _chunk(self):
        """One BDAT chunk; returns the reply behind it. Once one was refused the transaction is
        over, or what follows it would pass for the whole message.
        """
        talk = self._dialogue
        if talk.chunk_refusal is not None:
            await drain(self._channel, talk.chunk_octets)
            self._refused(talk.chunk_refusal)
            return talk.chunk_refused()
        if self._transaction is None and not self._begin(True):
            await drain(self._channel, talk.chunk_octets)
            return self._over(replies.LOCAL_ERROR)
        intake = self._transaction.intake
        await intake.chunk(talk.chunk_octets)
        if talk.chunk_last:
            return self._over(await self._transaction.settle())
        if intake.failure is not None:
            return self._over(intake.failure)
        return talk.chunk_done()

    def _over(self, outcome):
        transaction, self._transaction = self._transaction, None
        if outcome is replies.MAIL_ACCEPTED:
            self._notes.letters += 1
            self._notes.octets += transaction.octets
            if transaction.bare_lf:
                self._notes.quirks |= _BARE_LF
            try:
                transaction.log(self._service.name)
            except MemoryError:
                pass  # the letter is safe; 250 must not fail for want of a line in the log
        else:
            self._refused(outcome, "the message")
            if transaction:
                transaction.abort()
        return self._dialogue.data_done(outcome)
