"""What the SMTP receiver says.

A Reply is the tuple (code, enhanced status, text): RFC 5321 4.2, RFC 2034 4 with RFC 3463, and
text without line ends but a b"\\n" between the lines of a multi-line reply. An empty status:
none is defined, as for greetings, HELO, EHLO and 3xx (RFC 2034 4).
"""

READY = (220, b"", b"ready ESMTP picopost")
# RFC 5321 4.2: after these codes, and in the greeting, the text starts with the server's domain.
_WITH_DOMAIN = (221, 421)

CLOSING = (221, b"2.0.0", b"closing")
MAIL_OK = (250, b"2.1.0", b"MAIL FROM OK")
RCPT_OK = (250, b"2.1.5", b"RCPT TO OK")
RESET_OK = (250, b"2.0.0", b"Reset")
NOOP_OK = (250, b"2.0.0", b"OK")
# RFC 5321 3.5.3 and 7.3: the same for every name, so that nobody learns who has a mailbox.
CANNOT_VERIFY = (252, b"2.5.0", b"Cannot verify, but RCPT will tell")
START_DATA = (354, b"", b"Start mail input ; end with .")
START_TLS = (220, b"2.0.0", b"Ready to start TLS")
# RFC 4954 6.
AUTH_OK = (235, b"2.7.0", b"Authentication successful")

NOT_RECOGNIZED = (500, b"5.5.1", b"Command not recognized")
LINE_TOO_LONG = (500, b"5.5.2", b"Line too long")
NOT_IMPLEMENTED = (502, b"5.5.1", b"Command not implemented")
HELLO_FIRST = (503, b"5.5.1", b"Send HELO or EHLO first")
BAD_SEQUENCE = (503, b"5.5.1", b"Bad sequence of commands")
NO_RECIPIENTS = (554, b"5.5.1", b"No valid recipients")
NOT_SMTP = (421, b"4.7.0", b"This is no web server, closing")
TALKED_EARLY = (554, b"5.5.0", b"You spoke before the greeting, closing")
BARE_LINE_END = (500, b"5.5.2", b"Lines must end in CRLF")
NO_TLS_HERE = (502, b"5.5.1", b"STARTTLS not offered")
TLS_ALREADY = (503, b"5.5.1", b"TLS is active")
TLS_BUSY = (454, b"4.7.0", b"No room for another TLS session, try again later")
# Only told to the owner, in the log: nothing can be said any more in a connection whose TLS failed.
TLS_FAILED = (454, b"4.7.0", b"TLS handshake failed")
TLS_UNASKED = (421, b"4.7.0", b"TLS where none is spoken, closing")
TLS_WANTED = (421, b"4.7.0", b"No TLS where it is spoken, closing")
# RFC 3207 4.
TLS_REQUIRED = (530, b"5.7.0", b"Must issue a STARTTLS command first")

VRFY_SYNTAX = (501, b"5.5.4", b"A name must follow")
NO_ARGUMENT_ALLOWED = (501, b"5.5.4", b"No argument allowed")
MAIL_SYNTAX = (501, b"5.5.4", b"Syntax: MAIL FROM:<address>")
RCPT_SYNTAX = (501, b"5.5.4", b"Syntax: RCPT TO:<address>")
BAD_REVERSE_PATH = (501, b"5.1.7", b"Bad sender address syntax")
BAD_FORWARD_PATH = (501, b"5.1.3", b"Bad recipient address syntax")
PATH_TOO_LONG = (501, b"5.5.4", b"Path too long")
BDAT_SYNTAX = (501, b"5.5.4", b"Syntax: BDAT octets [LAST], closing")

# RFC 4954 4 and 6.
AUTH_REQUIRED = (530, b"5.7.0", b"Authentication required")
AUTH_WRONG = (535, b"5.7.8", b"Wrong user name or password")
AUTH_CANCELLED = (501, b"5.7.0", b"Authentication cancelled")
AUTH_BAD_BASE64 = (501, b"5.5.2", b"That is not base64")
AUTH_SYNTAX = (501, b"5.5.4", b"Syntax: AUTH mechanism [initial response]")
AUTH_LINE_TOO_LONG = (500, b"5.5.6", b"Authentication line too long")
AUTH_MECHANISM = (504, b"5.5.4", b"Mechanisms are PLAIN and LOGIN")
AUTH_ALREADY = (503, b"5.5.1", b"Authenticated already")
AUTH_IN_CLEAR = (538, b"5.7.11", b"No login without TLS: STARTTLS first")
AUTH_NOT_OFFERED = (502, b"5.5.1", b"AUTH not offered")
# RFC 6531 3.5: 550 for MAIL, 553 for RCPT, where SMTPUTF8 was not asked for.
REVERSE_PATH_NOT_ASCII = (550, b"5.6.7", b"Non-ASCII sender address not permitted")
FORWARD_PATH_NOT_ASCII = (553, b"5.6.7", b"Non-ASCII recipient address not permitted")
BAD_PARAMETER = (501, b"5.5.4", b"Bad parameter syntax or value")
UNKNOWN_PARAMETER = (555, b"5.5.4", b"Parameter not recognized")

UNKNOWN_MAILBOX = (550, b"5.1.1", b"No such mailbox here")
TOO_MANY_RECIPIENTS = (452, b"4.5.3", b"Too many recipients")
MESSAGE_TOO_BIG = (552, b"5.3.4", b"Message too big")
# RFC 5321 6.3.
MAIL_LOOP = (554, b"5.4.6", b"Too many Received fields, this mail goes in circles")
BARE_IN_MESSAGE = (550, b"5.6.0", b"Bare LF or CR in the message")

# For directory.admit(), Dialogue.refuse_data(), data_done() and reply().
MAIL_ACCEPTED = (250, b"2.0.0", b"Mail accepted")
LOCAL_ERROR = (451, b"4.3.0", b"Local error, try again later")
CARD_FULL = (452, b"4.3.1", b"Card full")
MAILBOX_FULL = (452, b"4.2.2", b"Mailbox full")
# RFC 5321 4.2.3: no waiting helps, the mailbox could not hold it empty.
OVER_QUOTA = (552, b"5.2.3", b"Message bigger than the mailbox may be")
TOO_MANY_SESSIONS = (421, b"4.3.2", b"Too busy, try again later")
TIMED_OUT = (421, b"4.4.2", b"Waited too long, closing")
BROKEN = (421, b"4.3.0", b"Local error, closing")
TOO_MANY_ERRORS = (421, b"4.7.0", b"Too many errors, closing")
NOTHING_SENT = (421, b"4.4.2", b"Too long without a letter, closing")
TOO_MANY_FROM_ADDRESS = (421, b"4.7.0", b"Too many sessions from your address, try again later")
# RFC 5321 3.1: to the connection, instead of 220.
NOT_YOUR_NETWORK = (554, b"5.7.1", b"Not for your network")


def format(reply: tuple[int, bytes, bytes], domain: bytes, enhanced: bool) -> bytes:
    """The octets of a reply, CRLF at the end of each line.

    RFC 5321 4.2.1: a hyphen after the code of every line but the last. RFC 2034 4: the status
    in every line, where `enhanced`.
    """
    code, status, text = reply
    if code in _WITH_DOMAIN or reply is READY:
        text = domain + b" " + text
    status = status + b" " if enhanced and status else b""
    lines = text.split(b"\n")
    octets = b""
    for line in lines[:-1]:
        octets += b"%d-%s%s\r\n" % (code, status, line)
    return octets + b"%d %s%s\r\n" % (code, status, lines[-1])
