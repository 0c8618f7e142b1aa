"""One POP3 session: lines to the dialogue, listings and messages from the card to the client."""

import asyncio
import errno

from micropython import const

from picopost import event_log, limits, load
from picopost.net.channel import CLIENT_HELLO, TOO_LONG
from picopost.net.identity import REFUSAL, Busy, NotTls, TlsError
from picopost.net.server import GONE
from picopost.pop3 import dialogue, replies
from picopost.store import mboxrd_state as mboxrd
from picopost.store.maildrop import Maildrop

try:
    from picopost.store.mboxrd_viper import finish_send, new_sending, send
except ImportError:  # no native code for this processor
    from picopost.store.mboxrd import finish_send, new_sending, send

# Where `send` ends a piece, so that what finish_send adds has room behind it.
_LIMIT = const(4094)
_BULK_LIMIT = limits.BULK_BUFFER - 10
_STRIDE = limits.BULK_BUFFER - 512
# Pieces of the session's own block, 14 KB, which fill all that lwIP keeps of a connection (6,400
# octets) unless the client reads on.
_EAGER = const(4)
_FRESH = memoryview(new_sending())
# In a buffer, between text for the wire and text from the card: 8 octets stop `send`.
_GAP = const(16)
_SECTOR = const(512)
# From here on the session's block has no room for four sectors more behind what is in it.
_ENOUGH = const(2041)
_MINUS = const(0x2D)


class Session:
    """`service` is the Pop3Service of the port, `rules` the client's Policy there."""

    def __init__(self, channel, service, rules):
        office = service.office
        self._channel = channel
        self._service = service
        self._office = office
        self._rules = rules
        self._dialogue = dialogue.Dialogue(office.hostname, rules, office.expiry)
        self._mailbox = None
        self._maildrop = None
        self._partial = False  # part of a multi-line answer is out
        self._told_of_tls = False
        self._deleted = False
        self._view = memoryview(channel.seat.block)
        self._state = new_sending()
        self._state_view = memoryview(self._state)
        self._saved_view = memoryview(new_sending())

    def farewell(self, timed_out):
        """What a client is told whose time is up, or whose session broke."""
        # RFC 1939 3: who is logged out for silence is told nothing; it might be taken for the
        # reply to a command that is under way, or for mail.
        if timed_out or self._partial or self._channel.handshaking:
            return b""
        return replies.BROKEN

    def release(self):
        """Free the mailbox; a session that did not come to QUIT has deleted nothing."""
        self._close_file()
        mailbox, self._mailbox = self._mailbox, None
        if mailbox:
            mailbox.in_use = False
            if self._deleted:
                self._office.sweep(mailbox)  # which packs only what nobody has

    def _close_file(self):
        if self._maildrop:
            self._maildrop.close()

    async def run(self):
        """From the greeting to the end of the session."""
        channel = self._channel
        talk = self._dialogue
        if self._rules.tls and not await self._begin_in_tls():
            return
        await channel.write(talk.greeting())
        while True:
            line = await channel.readline(
                limits.MAX_COMMAND_LINE if talk.authenticating else limits.MAX_POP3_LINE,
                limits.POP3_IDLE if self._maildrop else limits.POP3_LOGIN_IDLE)
            if line is None:
                return
            if line is CLIENT_HELLO:
                self._refused("it speaks TLS where there is none", "let the program use STARTTLS, "
                              "or the port for SSL/TLS (995)")
                break  # what was said before it is still to be answered
            try:
                if line is TOO_LONG:
                    reply, action = talk.too_long(), dialogue.NOTHING
                else:
                    reply, action = talk.command(line)
                if action == dialogue.RETRIEVE:
                    await self._retrieve(reply)
                    reply = None
                elif action == dialogue.LISTING:
                    await self._list(reply, talk.listing_line)
                    reply = None
                elif action == dialogue.UID_LISTING:
                    await self._list(reply, talk.uid_listing_line)
                    reply = None
                elif action == dialogue.LOGIN:
                    reply = await self._login()
                elif action == dialogue.UPDATE:
                    reply = await self._update()
                elif action == dialogue.STLS:
                    try:
                        if not await self._secure(replies.START_TLS):
                            return
                    except Busy:
                        reply = replies.TLS_BUSY
            except OSError as error:
                # The card's errors have numbers that the network knows too.
                if error.errno in GONE and not self._office.volume.failure:
                    raise
                self._close_file()
                event_log.log("card_fault", peer=channel.peer, error=str(error))
                if self._partial:
                    return  # closing the connection is the only way left to say "broken"
                talk.errors += 1
                reply = replies.STORE_FAILED
            if reply is replies.TLS_FIRST and not self._told_of_tls:
                self._told_of_tls = True
                self._refused("it logs in without TLS, which the setting require_tls forbids",
                              "let the program use STARTTLS, or SSL/TLS at port 995")
            if reply:
                if reply[0] == _MINUS and talk.errors > limits.FREE_ERRORS:
                    await self._rest((talk.errors - limits.FREE_ERRORS) * limits.ERROR_DELAY)
                await channel.reply(reply)
            if action in (dialogue.QUIT, dialogue.UPDATE):
                break
            if talk.errors > limits.MAX_ERRORS or talk.failures >= limits.MAX_LOGIN_FAILURES:
                self._refused("was sent away: %d commands refused, %d of them logins"
                              % (talk.errors, talk.failures))
                break
            if self._maildrop and reply is not replies.NOTHING_DONE:
                channel.work()
            elif channel.idle() > limits.POP3_UNPRODUCTIVE:
                self._refused("was sent away: it only keeps the connection open")
                break
        await channel.flush()

    async def _rest(self, milliseconds):
        self._channel.expect(milliseconds + limits.WRITE_IDLE)
        await asyncio.sleep_ms(milliseconds)

    # --- TLS --------------------------------------------------------------------------------

    async def _begin_in_tls(self):
        """TLS from the first octet (RFC 8314 3.3); False when there will be none."""
        try:
            return await self._secure(b"")
        except Busy:
            await self._channel.write(REFUSAL)
            return False

    async def _secure(self, go_ahead):
        """Go over to TLS; False when the handshake failed. Raises Busy. Either is logged."""
        try:
            await self._channel.start_tls(self._service.identity, go_ahead)
        except Busy as error:
            self._refused(str(error), "spread the programs that use TLS over time, or let some go "
                          "without")
            raise
        except TlsError as error:
            if isinstance(error, NotTls):
                advice = "let the program use SSL/TLS at this port, or port 110"
            else:
                advice = "let the program accept the appliance's certificate"
            self._refused(str(error), advice)
            return False
        self._dialogue.tls_started()
        return True

    def _refused(self, why, advice="", **fields):
        if advice:
            fields["advice"] = advice
        self._log("refused", why=why, **fields)

    def _log(self, event, **fields):
        if self._rules.device:
            fields["device"] = self._rules.device
        event_log.log(event, peer=self._channel.peer, service=self._service.name, **fields)

    # --- login ------------------------------------------------------------------------------

    async def _login(self):
        talk = self._dialogue
        peer = self._channel.peer
        failures = self._service.failures
        name = self._office.account(talk.user)
        delay = failures.begin(peer, name or "")
        self._channel.expect(limits.LOGIN_TIME + delay)
        await asyncio.sleep_ms(delay)
        if not await self._office.verify(name, talk.password):
            self._refused("wrong password" if name else "no such user",
                          "give the program an account's name and password", user=talk.user)
            return talk.refused(replies.WRONG_CREDENTIALS)
        failures.succeeded(peer, name)
        try:
            mailbox = self._office.mailbox(name)
            if not await self._take(mailbox):
                self._refused("another session has this mailbox, or old mail is being thrown away",
                              user=name)
                return talk.refused(replies.IN_USE)
            self._mailbox = mailbox
            maildrop = Maildrop(mailbox)
            await maildrop.open(self._pause)
            self._maildrop = maildrop
        except OSError as error:
            self.release()
            event_log.log("card_fault", peer=peer, error=str(error))
            return talk.refused(replies.STORE_FAILED)
        self._log("login", user=name, messages=maildrop.count, tls="yes" if talk.tls else "no")
        self._channel.seat.known = True
        return talk.logged_in(name, self._maildrop)

    async def _take(self, mailbox):
        """Lock it for this session; False when another one has it and keeps it."""
        for _ in range(limits.MAILBOX_TRIES):
            if mailbox.take():
                return True
            self._channel.expect(limits.CARD_TIME)
            await asyncio.sleep_ms(limits.MAILBOX_RETRY)
        return mailbox.take()

    # --- mail -------------------------------------------------------------------------------

    async def _list(self, reply, line_into):
        """Stream a listing through the block, line by line."""
        channel = self._channel
        buffer = channel.seat.block
        at = len(reply)
        buffer[:at] = reply
        channel.write_within(self._maildrop.count * limits.MAX_POP3_LISTING_LINE)
        for number in range(1, self._maildrop.count + 1):
            if not number & 31:  # 32 lines are about 20 ms on an RP2040
                await asyncio.sleep_ms(0)
            at = line_into(number, buffer, at)
            if at > limits.WIZNET_PIECE - limits.MAX_POP3_LISTING_LINE:
                self._partial = True
                await channel.write(self._view[:at])
                at = 0
        buffer[at : at + 3] = b".\r\n"
        await channel.write(self._view[: at + 3])
        self._partial = False

    async def _retrieve(self, reply):
        """Stream a message, or the top of one. Raises OSError when it cannot be read whole.

        A piece is whole sectors in the end of a buffer, which become text for the wire in the front
        of it. While the client takes at once what it is given that is the buffer which all sessions
        share. What it leaves is made again, in the session's own block, where it can wait.
        """
        channel = self._channel
        block = channel.seat.block
        piece = channel.piece()
        at_once = piece > limits.CARD_BLOCK
        number = self._dialogue.message
        file, rest = self._maildrop.open_message(number)
        shared = channel.bulk() if at_once else None
        at = file.tell()
        subject = ""
        if self._office.log_subjects:
            try:
                subject = load("picopost.mime.subject").read(file, rest, block)
            except MemoryError:
                pass  # the letter is worth more than its line in the log
            file.seek(at)
        channel.write_within(rest)
        state = self._state
        now = self._state_view
        now[:] = _FRESH
        state[mboxrd.LINES] = self._dialogue.lines
        saved = self._saved_view  # the state before this piece
        ready = self._office.volume.ready
        unread = 0  # octets from the card that wait in `buffer`
        out = 0  # octets of what is made now that the client has already
        eager = _EAGER if at_once else 0  # pieces that it took at once
        turn = False
        unfinished = True
        while unfinished:
            if not unread:
                if not ready():
                    await self._office.ready()
                # Not while something is left in the block, or to be left out of what is made.
                bulk = at_once and eager >= _EAGER and not state[mboxrd.TARGET] and not out
                buffer = shared if bulk else None
                fast = buffer is not None
                if fast:
                    view = memoryview(buffer)[: limits.BULK_BUFFER]
                    limit = _BULK_LIMIT
                    saved[:] = now
                    from_here = at
                else:
                    buffer = block
                    view = self._view
                    limit = min(piece, _LIMIT)
                if reply and not state[mboxrd.TARGET]:
                    buffer[: len(reply)] = reply
                    state[mboxrd.TARGET] = len(reply)
                # Up to a sector's edge, then whole sectors: nothing is read twice. Of what is
                # long, up to the edge of a stride: no piece goes over the edge of a cluster.
                room = len(view) - _GAP - state[mboxrd.TARGET] & -_SECTOR
                begin = len(view) - room
                room = (at + room & -(_STRIDE if fast and rest > room else _SECTOR)) - at
                end = begin
                if rest:
                    end += file.readinto(view[begin : begin + min(room, rest)])
                    if end == begin:
                        raise OSError(errno.EIO)
                at += end - begin
                rest -= end - begin
                state[mboxrd.SOURCE] = begin
            send(state, buffer, end, buffer, limit)
            unread = end - state[mboxrd.SOURCE]
            if state[mboxrd.ENDED] or not (rest or unread):
                finish_send(state, buffer)
                unread = 0
                unfinished = False
            target = state[mboxrd.TARGET]
            if fast:
                taken = channel.write_now(view[:target])
                if taken:
                    self._partial = True
                if taken < target:
                    out += taken
                    now[:] = saved
                    rest += at - from_here
                    at = from_here
                    file.seek(at)
                    eager = unread = 0
                    unfinished = True
                    continue
                if unread:
                    out += taken
                    state[mboxrd.TARGET] = 0
                    continue
                out = 0
            else:
                if unfinished and not unread and target < _ENOUGH:
                    continue  # more goes behind it
                begin = min(out, target)
                out -= begin
                if at_once:
                    begin += channel.write_now(view[begin:target])
                self._partial = True
                eager += 1
                if begin < target:
                    eager = 0
                    await channel.write(view[begin:target])
            reply = b""
            state[mboxrd.TARGET] = 0
            turn = not turn
            if turn and at_once:  # two pieces are 16 KB, some 25 ms on an RP2040
                channel.expect_taken()
                await asyncio.sleep_ms(0)
        self._partial = False
        if self._office.notices:
            self._office.notices.seen(self._mailbox.name)
        octets, lines = state[mboxrd.OCTETS], self._dialogue.lines
        if self._office.log_subjects:
            self._log("fetched", mailbox=self._mailbox.name, message=number, octets=octets,
                      lines=lines, subject=subject)
        else:
            self._log("fetched", mailbox=self._mailbox.name, message=number, octets=octets,
                      lines=lines)

    async def _update(self):
        """QUIT: the deletions are on the card before the client hears +OK."""
        ok = True
        try:
            deleted = await self._maildrop.commit(self._pause)
            if deleted:
                self._deleted = True
                self._log("deleted", mailbox=self._mailbox.name, messages=deleted)
        except OSError as error:
            ok = False
            event_log.log("card_fault", peer=self._channel.peer, error=str(error))
        return self._dialogue.updated(ok)

    async def _pause(self):
        self._channel.expect(limits.CARD_TIME)
        await self._office.ready()
        await asyncio.sleep_ms(0)
