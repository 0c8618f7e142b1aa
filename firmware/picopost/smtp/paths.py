"""The arguments of MAIL and RCPT: a path and parameters (RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2).

Taken although the grammar has no such thing, because devices and people send it: white space
around the colon, a semicolon for it, no angle brackets, a mailbox without a domain, underscores
and hyphens anywhere in a domain. A source route is dropped (4.1.1.3, appendix C).

Octets over 127 are taken where they are UTF-8, as RFC 6531 3.3 extends the grammar; whether the
client may send them is the dialogue's question.
"""

from picopost import limits
from picopost.smtp import replies

# What to parse: the keyword, and the replies to what is not an argument of it and to a bad path.
REVERSE = (b"FROM", replies.MAIL_SYNTAX, replies.BAD_REVERSE_PATH)
FORWARD = (b"TO", replies.RCPT_SYNTAX, replies.BAD_FORWARD_PATH)

_ALPHANUMERIC = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_UTF8 = bytes(range(0x80, 0x100))
_DOT_ATEXT = _ALPHANUMERIC + b"!#$%&'*+-/=?^_`{|}~." + _UTF8  # RFC 5322 3.2.3
_DOT_DOMAIN = _ALPHANUMERIC + b"-_." + _UTF8
_ROUTE = _DOT_DOMAIN + b"@,"
_KEYWORD = _ALPHANUMERIC + b"-"
_IPV6 = b"0123456789abcdefABCDEF:."


class PathError(Exception):
    """The argument cannot be taken; `args[0]` is the Reply that says why."""


# The functions of the grammar take the index where their part begins, return the index where
# it ends, and raise ValueError where it is not well formed.


def _span(text: bytes, at: int, octets: bytes) -> int:
    """The index of the first octet from `at` on that is not one of `octets`."""
    # lstrip() looks at each octet without a loop in bytecode.
    return len(text) - len(text[at:].lstrip(octets))


def _dotted(text: bytes, at: int, octets: bytes) -> int:
    """Parts made of `octets`, none of them empty, with a dot between them."""
    end = _span(text, at, octets)
    if b"" in text[at:end].split(b"."):
        raise ValueError
    return end


def _quoted_string(text: bytes, at: int) -> tuple[bytes, int]:
    """(content with the quoting undone, end)."""
    content = bytearray()
    at += 1
    while True:
        octet = text[at] if at < len(text) else 0
        at += 1
        if octet == 0x22:
            return bytes(content), at
        if octet == 0x5C:
            octet = text[at] if at < len(text) else 0
            at += 1
        if octet < 0x20 or octet == 0x7F:
            raise ValueError
        content.append(octet)


def _address_literal(text: bytes, at: int) -> int:
    """RFC 5321 4.1.3. An IPv6 address is checked for its characters only."""
    end = text.find(b"]", at)
    address = text[at + 1:max(end, 0)]
    if address[:5].upper() == b"IPV6:":
        good = address.count(b":") > 2 and _span(address, 5, _IPV6) == len(address)
    else:
        numbers = address.split(b".")
        good = len(numbers) == 4
        for number in numbers:
            good = good and number.isdigit() and len(number) <= 3 and int(number) <= 255
    if not good:
        raise ValueError
    return end + 1


def _mailbox(text: bytes, at: int) -> tuple[bytes, bytes, int]:
    """(local part with the quoting undone, domain in lower case, end)."""
    if text[at:at + 1] == b'"':
        local, end = _quoted_string(text, at)
    else:
        end = _dotted(text, at, _DOT_ATEXT)
        local = text[at:end]
    if end - at > limits.MAX_LOCAL_PART:
        raise PathError(replies.PATH_TOO_LONG)
    if text[end:end + 1] != b"@":
        return local, b"", end
    at = end + 1
    if text[at:at + 1] == b"[":
        end = _address_literal(text, at)
    else:
        end = _dotted(text, at, _DOT_DOMAIN)
    return local, text[at:end].lower(), end


def _source_route(text: bytes, at: int) -> int:
    """`@a,@b:`, or nothing. Only its characters are checked: it is dropped."""
    if text[at:at + 1] != b"@":
        return at
    return _expect(text, _span(text, at, _ROUTE), b":")


def _expect(text: bytes, at: int, octet: bytes) -> int:
    if text[at:at + 1] != octet:
        raise ValueError
    return at + 1


def _path(text: bytes, null_allowed: bool) -> tuple[bytes, bytes, bytes, int]:
    """(mailbox as it was sent, local part, domain, end)."""
    if text[:1] != b"<":
        local, domain, end = _mailbox(text, 0)
        return text[:end], local, domain, end
    if null_allowed and text[:2] == b"<>":
        return b"", b"", b"", 2
    at = _source_route(text, 1)
    local, domain, end = _mailbox(text, at)
    return text[at:end], local, domain, _expect(text, end, b">")


def _after_keyword(argument: bytes, keyword: bytes) -> bytes:
    """What stands after the keyword and the colon, stripped; b"" if they are not there."""
    if argument[:len(keyword)].upper() != keyword:
        return b""
    rest = argument[len(keyword):].strip()
    return rest[1:].strip() if rest[:1] in (b":", b";") else b""


def _parameters(text: bytes) -> list[tuple[bytes, bytes | None]]:
    """RFC 5321 4.1.2: [(keyword in capitals, value or None where there is no "=")]. A value may
    have octets over 127, which are UTF-8 (RFC 6531 3.3).

    None of them may come twice (RFC 1870 6, RFC 3461 5.1.1 and 5.2.1, and good sense).
    """
    items = text.split()
    if len(items) > limits.MAX_PARAMETERS:
        raise PathError(replies.BAD_PARAMETER)
    parameters = []
    for item in items:
        keyword, equals, value = item.partition(b"=")
        if not is_ascii(value):
            try:
                check_utf8(value)
            except ValueError:
                raise PathError(replies.BAD_PARAMETER)
        keyword = keyword.upper()
        if (keyword[:1] in (b"", b"-") or _span(keyword, 0, _KEYWORD) != len(keyword)
                or b"=" in value or (equals and not value)
                or min(item) < 0x21 or 0x7F in item
                or keyword in [known for known, _ in parameters]):
            raise PathError(replies.BAD_PARAMETER)
        parameters.append((keyword, value if equals else None))
    return parameters


# What MicroPython's decoder lets pass though RFC 3629 4 does not, or what controls a terminal
# (U+0080 to U+009F): (first octet, least and greatest second one that is in order).
_SECOND = {0xC2: (0xA0, 0xBF), 0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF),
           0xF4: (0x80, 0x8F)}


def check_utf8(text: bytes) -> None:
    """Raise ValueError where `text` is no UTF-8 (RFC 3629), or has controls beyond ASCII."""
    str(text, "utf-8")  # a UnicodeError is a ValueError
    for at in range(len(text)):
        octet = text[at]
        if octet in (0xC0, 0xC1) or octet > 0xF4:
            raise ValueError
        least, greatest = _SECOND.get(octet, (0, 0xFF))
        if octet in _SECOND and not least <= text[at + 1] <= greatest:
            raise ValueError


def is_ascii(path: bytes) -> bool:
    """Whether a path that `parse` gave can be sent without SMTPUTF8."""
    return not path or max(path) < 0x80


def parse(argument: bytes, kind: tuple) -> tuple[bytes, bytes, bytes, list]:
    """The (path, local part, domain, parameters) of what stands after MAIL or RCPT.

    `kind`: REVERSE or FORWARD. path: the mailbox as it was sent, without brackets and source
    route, printable UTF-8, b"" for the null reverse-path. local part: quoting undone. domain:
    lower case, b"" where none was given. parameters: [(KEYWORD, value or None)].
    Raises PathError.
    """
    keyword, syntax, bad_path = kind
    text = _after_keyword(argument, keyword)
    if not text:
        raise PathError(syntax)
    try:
        path, local, domain, end = _path(text, kind is REVERSE)
        if text[end:end + 1].strip():
            raise ValueError
        if not is_ascii(path):
            check_utf8(path)
    except ValueError:
        raise PathError(bad_path)
    if len(path) + 2 > limits.MAX_PATH:
        raise PathError(replies.PATH_TOO_LONG)
    return path, local, domain, _parameters(text[end:])
