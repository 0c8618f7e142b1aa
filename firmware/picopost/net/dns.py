"""The IPv4 address of a name, from a DNS server: one question, one answer (RFC 1035).

lwIP's own way, getaddrinfo, keeps everybody waiting until it has one.
"""

import errno
import os

from micropython import const

PORT = const(53)
_HEADER = const(12)
_RECURSION = b"\1\0\0\1\0\0\0\0\0\0"  # RD; one question
_TYPE_CLASS = b"\0\1\0\1"  # A, IN
_ID = const(2)
_RESPONSE = const(0x80)  # QR, in front of OPCODE, which is 0
_CODE = const(0x0F)  # RCODE
_NO_SUCH_NAME = const(3)
_POINTER = const(0xC0)
_RECORD = const(10)  # TYPE, CLASS, TTL, RDLENGTH


def question(name):
    """A query for the address of `name` (text), with an ID that nobody knows beforehand. ValueError
    for what is no name (2.3.4).
    """
    message = os.urandom(_ID) + _RECURSION
    for label in name.encode().rstrip(b".").split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError("no name of a host")
        message += bytes((len(label),)) + label
    return message + b"\0" + _TYPE_CLASS


def address(answer, asked):
    """The first address in an answer to the question `asked`, 4 octets. Aliases (CNAME) stand
    before it, and are passed over. ValueError, which says why there is none.
    """
    end = len(asked)
    # 7.3: the ID, and the question as we put it.
    if (len(answer) < end or answer[:_ID] != asked[:_ID] or answer[2] & 0xF8 != _RESPONSE
            or answer[_HEADER:end].lower() != asked[_HEADER:].lower()):
        raise ValueError("an answer to another question")
    code = answer[3] & _CODE
    if code:
        raise ValueError("it knows no such name" if code == _NO_SUCH_NAME
                         else "it says error %d" % code)
    for _ in range(answer[6] << 8 | answer[7]):
        end = _behind_name(answer, end)
        data = end + _RECORD
        if data > len(answer):
            break
        length = answer[data - 2] << 8 | answer[data - 1]
        if answer[end : end + 4] == _TYPE_CLASS and length == 4 and data + 4 <= len(answer):
            return answer[data : data + 4]
        end = data + length
    raise ValueError("it knows no address of that name")


def _behind_name(answer, at):
    """Where what follows a name begins (4.1.4)."""
    while at < len(answer) and answer[at]:
        if answer[at] >= _POINTER:
            return at + 2
        at += 1 + answer[at]
    return at + 1


async def resolve(link, name, timeout):
    """The address of `name` as text; one that is an address already is not asked for. OSError where
    the link's DNS server does not tell it within `timeout` ms.
    """
    if name.replace(".", "").isdigit():
        return name
    server = link.dns
    try:
        asked = question(name)
        answer = await link.exchange(server, PORT, asked, timeout)
        if answer is None:
            raise OSError(errno.ETIMEDOUT, "the DNS server %s does not answer" % server)
        return "%d.%d.%d.%d" % tuple(address(answer, asked))
    except ValueError as error:
        raise OSError(errno.EIO, "DNS server %s, asked for %s: %s" % (server, name, error))
