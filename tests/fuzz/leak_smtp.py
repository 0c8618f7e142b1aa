"""SMTP sessions for the leak test: each function is one kind, and returns how many it was."""

from __future__ import annotations

import base64
import socket
import struct
import time
from collections.abc import Callable

from tests.support.wire import Lines, Pop3

USERS = {"girl": "pw", "boy": "pw"}
_ATTEMPTS = 300  # 3 s for others to leave; a seat that is lost stays so
_LETTER = b"Subject: a\r\n\r\nIt works.\r\n.\r\n"
_LARGE = b"0123456789\r\n" * 600 + b".\r\n"


def connected(make: Callable, *arguments, **more):
    """A connection, once there is a listener for it: a W5500 refuses whom it has no socket for, and
    so does the kernel in its place with those who come in the same moment."""
    for _ in range(_ATTEMPTS):
        try:
            return make(*arguments, **more)
        except (ConnectionRefusedError, ConnectionResetError):
            time.sleep(0.01)
    raise AssertionError("nobody listens")


def seated(port: int, address: str, no_seat: bytes, kind: type[Lines] = Lines) -> Lines:
    """A connection that has heard a greeting other than `no_seat`: that is for who comes while
    those who have just left still have their seats."""
    def greeted() -> tuple[Lines, bytes]:
        connection = kind(port, source=address)
        return connection, connection.line()

    for _ in range(_ATTEMPTS):
        connection, reply = connected(greeted)
        if not reply.startswith(no_seat):
            return connection
        connection.close()
        time.sleep(0.01)
    raise AssertionError(f"no seat became free: {reply!r}")


def prepare(appliance) -> int:
    """Nothing has to be there; no session."""
    return 0


def _smtp(appliance, address: str) -> Lines:
    return seated(appliance.smtp, address, b"421")


def _expect(reply: bytes, code: bytes) -> None:
    assert reply.startswith(code), reply


def _say(connection: Lines, *dialogue: bytes) -> None:
    """Commands and the codes of their replies in turns."""
    for command, code in zip(dialogue[::2], dialogue[1::2], strict=True):
        _expect(connection.say(command), code)


def _quit(connection: Lines) -> int:
    _say(connection, b"QUIT", b"221")
    assert connection.line() == b""
    connection.close()
    return 1


def reset(connection: Lines) -> int:
    """Leave by a RST."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return 1


def leave(appliance, address):
    """A session that does nothing; its greeting is read, or who knows whether it was one."""
    connection = _smtp(appliance, address)
    connection.close()
    return 1


def _greet(appliance, address):
    connection = _smtp(appliance, address)
    _say(connection, b"EHLO x", b"250")
    return _quit(connection)


def _login(appliance, address, password=b"pw", code=b"235"):
    connection = _smtp(appliance, address)
    response = base64.b64encode(b"\0girl\0" + password)
    _say(connection, b"EHLO x", b"250", b"AUTH PLAIN " + response, code, b"AUTH LOGIN",
         b"503" if code == b"235" else b"334", b"*", b"50" if code == b"235" else b"501")
    return _quit(connection)


def _wrong_login(appliance, address):
    return _login(appliance, address, b"wrong", b"535")


def _refused(appliance, address):
    connection = _smtp(appliance, address)
    _say(connection, b"EHLO x", b"250", b"MAIL FROM:<a@b.c> SIZE=99999999999", b"552",
         b"MAIL FROM:<a@b.c> SIZE=100", b"250", b"RCPT TO:<nobody@xyz.com>", b"550",
         b"RCPT TO:<a..b>", b"501", b"DATA", b"554", b"RSET", b"250")
    return _quit(connection)


def _letter(appliance, address, text=_LETTER):
    connection = _smtp(appliance, address)
    _say(connection, b"EHLO x", b"250", b"MAIL FROM:<boy@xyz.com>", b"250",
         b"RCPT TO:<girl@xyz.com> NOTIFY=SUCCESS", b"250", b"DATA", b"354")
    connection.socket.sendall(text)
    _expect(connection.reply(), b"250")
    _quit(connection)
    for name in USERS:  # the letter, and the report of its delivery
        reader = connected(Pop3, appliance.pop3, name, USERS[name], source=address)
        for number in reader.sizes():
            reader.text(number)
            reader.command(b"DELE %d" % number)
        reader.quit()
    return 1 + len(USERS)


def _large_letter(appliance, address):
    return _letter(appliance, address, _LARGE)


def _chunks(appliance, address):
    connection = _smtp(appliance, address)
    _say(connection, b"EHLO x", b"250", b"MAIL FROM:<>", b"250", b"RCPT TO:<girl>", b"250")
    connection.socket.sendall(b"BDAT 5000\r\n" + b"x" * 5000)
    _expect(connection.reply(), b"250")
    _say(connection, b"DATA", b"503", b"RSET", b"250", b"BDAT 0", b"503")
    return _quit(connection)


def _aborted(appliance, address, text=b"Subject: a\r\n\r\nhalf"):
    connection = _smtp(appliance, address)
    _say(connection, b"HELO x", b"250", b"MAIL FROM:<>", b"250", b"RCPT TO:<girl>", b"250",
         b"DATA", b"354")
    connection.socket.sendall(text)
    return reset(connection)


def _aborted_late(appliance, address):
    return _aborted(appliance, address, b"x" * 20_000)


def _junk(appliance, address):
    connection = _smtp(appliance, address)
    connection.socket.sendall((b"\x00" * 40 + b"\r\n") * 21)
    for _ in range(21):
        _expect(connection.reply(), b"500")
    _expect(connection.reply(), b"421")
    connection.close()
    return 1


def _tls(appliance, address):
    connection = _smtp(appliance, address)
    _say(connection, b"EHLO x", b"250")
    reply = connection.say(b"STARTTLS")
    if reply.startswith(b"454"):  # the heap has no piece that is large enough, at times
        appliance.tls_refused = getattr(appliance, "tls_refused", 0) + 1
        return _quit(connection)
    _expect(reply, b"220")
    connection.start_tls()
    _say(connection, b"EHLO x", b"250", b"STARTTLS", b"503", b"QUIT", b"221")
    connection.close()
    return 1


# How many of each are in a round.
KINDS = ((leave, 6), (_greet, 7), (_login, 3), (_wrong_login, 2), (_refused, 5), (_letter, 2),
         (_large_letter, 1), (_chunks, 3), (_aborted, 3), (_aborted_late, 1), (_junk, 1),
         (_tls, 1))
# One of these at a time: a mailbox has one reader, and a second TLS session finds room or not.
ALONE = (_tls, _letter, _large_letter)
