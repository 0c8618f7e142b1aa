"""What the parameters of MAIL and RCPT ask for (RFC 5321 4.1.2): SIZE, BODY, SMTPUTF8, AUTH, and
those of delivery status notifications.

Both functions take what paths.parse gave and raise paths.PathError with the Reply that refuses.
"""

from picopost import limits
from picopost.smtp import paths, replies
from picopost.smtp.xtext import decode_xtext

# Bits of what NOTIFY asks for (RFC 3461 4.1). 0 is NEVER; DELAY is never due here.
SUCCESS = 1
FAILURE = 2
_NOTIFY = {b"SUCCESS": SUCCESS, b"FAILURE": FAILURE, b"DELAY": 0}


class Notice:
    """What one recipient's sender wants to hear. `notify`: bits as above, or None for the default
    of RFC 3461 4.1, which is FAILURE. `original`: ORCPT as sent, or b"". `octets`: what it keeps.
    """

    def __init__(self, path: bytes, original: bytes, notify: int | None, mailboxes: tuple):
        self.path = path
        self.original = original
        self.notify = FAILURE if notify is None else notify
        self.mailboxes = mailboxes
        self.octets = len(path) + len(original)


def _bad():
    raise paths.PathError(replies.BAD_PARAMETER)


def _checked_xtext(value: bytes, limit: int) -> bytes:
    try:
        text = decode_xtext(value)
    except ValueError:
        _bad()
    if len(value) > limit or not text or min(text) < 0x20 or 0x7F in text:
        _bad()
    return value


def mail(given: list, max_size: int, auth: bool) -> tuple[int, bool, bytes | None]:
    """(declared size in octets, SMTPUTF8?, ENVID as sent or None) of MAIL's parameters.

    `auth`: whether AUTH= is one of them (RFC 4954 5). It is not believed: nothing is relayed.
    """
    size = 0
    utf8 = False
    envelope_id = None
    for keyword, value in given:
        if keyword == b"SIZE":
            # RFC 1870 6.1: a size that cannot be taken is refused here.
            if not value or not value.isdigit() or len(value) > limits.MAX_SIZE_DIGITS:
                _bad()
            size = int(value)
            if size > max_size:
                raise paths.PathError(replies.MESSAGE_TOO_BIG)
        elif keyword == b"BODY":
            # RFC 6152 2: both kinds are kept as they come. There is no BINARYMIME (RFC 3030).
            if not value or value.upper() not in (b"7BIT", b"8BITMIME"):
                _bad()
        elif keyword == b"SMTPUTF8":
            if value is not None:  # RFC 6531 3.4
                _bad()
            utf8 = True
        elif keyword == b"RET":
            if not value or value.upper() not in (b"FULL", b"HDRS"):
                _bad()
        elif keyword == b"ENVID":
            envelope_id = _checked_xtext(value or b"", limits.MAX_ENVELOPE_ID)
        elif keyword == b"AUTH" and auth:
            if value != b"<>":
                _checked_xtext(value or b"", limits.MAX_COMMAND_LINE)
        else:
            raise paths.PathError(replies.UNKNOWN_PARAMETER)
    return size, utf8, envelope_id


def rcpt(given: list, utf8: bool) -> tuple[int | None, bytes]:
    """(what NOTIFY asks for or None, ORCPT as sent or b"") of RCPT's parameters.

    `utf8`: SMTPUTF8 was asked for, so ORCPT's address may be in UTF-8 (RFC 6533 3).
    """
    notify = None
    original = b""
    for keyword, value in given:
        if keyword == b"NOTIFY":
            notify = _notify((value or b"").upper())
        elif keyword == b"ORCPT":
            kind, semicolon, address = (value or b"").partition(b";")
            if not kind or not semicolon:
                _bad()
            if (paths.is_ascii(address) or not utf8 or kind.lower() != b"utf-8"
                    or len(address) > limits.MAX_ORIGINAL_RECIPIENT or not paths.is_ascii(kind)):
                _checked_xtext(address, limits.MAX_ORIGINAL_RECIPIENT)
            original = value
        else:
            raise paths.PathError(replies.UNKNOWN_PARAMETER)
    return notify, original


def _notify(value: bytes) -> int:
    if value == b"NEVER":
        return 0
    bits = 0
    for word in value.split(b","):
        if word not in _NOTIFY:
            _bad()
        bits |= _NOTIFY[word]
    return bits
