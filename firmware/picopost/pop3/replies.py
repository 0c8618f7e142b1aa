"""What the POP3 server says: whole replies, CRLF included (RFC 1939 3).

A "[" opens a response code (RFC 2449 8), so no other text begins with one. AUTH-RESP-CODE
(RFC 3206 6) promises that a refusal for wrong credentials, and no other, says [AUTH].
"""

from picopost import sasl

# RFC 2449 5 and 6, in every state; what depends on it comes between these and the dot. No APOP, so
# no password need be stored in the clear. LOGIN-DELAY 0: who logs in may do so again at once.
CAPABILITIES = (
    b"+OK capability list follows\r\n"
    b"TOP\r\n"
    b"UIDL\r\n"
    b"RESP-CODES\r\n"
    b"AUTH-RESP-CODE\r\n"
    b"PIPELINING\r\n"
    b"UTF8\r\n"
    b"LOGIN-DELAY 0\r\n"
    b"IMPLEMENTATION picopost\r\n"
)
# RFC 5034 3.
LOGINS = b"USER\r\nSASL %s\r\n" % b" ".join(sasl.MECHANISMS)
# Before there was CAPA clients asked by AUTH without a mechanism; some still do.
MECHANISMS = b"+OK\r\n%s\r\n.\r\n" % b"\r\n".join(sasl.MECHANISMS)

# The same for every name: a stranger learns nothing about who has a maildrop.
SEND_PASSWORD = b"+OK send PASS\r\n"
NOTHING_DONE = b"+OK nothing done\r\n"
UNIQUE_IDS = b"+OK unique-id listing follows\r\n"
TOP = b"+OK top of message follows\r\n"
UTF8_MODE = b"+OK UTF-8 it is\r\n"
START_TLS = b"+OK begin TLS\r\n"

# For Dialogue.refused().
WRONG_CREDENTIALS = b"-ERR [AUTH] wrong user name or password\r\n"
IN_USE = b"-ERR [IN-USE] another session has this maildrop open\r\n"
# For Dialogue.refused(), and in place of a reply whose maildrop raised OSError.
STORE_FAILED = b"-ERR [SYS/TEMP] the mail cannot be read now\r\n"

# RFC 5034 4.
CANCELLED = b"-ERR authentication cancelled\r\n"
BAD_RESPONSE = b"-ERR that is not base64, or not what the mechanism wants\r\n"
NO_SUCH_MECHANISM = b"-ERR mechanisms are %s\r\n" % b" and ".join(sasl.MECHANISMS)
# RFC 2595 4.
TLS_ACTIVE = b"-ERR TLS is active\r\n"
NO_TLS = b"-ERR no TLS here\r\n"
TLS_FIRST = b"-ERR STLS first: no login without TLS\r\n"
TLS_BUSY = b"-ERR [SYS/TEMP] no room for another TLS session, try again later\r\n"

LONG_USER = b"-ERR [AUTH] user name too long\r\n"
USER_FIRST = b"-ERR USER first\r\n"
LOGIN_FIRST = b"-ERR log in first\r\n"
NOT_NOW = b"-ERR not in this state\r\n"

# Instead of a greeting.
TOO_MANY_SESSIONS = b"-ERR [SYS/TEMP] too many sessions, try again later\r\n"
TOO_MANY_FROM_ADDRESS = (b"-ERR [SYS/TEMP] too many sessions from your address, "
                         b"try again later\r\n")
NOT_YOUR_NETWORK = b"-ERR [SYS/PERM] not for your network\r\n"

BROKEN = b"-ERR [SYS/TEMP] local error, closing\r\n"

UNKNOWN_COMMAND = b"-ERR unknown command\r\n"
LONG_LINE = b"-ERR line too long\r\n"
ARGUMENT_MISSING = b"-ERR argument missing\r\n"
TOO_MANY_ARGUMENTS = b"-ERR too many arguments\r\n"
NOT_A_NUMBER = b"-ERR not a number\r\n"
NO_SUCH_MESSAGE = b"-ERR no such message\r\n"
MESSAGE_DELETED = b"-ERR message is deleted\r\n"

NOT_REMOVED = b"-ERR [SYS/TEMP] some deleted messages not removed\r\n"
