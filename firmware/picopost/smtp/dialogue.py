"""The SMTP receiver's side of a dialogue: a line in, a reply and an action out. No I/O.

A table says which verb is allowed in which states; its handler checks first and changes state
after. RFC 5321; SIZE (RFC 1870), 8BITMIME (6152), PIPELINING (2920), ENHANCEDSTATUSCODES (2034),
CHUNKING (3030), SMTPUTF8 (6531), DSN (3461), AUTH (4954), STARTTLS (3207), LIMITS (9422). After
HELO there are no enhanced status codes in the replies: the client asked for the plain protocol.

Nothing is relayed: a recipient that the directory does not know is refused. The directory has
    resolve(local_part: bytes, domain: bytes) -> tuple of str   the mailboxes, () for none;
                                                                domain lower case, b"" if none
    owner(local_part: bytes, domain: bytes) -> str | None       the account whose own address it
                                                                is, for reports to a local sender
    admit(mailbox: str, size: int) -> Reply | None              why the mailbox cannot take so
                                                                many octets (0: not declared)
"""

from micropython import const

from picopost import limits, policy, sasl
from picopost.smtp import parameters, paths, replies

# What the session does with a command, besides sending the reply.
NOTHING = const(0)
DATA = const(1)  # open the store, then send start_data() or refuse_data(); no reply yet
QUIT = const(2)  # reply, close
CHUNK = const(3)  # take `chunk_octets` octets; then chunk_done(), data_done() or reply()
AUTH = const(4)  # check `user` and `password`, then authenticated() or not_authenticated()
STARTTLS = const(5)  # make room for TLS, then reply(), handshake, tls_started(); no reply yet

_CONNECTED = const(1)
_READY = const(2)  # HELO or EHLO was said, no transaction
_MAIL = const(4)  # transaction, no recipient so far
_RCPT = const(8)  # transaction with recipients
_CHUNKS = const(16)  # part of the message has come by BDAT
_TRANSACTION = const(12)
_ANY = const(31)
# Beside the states in a row of the table:
_PLAIN = const(32)  # allowed before TLS where TLS is required (RFC 3207 4)
_JUNK = const(64)  # moves no mail: only so many between two letters

# The service extensions besides those with arguments, as EHLO lists them (RFC 5321 4.1.1.1).
_EXTENSIONS = b"8BITMIME\nPIPELINING\nENHANCEDSTATUSCODES\nCHUNKING\nSMTPUTF8\nDSN"

# What a HELO argument may have in a Received line: domains, address literals. Anything else,
# such as the parentheses of a comment, becomes a question mark, which is still an atom there.
_HELO_OCTETS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]"

# The end comes with these: what follows on the connection is not to be read as commands.
_FINAL = (replies.NOT_SMTP, replies.BDAT_SYNTAX)


class Dialogue:
    """One session's dialogue.

    For the session to read:
        peer           the client's address, as given
        helo           what HELO or EHLO gave, made safe for a Received line; b"" before
        extended       EHLO was the last greeting
        account        who has authenticated; "" where any login will do; None before
        errors         commands refused with 5xx since the last letter; a 4xx is not the client's
                       fault
        failures       logins refused so far
        odd            some MAIL FROM had blanks around the colon, or no angle brackets
        refusal        the last Reply of 4xx or 5xx, or None
        reverse_path   bytes, b"" for the null path; printable UTF-8, maybe a quoted string
        recipients     [(mailbox: str, forward_path: bytes)], a mailbox once
        accepted       how many recipients were accepted
        declared_size  octets by SIZE=, 0 unknown
        utf8           SMTPUTF8 was asked for
        sender         the local account that reports go to, or None
        envelope_id    ENVID= as sent (xtext), or None
        notices        [parameters.Notice] of recipients that came with NOTIFY= or ORCPT=
        in_transaction MAIL was accepted, and what follows it is under way
        chunking       part of the message has come by BDAT
    The last nine are those of the open transaction.
    """

    def __init__(self, hostname: str, directory, peer: str, max_size: int, rules: policy.Policy):
        self._domain = hostname.encode()
        self._directory = directory
        self.peer = peer
        self._max_size = max_size
        self._rules = rules
        # What any password opens has no password to protect.
        self._private_logins = rules.private_logins and rules.auth != policy.ANY_LOGIN
        self.errors = 0
        self.failures = 0
        self.odd = False
        self.refusal = None
        self._junk = 0
        self._overshoot = 0
        self._forget(False)

    def _forget(self, tls: bool) -> None:
        """What RFC 3207 4.2 asks for: nothing that the client said before counts any more."""
        self.tls = tls
        self.helo = b""
        self.extended = False
        self.account = None
        self._exchange = None
        self._clear(_CONNECTED)

    def _clear(self, state: int) -> None:
        """No transaction, its buffers cleared."""
        self._state = state
        self.accepted = 0
        self.reverse_path = b""
        self.recipients = ()
        self.declared_size = 0
        self.utf8 = False
        self.sender = None
        self.envelope_id = None
        self.notices = ()

    @property
    def chunking(self) -> bool:
        return self._state == _CHUNKS

    @property
    def in_transaction(self) -> bool:
        return self._state & (_TRANSACTION | _CHUNKS) != 0

    @property
    def protocol(self) -> bytes:
        """The `with` clause of the Received line: RFC 3848, RFC 6531 3.7.3."""
        extended = self.extended or self.tls or self.account
        name = b"UTF8SMTP" if self.utf8 else b"ESMTP" if extended else b"SMTP"
        return name + (b"S" if self.tls else b"") + (b"A" if self.account else b"")

    def greeting(self) -> bytes:
        """The reply to the connection (RFC 5321 3.1)."""
        return self.reply(replies.READY)

    def command(self, line: bytes) -> tuple[bytes | None, int]:
        """The (reply, action) for one line of the client without its line end."""
        if self._exchange:
            return self._respond(line)
        words = line.split(None, 1)
        row = _VERBS.get(words[0].upper()) if words else None
        if row is None:
            reply = replies.NOT_SMTP if words and words[0] in _HTTP else replies.NOT_RECOGNIZED
            return self.reply(reply), QUIT if reply in _FINAL else NOTHING
        states, handler, action = row
        reply = self._out_of_place(states)
        if reply is None:
            reply = handler(self, words[1].strip() if len(words) > 1 else b"")
        if reply is None:
            return None, action
        if states & _JUNK:
            self._junk += 1
            if self._junk > limits.MAX_JUNK:
                self.errors += 1
        if reply in _FINAL:
            return self.reply(reply), QUIT
        leaves = action == QUIT and reply[0] == replies.SUCCESS
        return self.reply(reply), QUIT if leaves else NOTHING

    def _out_of_place(self, states: int) -> bytes | None:
        if not states & _PLAIN and self._rules.require_tls and not self.tls:
            return replies.TLS_REQUIRED
        if not self._state & states:
            early = self._state == _CONNECTED
            return replies.HELLO_FIRST if early else replies.BAD_SEQUENCE
        return None

    def refuse_line(self, reply: bytes, head: bytes) -> tuple[bytes, int]:
        """The (reply, action) for a line that is none, which begins with `head`.

        It ends an AUTH exchange (RFC 4954 4). The end of the session it is where the line may have
        been a BDAT: the octets behind it would be read as commands.
        """
        if self._exchange and reply is replies.LINE_TOO_LONG:
            reply = replies.AUTH_LINE_TOO_LONG
        self._exchange = None
        words = head.split(None, 1)
        chunk = words[0].upper() == b"BDAT" if words else reply is not replies.BARE_LINE_END
        return self.reply(reply), QUIT if chunk else NOTHING

    # --- mail data --------------------------------------------------------------------------

    def start_data(self) -> bytes:
        """After the action DATA: the message may come (RFC 5321 4.1.1.4)."""
        return self.reply(replies.START_DATA)

    def refuse_data(self, reply: bytes) -> bytes:
        """After the action DATA: the store cannot be opened.

        The transaction stays open, as after any refused command (RFC 5321 4.1.4).
        """
        return self.reply(reply)

    def chunk_done(self) -> bytes:
        """After the action CHUNK: all of it was taken, and more will come (RFC 3030 2)."""
        self._state = _CHUNKS
        return self.reply(b"250 2.0.0 %d octets taken" % self.chunk_octets)

    def chunk_refused(self) -> bytes:
        """After the action CHUNK with a `chunk_refusal`: its octets are drained. No transaction
        outlives it: what is left of the message would pass for all of it.
        """
        if self.in_transaction:
            self._clear(_READY)
        return self.reply(self.chunk_refusal)

    def data_done(self, reply: bytes) -> bytes:
        """After the end of the message, whatever became of it: the transaction is over."""
        self._clear(_READY)
        if reply[0] == replies.SUCCESS:  # as in Postfix
            self._junk = self.errors = 0
        return self.reply(reply)

    def reply(self, reply: bytes) -> bytes:
        """The octets of a Reply, as this client is to get it; counted if it is an error."""
        if reply[0] >= replies.TRANSIENT:
            self.refusal = reply
            if reply[0] >= replies.PERMANENT:
                self.errors += 1
        return replies.format(reply, self._domain, self.extended)

    # --- TLS and authentication -------------------------------------------------------------

    def tls_started(self) -> None:
        """The handshake is done; the client begins anew (RFC 3207 4.2)."""
        self._forget(True)

    def authenticated(self, account: str) -> bytes:
        """After the action AUTH: the credentials are those of `account`, or any will do."""
        self.account = account
        return self._auth_done(replies.AUTH_OK)

    def not_authenticated(self, reply: bytes) -> bytes:
        """After the action AUTH: refused with `reply`."""
        self.failures += 1
        return self._auth_done(reply)

    def _auth_done(self, reply):
        self._exchange = None
        return self.reply(reply)

    @property
    def authenticating(self) -> bool:
        """The next line answers a challenge: it is a secret."""
        return self._exchange is not None

    @property
    def user(self) -> bytes:
        return self._exchange.user

    @property
    def password(self) -> bytes:
        return self._exchange.password

    def _respond(self, line: bytes) -> tuple[bytes | None, int]:
        """A line of an AUTH exchange (RFC 4954 4)."""
        if line == b"*":
            return self._auth_done(replies.AUTH_CANCELLED), NOTHING
        try:
            challenge = self._exchange.respond(line.strip())
        except sasl.Malformed:
            return self._auth_done(replies.AUTH_BAD_BASE64), NOTHING
        if challenge is None:
            return None, AUTH
        return self.reply(b"334 - " + challenge), NOTHING

    # --- the handlers: argument in, Reply out; None where only the session knows the reply ------

    def _hello(self, argument: bytes, extended: bool) -> None:
        # RFC 5321 4.1.4 forbids to refuse a client for the name that it gives. Many give none
        # that the grammar knows: spaces, underscores, a bare address, or nothing at all.
        name = argument[:limits.MAX_DOMAIN] or b"unknown"
        if name.strip(_HELO_OCTETS):
            name = bytes([octet if octet in _HELO_OCTETS else 0x3F for octet in name])
        self.helo = name
        self.extended = extended
        self._clear(_READY)

    def _helo(self, argument):
        self._hello(argument, False)
        return b"250 - " + self._domain

    def _ehlo(self, argument):
        self._hello(argument, True)
        rules = self._rules
        text = b"250 - %s\nSIZE %d\n%s\nLIMITS RCPTMAX=%d" % (
            self._domain, self._max_size, _EXTENSIONS, limits.MAX_RECIPIENTS)
        if rules.auth and (self.tls or not (rules.require_tls or self._private_logins)):
            mechanisms = b" ".join(sasl.MECHANISMS)
            # The second is what clients looked for before RFC 2554, and some devices still do.
            text += b"\nAUTH %s\nAUTH=%s" % (mechanisms, mechanisms)
        if rules.starttls and not self.tls:
            text += b"\nSTARTTLS"  # RFC 3207 4.2: not again
        return text

    def _mail(self, argument):
        rules = self._rules
        if rules.require_auth and self.account is None:
            return replies.AUTH_REQUIRED
        try:
            path, local_part, domain, given = paths.parse(argument, paths.REVERSE)
            asked = parameters.mail(given, self._max_size, rules.auth)
        except paths.PathError as error:
            return error.args[0]
        size, utf8, envelope_id = asked
        if not utf8 and not paths.is_ascii(path):
            return replies.REVERSE_PATH_NOT_ASCII
        self.odd = self.odd or argument[4:6] != b":<"
        self.reverse_path = path
        self.declared_size = size
        self.utf8 = utf8
        self.envelope_id = envelope_id
        self.sender = self._directory.owner(local_part, domain) if path else None
        self.recipients = []
        self.notices = []
        self._state = _MAIL
        return replies.MAIL_OK

    def _rcpt(self, argument):
        try:
            path, local_part, domain, given = paths.parse(argument, paths.FORWARD)
            notify, original = parameters.rcpt(given, self.utf8)
        except paths.PathError as error:
            return error.args[0]
        if not self.utf8 and not paths.is_ascii(path):
            return replies.FORWARD_PATH_NOT_ASCII
        mailboxes = self._directory.resolve(local_part, domain)
        if not mailboxes:
            return replies.UNKNOWN_MAILBOX
        if self.accepted == limits.MAX_RECIPIENTS:
            return self._too_many()
        new = [name for name in mailboxes if name not in [known for known, _ in self.recipients]]
        if len(self.recipients) + len(new) > limits.MAX_MAILBOXES_PER_MESSAGE:
            return self._too_many()
        for name in new:
            refusal = self._directory.admit(name, self.declared_size)
            if refusal is not None:
                return refusal
        if self.sender and (notify is not None or original):
            notice = parameters.Notice(path, original, notify, mailboxes)
            if notice.octets + sum([each.octets for each in self.notices]) > limits.MAX_NOTICES:
                return self._too_many()
            self.notices.append(notice)
        for name in new:
            self.recipients.append((name, path))
        self.accepted += 1
        self._state = _RCPT
        return replies.RCPT_OK

    def _too_many(self):
        # RFC 5321 4.5.3.1.10: 452, and the sender goes on with those that were taken. One that
        # never stops is no sender (Postfix: smtpd_recipient_overshoot_limit).
        self._overshoot += 1
        if self._overshoot > limits.RECIPIENT_OVERSHOOT:
            self.errors += 1
        return replies.TOO_MANY_RECIPIENTS

    def _data(self, argument):
        if argument:
            return replies.NO_ARGUMENT_ALLOWED
        if self._state == _MAIL:
            return replies.NO_RECIPIENTS  # RFC 5321 3.3
        return None

    def _bdat(self, argument):
        """Sets chunk_octets, chunk_last and chunk_refusal (a Reply or None).

        A refused chunk comes all the same, for the client does not wait (RFC 3030 2). Only where
        its size is not known, nothing behind the line can be told from commands.
        """
        words = argument.split()
        digits = words[0] if words else b""
        if (not digits.isdigit() or len(digits) > limits.MAX_CHUNK_DIGITS or len(words) > 2
                or len(words) == 2 and words[1].upper() != b"LAST"):
            return replies.BDAT_SYNTAX
        self.chunk_octets = int(digits)
        self.chunk_last = len(words) == 2
        self.chunk_refusal = self._out_of_place(_RCPT | _CHUNKS | _MAIL)
        if self.chunk_refusal is None and self._state == _MAIL:
            self.chunk_refusal = replies.NO_RECIPIENTS
        return None

    def _rset(self, argument):
        if argument:
            return replies.NO_ARGUMENT_ALLOWED
        self._clear(self._state if self._state == _CONNECTED else _READY)
        return replies.RESET_OK

    def _noop(self, _argument):
        return replies.NOOP_OK

    def _vrfy(self, argument):
        return replies.CANNOT_VERIFY if argument else replies.VRFY_SYNTAX

    def _expn(self, _argument):
        return replies.NOT_IMPLEMENTED

    def _help(self, _argument):
        return b"214 2.0.0 Commands: " + b" ".join(sorted(_VERBS))

    def _auth(self, argument):
        if not self._rules.auth:
            return replies.AUTH_NOT_OFFERED
        if self.account is not None:
            return replies.AUTH_ALREADY
        if self._private_logins and not self.tls:
            return replies.AUTH_IN_CLEAR
        words = argument.split()
        if not 1 <= len(words) <= 2:
            return replies.AUTH_SYNTAX
        mechanism = words[0].upper()
        if mechanism not in sasl.MECHANISMS:
            return replies.AUTH_MECHANISM
        self._exchange = sasl.Exchange(mechanism)
        if len(words) == 1:
            return b"334 - " + self._exchange.first_challenge
        try:
            # RFC 4954 4: "=" is an initial response of no octets.
            challenge = self._exchange.respond(b"" if words[1] == b"=" else words[1])
        except sasl.Malformed:
            self._exchange = None
            return replies.AUTH_BAD_BASE64
        return None if challenge is None else b"334 - " + challenge

    def _starttls(self, argument):
        if argument:
            return replies.NO_ARGUMENT_ALLOWED
        if self.tls:
            return replies.TLS_ALREADY
        if not self._rules.starttls:
            return replies.NO_TLS_HERE
        return None

    def _quit(self, _argument):
        # RFC 5321 4.1.1 would refuse an argument; keeping a client that leaves serves nobody.
        return replies.CLOSING


# Verb: (states where it is allowed, handler, action once it is accepted). RFC 5321 4.1.4; 3030 3
# for what may follow BDAT; 4954 4: no AUTH in a transaction, though after HELO, as cameras do.
_VERBS = {
    b"HELO": (_ANY | _JUNK, Dialogue._helo, NOTHING),
    b"EHLO": (_ANY | _PLAIN | _JUNK, Dialogue._ehlo, NOTHING),
    b"STARTTLS": (_CONNECTED | _READY | _PLAIN, Dialogue._starttls, STARTTLS),
    b"AUTH": (_READY, Dialogue._auth, AUTH),
    b"MAIL": (_READY, Dialogue._mail, NOTHING),
    b"RCPT": (_TRANSACTION, Dialogue._rcpt, NOTHING),
    b"DATA": (_TRANSACTION, Dialogue._data, DATA),
    b"BDAT": (_ANY | _PLAIN, Dialogue._bdat, CHUNK),
    b"RSET": (_ANY | _JUNK, Dialogue._rset, NOTHING),
    b"NOOP": (_ANY | _PLAIN | _JUNK, Dialogue._noop, NOTHING),
    b"VRFY": (_ANY | _JUNK, Dialogue._vrfy, NOTHING),
    b"EXPN": (_ANY | _JUNK, Dialogue._expn, NOTHING),
    b"HELP": (_ANY | _JUNK, Dialogue._help, NOTHING),
    b"QUIT": (_ANY | _PLAIN, Dialogue._quit, QUIT),
}


def is_verb(words: list) -> bool:
    """Whether a line, split, begins with a command that there is."""
    return bool(words) and words[0].upper() in _VERBS


# What a browser, or a page in one that was made to, sends first.
_HTTP = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"PRI")
