"""What the SMTP receiver says.

A Reply is one line of octets, b"550 5.1.1 No such mailbox here": code, enhanced status, text (RFC
5321 4.2, RFC 2034 4 with RFC 3463). The text has no line end but a b"\\n" between the lines of a
multi-line reply. The status is "-" where none is defined, as for greetings, HELO, EHLO and 3xx (RFC
2034 4). So a Reply's first octet tells its kind, SUCCESS to PERMANENT. One object each: they are
many.
"""

from micropython import const

# First octets of Replies (RFC 5321 4.2.1).
SUCCESS = const(0x32)
TRANSIENT = const(0x34)
PERMANENT = const(0x35)

_NO_STATUS = const(0x2D)

READY = b"220 - ready ESMTP picopost"
# RFC 5321 4.2: after these codes, and in the greeting, the text starts with the server's domain.
_WITH_DOMAIN = (b"221", b"421")

CLOSING = b"221 2.0.0 closing"
MAIL_OK = b"250 2.1.0 MAIL FROM OK"
RCPT_OK = b"250 2.1.5 RCPT TO OK"
RESET_OK = b"250 2.0.0 Reset"
NOOP_OK = b"250 2.0.0 OK"
# RFC 5321 3.5.3 and 7.3: the same for every name, so that nobody learns who has a mailbox.
CANNOT_VERIFY = b"252 2.5.0 Cannot verify, but RCPT will tell"
START_DATA = b"354 - Start mail input ; end with ."
START_TLS = b"220 2.0.0 Ready to start TLS"
# RFC 4954 6.
AUTH_OK = b"235 2.7.0 Authentication successful"

NOT_RECOGNIZED = b"500 5.5.1 Command not recognized"
LINE_TOO_LONG = b"500 5.5.2 Line too long"
NOT_IMPLEMENTED = b"502 5.5.1 Command not implemented"
HELLO_FIRST = b"503 5.5.1 Send HELO or EHLO first"
BAD_SEQUENCE = b"503 5.5.1 Bad sequence of commands"
NO_RECIPIENTS = b"554 5.5.1 No valid recipients"
NOT_SMTP = b"421 4.7.0 This is no web server, closing"
TALKED_EARLY = b"554 5.5.0 You spoke before the greeting, closing"
BARE_LINE_END = b"500 5.5.2 Lines must end in CRLF"
NO_TLS_HERE = b"502 5.5.1 STARTTLS not offered"
TLS_ALREADY = b"503 5.5.1 TLS is active"
TLS_BUSY = b"454 4.7.0 No room for another TLS session, try again later"
# Only told to the owner, in the log: nothing can be said any more in a connection whose TLS failed.
TLS_FAILED = b"454 4.7.0 TLS handshake failed"
TLS_UNASKED = b"421 4.7.0 TLS where none is spoken, closing"
TLS_WANTED = b"421 4.7.0 No TLS where it is spoken, closing"
# RFC 3207 4.
TLS_REQUIRED = b"530 5.7.0 Must issue a STARTTLS command first"

VRFY_SYNTAX = b"501 5.5.4 A name must follow"
NO_ARGUMENT_ALLOWED = b"501 5.5.4 No argument allowed"
MAIL_SYNTAX = b"501 5.5.4 Syntax: MAIL FROM:<address>"
RCPT_SYNTAX = b"501 5.5.4 Syntax: RCPT TO:<address>"
BAD_REVERSE_PATH = b"501 5.1.7 Bad sender address syntax"
BAD_FORWARD_PATH = b"501 5.1.3 Bad recipient address syntax"
PATH_TOO_LONG = b"501 5.5.4 Path too long"
BDAT_SYNTAX = b"501 5.5.4 Syntax: BDAT octets [LAST], closing"

# RFC 4954 4 and 6.
AUTH_REQUIRED = b"530 5.7.0 Authentication required"
AUTH_WRONG = b"535 5.7.8 Wrong user name or password"
AUTH_CANCELLED = b"501 5.7.0 Authentication cancelled"
AUTH_BAD_BASE64 = b"501 5.5.2 That is not base64"
AUTH_SYNTAX = b"501 5.5.4 Syntax: AUTH mechanism [initial response]"
AUTH_LINE_TOO_LONG = b"500 5.5.6 Authentication line too long"
AUTH_MECHANISM = b"504 5.5.4 Mechanisms are PLAIN and LOGIN"
AUTH_ALREADY = b"503 5.5.1 Authenticated already"
AUTH_IN_CLEAR = b"538 5.7.11 No login without TLS: STARTTLS first"
AUTH_NOT_OFFERED = b"502 5.5.1 AUTH not offered"
# RFC 6531 3.5: 550 for MAIL, 553 for RCPT, where SMTPUTF8 was not asked for.
REVERSE_PATH_NOT_ASCII = b"550 5.6.7 Non-ASCII sender address not permitted"
FORWARD_PATH_NOT_ASCII = b"553 5.6.7 Non-ASCII recipient address not permitted"
BAD_PARAMETER = b"501 5.5.4 Bad parameter syntax or value"
UNKNOWN_PARAMETER = b"555 5.5.4 Parameter not recognized"

UNKNOWN_MAILBOX = b"550 5.1.1 No such mailbox here"
TOO_MANY_RECIPIENTS = b"452 4.5.3 Too many recipients"
MESSAGE_TOO_BIG = b"552 5.3.4 Message too big"
# RFC 5321 6.3.
MAIL_LOOP = b"554 5.4.6 Too many Received fields, this mail goes in circles"
BARE_IN_MESSAGE = b"550 5.6.0 Bare LF or CR in the message"

# For directory.admit(), Dialogue.refuse_data(), data_done() and reply().
MAIL_ACCEPTED = b"250 2.0.0 Mail accepted"
LOCAL_ERROR = b"451 4.3.0 Local error, try again later"
CARD_FULL = b"452 4.3.1 Card full"
MAILBOX_FULL = b"452 4.2.2 Mailbox full"
# RFC 5321 4.2.3: no waiting helps, the mailbox could not hold it empty.
OVER_QUOTA = b"552 5.2.3 Message bigger than the mailbox may be"
TOO_MANY_SESSIONS = b"421 4.3.2 Too busy, try again later"
TIMED_OUT = b"421 4.4.2 Waited too long, closing"
BROKEN = b"421 4.3.0 Local error, closing"
TOO_MANY_ERRORS = b"421 4.7.0 Too many errors, closing"
NOTHING_SENT = b"421 4.4.2 Too long without a letter, closing"
TOO_MANY_FROM_ADDRESS = b"421 4.7.0 Too many sessions from your address, try again later"
# RFC 5321 3.1: to the connection, instead of 220.
NOT_YOUR_NETWORK = b"554 5.7.1 Not for your network"


def format(reply: bytes, domain: bytes, enhanced: bool) -> bytes:
    """The octets of a reply, CRLF at the end of each line.

    RFC 5321 4.2.1: a hyphen after the code of every line but the last. RFC 2034 4: the status
    in every line, where `enhanced`.
    """
    if enhanced and reply[4] != _NO_STATUS and reply[:3] not in _WITH_DOMAIN and b"\n" not in reply:
        return reply + b"\r\n"  # as nearly all are
    code, status, text = reply.split(b" ", 2)
    if code in _WITH_DOMAIN or reply is READY:
        text = domain + b" " + text
    status = status + b" " if enhanced and status != b"-" else b""
    last = text.rfind(b"\n")
    if last < 0:
        return b"%s %s%s\r\n" % (code, status, text)
    first = b"%s-%s" % (code, status)
    return b"%s%s\r\n%s %s%s\r\n" % (
        first, text[:last].replace(b"\n", b"\r\n" + first), code, status, text[last + 1 :])
