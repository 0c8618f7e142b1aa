"""One POP3 session: lines to the dialogue, listings and messages from the card to the client."""

import asyncio
import errno

from micropython import const

from picopost import event_log, limits
from picopost.net.identity import REFUSAL, Busy, NotTls, TlsError
from picopost.net.line_reader import CLIENT_HELLO, TOO_LONG
from picopost.net.server import GONE
from picopost.pop3 import dialogue, replies
from picopost.store import mboxrd_state as mboxrd
from picopost.store.maildrop import Maildrop

try:
    from picopost.store.mboxrd_viper import finish_send, new_sending, send
except ImportError:  # no native code for this processor
    from picopost.store.mboxrd import finish_send, new_sending, send

# The session's block is halved: text from the card, and behind it what goes to the wire.
_HALF = limits.CARD_BLOCK // 2
_LIMIT = limits.CARD_BLOCK + 8
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
        self._file = None
        self._partial = False  # part of a multi-line answer is out
        self._told_of_tls = False
        self._deleted = False
        self._view = memoryview(channel.seat.block)

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
            if at > _HALF - limits.MAX_POP3_LISTING_LINE:
                self._partial = True
                await channel.write(self._view[:at])
                at = 0
        buffer[at : at + 3] = b".\r\n"
        await channel.write(self._view[: at + 3])
        self._partial = False

    async def _retrieve(self, reply):
        """Stream a message, or the top of one. Raises OSError when it cannot be read whole."""
        channel = self._channel
        block = channel.seat.block
        view = self._view
        number = self._dialogue.message
        self._file, rest = self._maildrop.open_message(number)
        channel.write_within(rest)
        state = new_sending(self._dialogue.lines)
        target = _HALF + len(reply)
        block[_HALF:target] = reply
        state[mboxrd.TARGET] = target
        # First up to a sector's edge, from there on whole sectors: nothing is read twice.
        wanted = _HALF - self._file.tell() % 512
        while rest and not state[mboxrd.ENDED]:
            await self._office.ready()
            count = self._file.readinto(view[: min(wanted, rest)])
            if not count:
                raise OSError(errno.EIO)
            rest -= count
            wanted = _HALF
            state[mboxrd.SOURCE] = 0
            while state[mboxrd.SOURCE] < count and not state[mboxrd.ENDED]:
                send(state, block, count, block, _LIMIT)
                if state[mboxrd.SOURCE] < count and not state[mboxrd.ENDED]:
                    await self._drain(state)
        if state[mboxrd.TARGET] > _LIMIT - 16:
            await self._drain(state)
        state[mboxrd.TARGET] = finish_send(state, block)
        await self._drain(state)
        self._partial = False
        self._close_file()
        self._log("fetched", mailbox=self._mailbox.name, message=number,
                  octets=state[mboxrd.OCTETS], lines=self._dialogue.lines)

    async def _drain(self, state):
        self._partial = True
        await self._channel.write(self._view[_HALF : state[mboxrd.TARGET]])
        state[mboxrd.TARGET] = _HALF

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

    def _close_file(self):
        file, self._file = self._file, None
        if file:
            try:
                file.close()
            except OSError:
                pass  # it was only read
