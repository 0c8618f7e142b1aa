"""What the SMTP receiver says.

A Reply is the tuple (code, enhanced status, text): RFC 5321 4.2, RFC 2034 4 with RFC 3463, and
text without line ends but a b"\\n" between the lines of a multi-line reply. An empty status:
none is defined, as for greetings, HELO, EHLO and 3xx (RFC 2034 4).
"""

# RFC 5321 4.2: after these codes the text starts with the server's domain.
_WITH_DOMAIN = (220, 221, 421)

READY = (220, b"", b"ready ESMTP picopost")
CLOSING = (221, b"2.0.0", b"closing")
MAIL_OK = (250, b"2.1.0", b"MAIL FROM OK")
RCPT_OK = (250, b"2.1.5", b"RCPT TO OK")
RESET_OK = (250, b"2.0.0", b"Reset")
NOOP_OK = (250, b"2.0.0", b"OK")
# RFC 5321 3.5.3 and 7.3: the same for every name, so that nobody learns who has a mailbox.
CANNOT_VERIFY = (252, b"2.5.0", b"Cannot verify, but RCPT will tell")
START_DATA = (354, b"", b"Start mail input ; end with .")

NOT_RECOGNIZED = (500, b"5.5.1", b"Command not recognized")
LINE_TOO_LONG = (500, b"5.5.2", b"Line too long")
NOT_IMPLEMENTED = (502, b"5.5.1", b"Command not implemented")
HELLO_FIRST = (503, b"5.5.1", b"Send HELO or EHLO first")
BAD_SEQUENCE = (503, b"5.5.1", b"Bad sequence of commands")
NO_RECIPIENTS = (554, b"5.5.1", b"No valid recipients")

HELLO_SYNTAX = (501, b"5.5.4", b"A domain or address literal must follow")
VRFY_SYNTAX = (501, b"5.5.4", b"A name must follow")
NO_ARGUMENT_ALLOWED = (501, b"5.5.4", b"No argument allowed")
MAIL_SYNTAX = (501, b"5.5.4", b"Syntax: MAIL FROM:<address>")
RCPT_SYNTAX = (501, b"5.5.4", b"Syntax: RCPT TO:<address>")
BAD_REVERSE_PATH = (501, b"5.1.7", b"Bad sender address syntax")
BAD_FORWARD_PATH = (501, b"5.1.3", b"Bad recipient address syntax")
PATH_TOO_LONG = (501, b"5.5.4", b"Path too long")
# RFC 6531 3.5: 550 for MAIL, 553 for RCPT.
REVERSE_PATH_NOT_ASCII = (550, b"5.6.7", b"Non-ASCII sender address not permitted")
FORWARD_PATH_NOT_ASCII = (553, b"5.6.7", b"Non-ASCII recipient address not permitted")
BAD_PARAMETER = (501, b"5.5.4", b"Bad parameter syntax or value")
UNKNOWN_PARAMETER = (555, b"5.5.4", b"Parameter not recognized")

UNKNOWN_MAILBOX = (550, b"5.1.1", b"No such mailbox here")
TOO_MANY_RECIPIENTS = (452, b"4.5.3", b"Too many recipients")
MESSAGE_TOO_BIG = (552, b"5.3.4", b"Message too big")

# For directory.admit(), Dialogue.refuse_data(), data_done() and reply().
MAIL_ACCEPTED = (250, b"2.0.0", b"Mail accepted")
LOCAL_ERROR = (451, b"4.3.0", b"Local error, try again later")
CARD_FULL = (452, b"4.3.1", b"Card full")
MAILBOX_FULL = (452, b"4.2.2", b"Mailbox full")
# RFC 5321 4.2.3: no waiting helps, the mailbox could not hold it empty.
OVER_QUOTA = (552, b"5.2.2", b"Message bigger than the mailbox may be")
TOO_MANY_SESSIONS = (421, b"4.3.2", b"Too busy, try again later")
TIMED_OUT = (421, b"4.4.2", b"Waited too long, closing")
BROKEN = (421, b"4.3.0", b"Local error, closing")
TOO_MANY_ERRORS = (421, b"4.7.0", b"Too many errors, closing")


def format(reply: tuple[int, bytes, bytes], domain: bytes, enhanced: bool) -> bytes:
    """The octets of a reply, CRLF at the end of each line.

    RFC 5321 4.2.1: a hyphen after the code of every line but the last. RFC 2034 4: the status
    in every line, where `enhanced`.
    """
    code, status, text = reply
    if code in _WITH_DOMAIN:
        text = domain + b" " + text
    status = status + b" " if enhanced and status else b""
    lines = text.split(b"\n")
    octets = b""
    for line in lines[:-1]:
        octets += b"%d-%s%s\r\n" % (code, status, line)
    return octets + b"%d %s%s\r\n" % (code, status, lines[-1])
