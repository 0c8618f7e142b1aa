"""One POST of JSON by HTTP/1.1 (RFC 9110, RFC 9112). No octet of a letter is in the header."""

import asyncio
import errno

from micropython import const

from picopost import limits

_STATUS = const(12)  # HTTP/1.1 200
_MOST_PIECES = const(32)
_AGAIN = (408, 429)  # a timeout, and too many requests (RFC 9110 15.5.9, RFC 6585 4)


class Refused(Exception):
    """The server does not want it; `advice` says what to change."""

    def __init__(self, why, advice):
        super().__init__(why)
        self.advice = advice


async def post(connection, host, path, body):
    """None when the server has taken it (2xx), else what to raise once it was heard out: OSError,
    or Refused where it would be in vain again. Both may be raised at once, too.
    """
    await connection.write(b"POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: picopost\r\n"
                           b"Content-Type: application/json\r\nContent-Length: %d\r\n"
                           b"Connection: close\r\n\r\n" % (path.encode(), host.encode(), len(body)))
    await connection.write(body)
    line = bytearray(_STATUS)
    await read(connection, line)
    code = bytes(line[9:])
    if line[:7] != b"HTTP/1." or line[8] != 0x20 or not code.isdigit():
        raise Refused("it does not speak HTTP", "see server and port in the setting notices")
    code = int(code)
    if code // 100 == 2:
        return None
    why = "it answers HTTP %d" % code
    if code // 100 == 5 or code in _AGAIN:
        return OSError(errno.EIO, why)
    return Refused(why, "see the URL in the setting notices: is it the server's own, by http, and "
                   "needs it a login?")


async def hear_out(connection):
    """Up to the end of what the server says, unless that is long. All is said: its log might find
    us rude, no more.
    """
    try:
        await asyncio.wait_for_ms(_read_on(connection), limits.NOTICE_REST)
    except (OSError, asyncio.TimeoutError):
        pass


async def _read_on(connection):
    rest = bytearray(limits.NOTICE_WORD)
    for _ in range(_MOST_PIECES):
        await read(connection, rest)


async def read(connection, buffer):
    """Fill all of `buffer`. OSError where the stream ends before."""
    view = memoryview(buffer)
    at = 0
    while at < len(buffer):
        count = connection.read_now(view[at:])
        if count is None:
            await connection.wait_readable()
        elif count:
            at += count
        else:
            raise OSError(errno.ECONNRESET, "it hung up")
