"""The time of day from a server in the network: SNTP (RFC 4330), one question, one answer."""

import errno
import os

from micropython import const

PORT = const(123)
_SIZE = const(48)
_QUESTION = const(0x23)  # LI 0, version 4, mode 3: a client
_SERVER = const(4)  # the mode of an answer
_UNKNOWN = const(3)  # LI of a server whose own clock is not set
_MOST_STRATUM = const(15)
_STRATUM, _ORIGINATE, _TRANSMIT = const(1), const(24), const(40)
# From 1900 to 1970; and to 2036, where the seconds begin anew (RFC 4330 3).
_TO_1970 = 2_208_988_800
_ERA = 1 << 32


def question():
    """One to send. Its transmit timestamp is a number that nobody knows beforehand: the answer has
    to repeat it, so that a stranger cannot answer in the server's place.
    """
    message = bytearray(_SIZE)
    message[0] = _QUESTION
    message[_TRANSMIT:] = os.urandom(8)
    return message


def seconds(answer, asked):
    """Seconds since 1970 of an answer to the question `asked`. ValueError, which says why, for what
    is none, or comes from a server without the time (RFC 4330 5).
    """
    if len(answer) < _SIZE or answer[0] & 7 != _SERVER:
        raise ValueError("no answer of a time server")
    if answer[_ORIGINATE : _ORIGINATE + 8] != asked[_TRANSMIT:]:
        raise ValueError("an answer to another question")
    if answer[0] >> 6 == _UNKNOWN or not 0 < answer[_STRATUM] <= _MOST_STRATUM:
        raise ValueError("a server that does not know the time")
    given = 0
    for octet in answer[_TRANSMIT : _TRANSMIT + 4]:
        given = given << 8 | octet
    if not any(answer[_TRANSMIT:_SIZE]):
        raise ValueError("a server that does not know the time")
    return given - _TO_1970 + (0 if given >> 31 else _ERA)


async def ask(link, server, timeout):
    """Seconds since 1970 by `server`, an address as text. OSError where it does not answer within
    `timeout` ms, or with nothing that is to be believed.
    """
    asked = question()
    answer = await link.exchange(server, PORT, asked, timeout)
    if answer is None:
        raise OSError(errno.ETIMEDOUT, "no answer")
    try:
        return seconds(answer, asked)
    except ValueError as error:
        raise OSError(errno.EIO, str(error))
