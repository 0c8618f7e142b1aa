"""The POP3 server's side of a dialogue: a line in, a reply and an action out. No I/O.

A table says which verb is allowed in which state with how many arguments; a handler checks
first and changes state after. RFC 1939, RFC 2449 (CAPA, response codes), RFC 3206 ([AUTH],
[SYS/TEMP]), RFC 2595 4 (STLS), RFC 5034 (AUTH), RFC 6856 (UTF8).

A maildrop is the snapshot of a mailbox that a session works on, messages 1 to `count`:
    count, octets             all messages, those marked as deleted included
    live_count, live_octets   without those marked
    octets_of(n) -> int       size on the wire
    put_uid(n, buffer, at)    writes the unique-id, 1 to 70 octets; returns its end
    is_deleted(n) -> bool, delete(n), reset()        marks
octets_of, put_uid and delete may read the card, and raise OSError with nothing changed.
"""

from micropython import const

from picopost import limits, sasl
from picopost.pop3 import replies

# What the session does with a command, besides sending the reply.
NOTHING = const(0)
LOGIN = const(1)  # check user and password, then logged_in() or refused(); no reply yet
LISTING = const(2)  # reply, listing_line() for 1 to maildrop.count, "."
UID_LISTING = const(3)  # reply, uid_listing_line() for 1 to maildrop.count, "."
RETRIEVE = const(4)  # reply, `lines` body lines (-1: all) of message number `message`, "."
QUIT = const(5)  # reply, close; nothing is deleted
UPDATE = const(6)  # remove the marked messages durably, then updated(), close; no reply yet
STLS = const(7)  # make room for TLS, then replies.START_TLS, handshake, tls_started(); no reply yet

_AUTHORIZATION = const(1)
_TRANSACTION = const(2)
_UPDATE = const(4)
_EITHER = const(3)

# Instead of a greatest number of arguments: the rest of the line is one argument, as it is.
_VERBATIM = const(-1)

# A client may send 4294967295 for "all lines"; nothing here needs more digits.
_MAX_DIGITS = const(10)
# The largest integer that a board counts with without allocating.
_MAX_LINES = const(0x3FFFFFFF)


def _number(text: bytes) -> int:
    """A decimal number without sign, leading zeros or more than ten digits; -1: not one."""
    if len(text) > _MAX_DIGITS or not text.isdigit() or (len(text) > 1 and text[0] == 0x30):
        return -1
    return int(text)


def _put_decimal(buffer: bytearray, at: int, value: int) -> int:
    """Write `value` in decimal at `at`; returns the end.

    Up to 999,999,999 it allocates nothing, unlike `%`: a listing has thousands of lines.
    """
    end = at + 1
    power = 10
    while power <= value:
        end += 1
        power *= 10
    at = end
    while True:
        at -= 1
        buffer[at] = 0x30 + value % 10
        value //= 10
        if not value:
            return end


def _put_line_end(buffer: bytearray, at: int) -> int:
    buffer[at] = 0x0D
    buffer[at + 1] = 0x0A
    return at + 2


class Dialogue:
    """One session's dialogue.

    For the session to read: `user`, `password` (bytes or None), `message`, `lines` (see the
    actions), `errors` (commands refused so far), `failures` (of these, logins with wrong
    credentials), `tls` (the session is in TLS), `authenticating` (the next line answers a
    challenge of AUTH: it is a secret).

    `rules` is the policy.Policy of the session. `expiry(account)` gives what EXPIRE says (RFC
    2449 6.7), or b"" where nothing can be promised; None: before login.
    """

    def __init__(self, hostname: str, rules, expiry):
        self._hostname = hostname
        self._rules = rules
        self._expiry = expiry
        self._state = _AUTHORIZATION
        self._account = None
        self._maildrop = None
        self._exchange = None
        self.tls = False
        self.user = None
        self.password = None
        self.message = 0
        self.lines = -1
        self.errors = 0
        self.failures = 0

    @property
    def authenticating(self) -> bool:
        return self._exchange is not None

    def greeting(self) -> bytes:
        """The reply to the connection. No <timestamp> in it: that would offer APOP."""
        return b"+OK %s POP3 server ready\r\n" % self._hostname.encode()

    def command(self, line: bytes) -> tuple[bytes | None, int]:
        """The (reply, action) for one command line without its line end.

        Lets the OSError of a maildrop pass, with nothing changed: the session answers
        replies.STORE_FAILED. It does the same when it cannot start what an action asks for,
        so it sends the reply of LISTING, UID_LISTING and RETRIEVE only once it has.
        """
        reply, action = self._respond(line) if self._exchange else self._execute(line)
        if reply is not None and reply.startswith(b"-"):
            self.errors += 1
        return reply, action

    def too_long(self) -> bytes:
        """The reply to a line over its limit, which the session drained."""
        self._exchange = None
        self.errors += 1
        return replies.LONG_LINE

    def tls_started(self) -> None:
        """TLS is on. What the client said before counts no more (RFC 2595 4)."""
        self.tls = True
        self.user = None

    def logged_in(self, account: str, maildrop) -> bytes:
        """After LOGIN: the credentials are right and the maildrop is open and locked."""
        self.password = None
        self._account = account
        self._maildrop = maildrop
        self._state = _TRANSACTION
        return self._contents(b"maildrop has ")

    def refused(self, reply: bytes) -> bytes:
        """After LOGIN: no. `reply` is replies.WRONG_CREDENTIALS, IN_USE or STORE_FAILED."""
        self.user = None
        self.password = None
        self.errors += 1
        if reply is replies.WRONG_CREDENTIALS:
            self.failures += 1
        return reply

    def updated(self, ok: bool) -> bytes:
        """After UPDATE; `ok` only when every marked message is gone from the card for good."""
        return self._farewell() if ok else replies.NOT_REMOVED

    def listing_line(self, number: int, buffer: bytearray, at: int) -> int:
        """Write message `number`'s line of a LIST (RFC 1939 5) at `at`; returns the end.

        Needs limits.MAX_POP3_LISTING_LINE octets of room; writes none for a deleted message.
        """
        maildrop = self._maildrop
        if maildrop.is_deleted(number):
            return at
        octets = maildrop.octets_of(number)
        at = _put_decimal(buffer, at, number)
        buffer[at] = 0x20
        return _put_line_end(buffer, _put_decimal(buffer, at + 1, octets))

    def uid_listing_line(self, number: int, buffer: bytearray, at: int) -> int:
        """The same for a UIDL (RFC 1939 7)."""
        maildrop = self._maildrop
        if maildrop.is_deleted(number):
            return at
        at = _put_decimal(buffer, at, number)
        buffer[at] = 0x20
        return _put_line_end(buffer, maildrop.put_uid(number, buffer, at + 1))

    def _execute(self, line):
        space = line.find(b" ")
        verb = line if space < 0 else line[:space]
        rest = b"" if space < 0 else line[space + 1:]
        row = self._COMMANDS.get(verb.upper())
        if row is None:
            return replies.UNKNOWN_COMMAND, NOTHING
        states, fewest, most, handler = row
        if not states & self._state:
            if self._state == _AUTHORIZATION:
                return replies.LOGIN_FIRST, NOTHING
            return replies.NOT_NOW, NOTHING
        if most == _VERBATIM:
            arguments = [rest] if rest else []
        else:
            arguments = rest.split(None, most)
            if len(arguments) > most:
                return replies.TOO_MANY_ARGUMENTS, NOTHING
        if len(arguments) < fewest:
            return replies.ARGUMENT_MISSING, NOTHING
        return handler(self, arguments)

    def _find(self, argument):
        """Set `message` to the number of a message to work on; returns None or the refusal."""
        number = _number(argument)
        if number < 0:
            return replies.NOT_A_NUMBER
        if not 1 <= number <= self._maildrop.count:
            return replies.NO_SUCH_MESSAGE
        if self._maildrop.is_deleted(number):
            return replies.MESSAGE_DELETED
        self.message = number
        return None

    def _contents(self, before):
        maildrop = self._maildrop
        count = maildrop.live_count
        return b"+OK %s%d message%s (%d octets)\r\n" % (
            before, count, b"" if count == 1 else b"s", maildrop.live_octets)

    def _farewell(self):
        return b"+OK %s POP3 server signing off\r\n" % self._hostname.encode()

    @property
    def _may_log_in(self):
        return self.tls or not self._rules.private_logins

    def _user(self, arguments):
        if not self._may_log_in:
            return replies.TLS_FIRST, NOTHING
        if len(arguments[0]) > limits.MAX_USER:
            return replies.LONG_USER, NOTHING
        self.user = arguments[0]
        return replies.SEND_PASSWORD, NOTHING

    def _pass(self, arguments):
        if self.user is None:
            return replies.USER_FIRST, NOTHING
        self.password = arguments[0]
        return None, LOGIN

    def _auth(self, arguments):
        if not self._may_log_in:
            return replies.TLS_FIRST, NOTHING
        if not arguments:
            return replies.MECHANISMS, NOTHING
        mechanism = arguments[0].upper()
        if mechanism not in sasl.MECHANISMS:
            return replies.NO_SUCH_MECHANISM, NOTHING
        self._exchange = sasl.Exchange(mechanism)
        if len(arguments) == 1:
            return b"+ %s\r\n" % self._exchange.first_challenge, NOTHING
        # RFC 5034 4: "=" is an initial response of no octets.
        return self._respond(b"" if arguments[1] == b"=" else arguments[1])

    def _respond(self, line):
        """A line of an AUTH exchange (RFC 5034 4)."""
        exchange = self._exchange
        if line == b"*":
            self._exchange = None
            return replies.CANCELLED, NOTHING
        try:
            challenge = exchange.respond(line.strip())
        except sasl.Malformed:
            self._exchange = None
            return replies.BAD_RESPONSE, NOTHING
        if challenge is not None:
            return b"+ %s\r\n" % challenge, NOTHING
        self._exchange = None
        self.user, self.password = exchange.user, exchange.password
        return None, LOGIN

    def _stls(self, arguments):
        if self.tls:
            return replies.TLS_ACTIVE, NOTHING
        if not self._rules.starttls:
            return replies.NO_TLS, NOTHING
        return None, STLS

    def _utf8(self, arguments):
        # RFC 6856 2.1. Messages are handed out as they came, in this mode and without it.
        return replies.UTF8_MODE, NOTHING

    def _capa(self, arguments):
        listing = replies.CAPABILITIES
        if self._may_log_in:
            listing += replies.LOGINS
        if self._state == _AUTHORIZATION and self._rules.starttls and not self.tls:
            listing += b"STLS\r\n"
        expiry = self._expiry(self._account)
        if expiry:
            listing += b"EXPIRE %s\r\n" % expiry
        return listing + b".\r\n", NOTHING

    def _quit(self, arguments):
        if self._state == _AUTHORIZATION:
            return self._farewell(), QUIT
        self._state = _UPDATE
        return None, UPDATE

    def _stat(self, arguments):
        maildrop = self._maildrop
        return b"+OK %d %d\r\n" % (maildrop.live_count, maildrop.live_octets), NOTHING

    def _list(self, arguments):
        if not arguments:
            return self._contents(b""), LISTING
        refusal = self._find(arguments[0])
        if refusal:
            return refusal, NOTHING
        octets = self._maildrop.octets_of(self.message)
        return b"+OK %d %d\r\n" % (self.message, octets), NOTHING

    def _uidl(self, arguments):
        if not arguments:
            return replies.UNIQUE_IDS, UID_LISTING
        refusal = self._find(arguments[0])
        if refusal:
            return refusal, NOTHING
        line = bytearray(b"+OK ") + bytes(limits.MAX_POP3_LISTING_LINE)
        return bytes(line[: self.uid_listing_line(self.message, line, 4)]), NOTHING

    def _retr(self, arguments):
        refusal = self._find(arguments[0])
        if refusal:
            return refusal, NOTHING
        octets = self._maildrop.octets_of(self.message)
        self.lines = -1
        return b"+OK %d octets\r\n" % octets, RETRIEVE

    def _top(self, arguments):
        refusal = self._find(arguments[0])
        if refusal:
            return refusal, NOTHING
        lines = _number(arguments[1])
        if lines < 0:
            return replies.NOT_A_NUMBER, NOTHING
        self.lines = min(lines, _MAX_LINES)
        return replies.TOP, RETRIEVE

    def _dele(self, arguments):
        refusal = self._find(arguments[0])
        if refusal:
            return refusal, NOTHING
        self._maildrop.delete(self.message)
        return b"+OK message %d deleted\r\n" % self.message, NOTHING

    def _rset(self, arguments):
        self._maildrop.reset()
        return self._contents(b"maildrop has "), NOTHING

    def _noop(self, arguments):
        return replies.NOTHING_DONE, NOTHING

    # verb: (states, fewest arguments, most arguments, handler)
    _COMMANDS = {
        b"USER": (_AUTHORIZATION, 1, 1, _user),
        # RFC 1939 7: a password may have spaces in it.
        b"PASS": (_AUTHORIZATION, 1, _VERBATIM, _pass),
        b"AUTH": (_AUTHORIZATION, 0, 2, _auth),
        b"STLS": (_AUTHORIZATION, 0, 0, _stls),
        b"UTF8": (_AUTHORIZATION, 0, 0, _utf8),
        b"CAPA": (_EITHER, 0, 0, _capa),
        b"QUIT": (_EITHER, 0, 0, _quit),
        b"STAT": (_TRANSACTION, 0, 0, _stat),
        b"LIST": (_TRANSACTION, 0, 1, _list),
        b"UIDL": (_TRANSACTION, 0, 1, _uidl),
        b"RETR": (_TRANSACTION, 1, 1, _retr),
        b"TOP": (_TRANSACTION, 2, 2, _top),
        b"DELE": (_TRANSACTION, 1, 1, _dele),
        b"RSET": (_TRANSACTION, 0, 0, _rset),
        b"NOOP": (_TRANSACTION, 0, 0, _noop),
    }
