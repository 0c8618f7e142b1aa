"""What the POP3 server says: whole replies, CRLF included (RFC 1939 3).

A "[" opens a response code (RFC 2449 8), so no other text begins with one. AUTH-RESP-CODE
(RFC 3206 6) promises that a refusal for wrong credentials, and no other, says [AUTH].
"""

# RFC 2449 5 and 6. USER with PASS; no APOP, so no password need be stored in the clear.
CAPABILITIES = (
    b"+OK capability list follows\r\n"
    b"USER\r\n"
    b"TOP\r\n"
    b"UIDL\r\n"
    b"RESP-CODES\r\n"
    b"AUTH-RESP-CODE\r\n"
    b"PIPELINING\r\n"
    b"IMPLEMENTATION picopost\r\n"
    b".\r\n"
)

# The same for every name: a stranger learns nothing about who has a maildrop.
SEND_PASSWORD = b"+OK send PASS\r\n"
NOTHING_DONE = b"+OK nothing done\r\n"
UNIQUE_IDS = b"+OK unique-id listing follows\r\n"
TOP = b"+OK top of message follows\r\n"

# For Dialogue.refused().
WRONG_CREDENTIALS = b"-ERR [AUTH] wrong user name or password\r\n"
IN_USE = b"-ERR [IN-USE] another session has this maildrop open\r\n"
# For Dialogue.refused(), and in place of a reply whose maildrop raised OSError.
STORE_FAILED = b"-ERR [SYS/TEMP] the mail cannot be read now\r\n"

LONG_USER = b"-ERR [AUTH] user name too long\r\n"
USER_FIRST = b"-ERR USER first\r\n"
LOGIN_FIRST = b"-ERR log in first\r\n"
NOT_NOW = b"-ERR not in this state\r\n"

TIMED_OUT = b"-ERR waited too long, closing\r\n"
BROKEN = b"-ERR [SYS/TEMP] local error, closing\r\n"

UNKNOWN_COMMAND = b"-ERR unknown command\r\n"
LONG_LINE = b"-ERR line too long\r\n"
ARGUMENT_MISSING = b"-ERR argument missing\r\n"
TOO_MANY_ARGUMENTS = b"-ERR too many arguments\r\n"
NOT_A_NUMBER = b"-ERR not a number\r\n"
NO_SUCH_MESSAGE = b"-ERR no such message\r\n"
MESSAGE_DELETED = b"-ERR message is deleted\r\n"

NOT_REMOVED = b"-ERR [SYS/TEMP] some deleted messages not removed\r\n"
