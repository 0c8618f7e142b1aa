"""The SMTP receiver's side of a dialogue: a line in, a reply and an action out. No I/O.

A table says which verb is allowed in which states; its handler checks first and changes state
after. RFC 5321; SIZE (RFC 1870), 8BITMIME (RFC 6152), PIPELINING (RFC 2920) and
ENHANCEDSTATUSCODES (RFC 2034). After HELO there are no enhanced status codes in the replies:
the client asked for the plain protocol.

Nothing is relayed: a recipient that the directory does not know is refused. The directory has
    resolve(local_part: bytes, domain: bytes) -> str | None   the mailbox; domain lower case,
                                                              b"" where none was given
    admit(mailbox: str, size: int) -> Reply | None            why the mailbox cannot take so many
                                                              octets (0: not declared), or None
"""

from micropython import const

from picopost import limits
from picopost.smtp import paths, replies

# What the session does with a command, besides sending the reply.
NOTHING = const(0)
DATA = const(1)  # open the store, then send start_data() or refuse_data(); no reply yet
QUIT = const(2)  # reply, close

_CONNECTED = const(1)
_READY = const(2)  # HELO or EHLO was said, no transaction
_MAIL = const(4)  # transaction, no recipient so far
_RCPT = const(8)  # transaction with recipients
_SESSION = const(14)  # after HELO or EHLO
_TRANSACTION = const(12)
_ANY = const(15)

# The service extensions besides SIZE, as EHLO lists them (RFC 5321 4.1.1.1).
_EXTENSIONS = b"8BITMIME\nPIPELINING\nENHANCEDSTATUSCODES"

# What a HELO argument may have in a Received line: domains, address literals. Anything else,
# such as the parentheses of a comment, becomes a question mark, which is still an atom there.
_HELO_OCTETS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]"


class Dialogue:
    """One session's dialogue.

    For the session to read:
        peer           the client's address, as given
        helo           what HELO or EHLO gave, made safe for a Received line; b"" before
        extended       EHLO was the last greeting
        errors         commands refused with 5xx so far; a 4xx is not the client's fault
        reverse_path   bytes, b"" for the null path; printable ASCII, maybe a quoted string
        recipients     [(mailbox: str, forward_path: bytes)], a mailbox once
        declared_size  octets by SIZE=, 0 unknown
    The last three are those of the open transaction.
    """

    def __init__(self, hostname: str, directory, peer: str, max_size: int):
        self._domain = hostname.encode()
        self._directory = directory
        self.peer = peer
        self._max_size = max_size
        self.helo = b""
        self.extended = False
        self.errors = 0
        self._clear(_CONNECTED)

    def greeting(self) -> bytes:
        """The reply to the connection (RFC 5321 3.1)."""
        return self.reply(replies.READY)

    def command(self, line: bytes) -> tuple[bytes | None, int]:
        """The (reply, action) for one command line without its line end."""
        words = line.split(None, 1)
        row = _VERBS.get(words[0].upper()) if words else None
        if row is None:
            return self.reply(replies.NOT_RECOGNIZED), NOTHING
        states, handler, action = row
        if not self._state & states:
            early = self._state == _CONNECTED
            return self.reply(replies.HELLO_FIRST if early else replies.BAD_SEQUENCE), NOTHING
        reply = handler(self, words[1].strip() if len(words) > 1 else b"")
        if reply is None:
            return None, action
        return self.reply(reply), action if reply[0] < 400 else NOTHING

    def too_long(self) -> bytes:
        """The reply to a line over limits.MAX_COMMAND_LINE, drained (RFC 5321 4.5.3.1.9)."""
        return self.reply(replies.LINE_TOO_LONG)

    def start_data(self) -> bytes:
        """After the action DATA: the message may come (RFC 5321 4.1.1.4)."""
        return self.reply(replies.START_DATA)

    def refuse_data(self, reply: tuple) -> bytes:
        """After the action DATA: the store cannot be opened.

        The transaction stays open, as after any refused command (RFC 5321 4.1.4).
        """
        return self.reply(reply)

    def data_done(self, reply: tuple) -> bytes:
        """After the end of the message, whatever became of it: the transaction is over."""
        self._clear(_READY)
        return self.reply(reply)

    def reply(self, reply: tuple) -> bytes:
        """The octets of a Reply, as this client is to get it; counted if it is an error."""
        if reply[0] >= 500:
            self.errors += 1
        return replies.format(reply, self._domain, self.extended)

    def _clear(self, state: int) -> None:
        """No transaction, its buffers cleared."""
        self._state = state
        self._accepted = 0
        self.reverse_path = b""
        self.recipients = ()
        self.declared_size = 0

    # The handlers: argument in, Reply out; None where only the session knows the reply.

    def _hello(self, argument: bytes, extended: bool) -> bool:
        # RFC 5321 4.1.4 forbids to refuse a client for the name that it gives. Many give none
        # that the grammar knows: spaces, underscores, a bare address.
        if not argument:
            return False
        self.helo = bytes(octet if octet in _HELO_OCTETS else 0x3F
                          for octet in argument[:limits.MAX_DOMAIN])
        self.extended = extended
        self._clear(_READY)
        return True

    def _helo(self, argument):
        if not self._hello(argument, False):
            return replies.HELLO_SYNTAX
        return 250, b"", self._domain

    def _ehlo(self, argument):
        if not self._hello(argument, True):
            return replies.HELLO_SYNTAX
        return 250, b"", b"%s\nSIZE %d\n%s" % (self._domain, self._max_size, _EXTENSIONS)

    def _mail(self, argument):
        try:
            path, _, _, parameters = paths.parse(argument, paths.REVERSE)
        except paths.PathError as error:
            return error.args[0]
        size = 0
        for keyword, value in parameters:
            if keyword == b"SIZE":
                # RFC 1870 6.1: a size that cannot be taken is refused here.
                if not value or not value.isdigit() or len(value) > limits.MAX_SIZE_DIGITS:
                    return replies.BAD_PARAMETER
                size = int(value)
                if size > self._max_size:
                    return replies.MESSAGE_TOO_BIG
            elif keyword == b"BODY":
                # RFC 6152 2: both kinds are kept as they come.
                if not value or value.upper() not in (b"7BIT", b"8BITMIME"):
                    return replies.BAD_PARAMETER
            else:
                return replies.UNKNOWN_PARAMETER
        self.reverse_path = path
        self.declared_size = size
        self.recipients = []
        self._state = _MAIL
        return replies.MAIL_OK

    def _rcpt(self, argument):
        try:
            path, local_part, domain, parameters = paths.parse(argument, paths.FORWARD)
        except paths.PathError as error:
            return error.args[0]
        if parameters:
            return replies.UNKNOWN_PARAMETER
        mailbox = self._directory.resolve(local_part, domain)
        if mailbox is None:
            return replies.UNKNOWN_MAILBOX
        if self._accepted == limits.MAX_RECIPIENTS:
            return replies.TOO_MANY_RECIPIENTS
        for known, _ in self.recipients:
            if known == mailbox:
                break
        else:
            if len(self.recipients) == limits.MAX_MAILBOXES_PER_MESSAGE:
                return replies.TOO_MANY_RECIPIENTS
            refusal = self._directory.admit(mailbox, self.declared_size)
            if refusal is not None:
                return refusal
            self.recipients.append((mailbox, path))
        self._accepted += 1
        self._state = _RCPT
        return replies.RCPT_OK

    def _data(self, argument):
        if argument:
            return replies.NO_ARGUMENT_ALLOWED
        if self._state == _MAIL:
            return replies.NO_RECIPIENTS  # RFC 5321 3.3
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
        return 214, b"2.0.0", b"Commands: " + b" ".join(sorted(_VERBS))

    def _quit(self, _argument):
        # RFC 5321 4.1.1 would refuse an argument; keeping a client that leaves serves nobody.
        return replies.CLOSING


# Verb: (states where it is allowed, handler, action once it is accepted). RFC 5321 4.1.4.
_VERBS = {
    b"HELO": (_ANY, Dialogue._helo, NOTHING),
    b"EHLO": (_ANY, Dialogue._ehlo, NOTHING),
    b"MAIL": (_READY, Dialogue._mail, NOTHING),
    b"RCPT": (_TRANSACTION, Dialogue._rcpt, NOTHING),
    b"DATA": (_TRANSACTION, Dialogue._data, DATA),
    b"RSET": (_ANY, Dialogue._rset, NOTHING),
    b"NOOP": (_ANY, Dialogue._noop, NOTHING),
    b"VRFY": (_ANY, Dialogue._vrfy, NOTHING),
    b"EXPN": (_ANY, Dialogue._expn, NOTHING),
    b"HELP": (_ANY, Dialogue._help, NOTHING),
    b"QUIT": (_ANY, Dialogue._quit, QUIT),
}
