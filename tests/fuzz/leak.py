"""Thousands of short sessions of all kinds, and what they leave in the heap: nothing.

`vm_main.py` collects the garbage whenever the last session has ended, and says how much lives.
"""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.sockets import MAIN
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3

USERS = {"girl": "pw", "boy": "pw"}
_CLIENTS = 3  # at once; a board has five seats
_FIRST_ADDRESS, _ADDRESSES = 20, 40  # clients are 127.0.0.20 to .59, more than are remembered
# What is filled once: modules, the table of failing addresses, tables of asyncio and of the index.
WARM_UP = 1000
_GROUP = 8  # samples
# Octets (of the 64-bit VM): 64 blocks of its heap. Measured: -300 to +700. A block (32) that every
# session leaves is 288,000 in the 9,000 sessions after the warm-up.
MAY_DIFFER = 2048
_ATTEMPTS = 300  # 3 s for others to leave; a seat that is lost stays so
_LETTER = b"Subject: a\r\n\r\nIt works.\r\n.\r\n"
_LARGE = b"0123456789\r\n" * 600 + b".\r\n"


class Leak:
    """`samples`: [(sessions so far, octets that live)] with no session open. Use as a context
    manager."""

    def __init__(self, card: Path, seed: int, board: str = "pico_w"):
        self.samples: list[tuple[int, int]] = []
        self._random = random.Random(seed)
        self._sessions = 0
        self._failures: list[str] = []
        self._counting = threading.Lock()
        self._alone = threading.Lock()
        self.appliance = Appliance(card, board, USERS, main=MAIN)

    def run(self, count: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """At least so many more sessions. AssertionError where one is not served as it should."""
        goal = self._sessions + count
        while self._sessions < goal:
            kinds = [kind for kind, times in _KINDS for _ in range(times)]
            self._random.shuffle(kinds)
            clients = [threading.Thread(
                target=self._client,
                args=(kinds[number::_CLIENTS], f"127.0.0.{_FIRST_ADDRESS + address}"))
                for number, address in enumerate(self._random.sample(range(_ADDRESSES), _CLIENTS))]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            assert not self._failures, self._failures
            # One in fifty meets a task of the background that has not ended, and is some KB higher.
            octets = min(self._level(), self._level())
            assert not self.appliance.faults(), self.appliance.faults()
            self.samples.append((self._sessions, octets))
            del self.appliance.events[:]
            progress(self._sessions)

    def _level(self) -> int:
        """What lives once one more session, which does nothing, has ended."""
        self._client([_leave], f"127.0.0.{_FIRST_ADDRESS}")
        return self.appliance.wait_for("heap", sessions=self._sessions)["octets"]

    def _client(self, kinds, address: str) -> None:
        for kind in kinds:
            try:
                with self._alone if kind in _ALONE else contextlib.nullcontext():
                    sessions = kind(self.appliance, address)
            except Exception as error:
                self._failures.append(f"{kind.__name__} from {address}: {error!r}")
                return
            with self._counting:
                self._sessions += sessions

    def judge(self, warm_up: int = WARM_UP) -> str:
        """What the samples say. AssertionError where the level rises.

        The floor is judged, the least of some samples.
        """
        warm = [sample for sample in self.samples if sample[0] > warm_up]
        third = max(1, len(warm) // 3)
        grown = (min(octets for _, octets in warm[-third:])
                 - min(octets for _, octets in warm[:third]))
        group = max(1, min(_GROUP, third))
        floor = [(warm[at][0], min(octets for _, octets in warm[at:at + group]))
                 for at in range(0, len(warm) - group + 1, group)]
        rise = slope(floor) * (floor[-1][0] - floor[0][0])
        text = (f"{self._sessions} sessions; {warm[0][1]} octets live after {warm[0][0]}, "
                f"{warm[-1][1]} after {warm[-1][0]}; from the first third to the last the floor "
                f"rises by {grown:+d}, the fitted line by {rise:+.0f}; TLS refused "
                f"{getattr(self.appliance, 'tls_refused', 0)} times")
        assert grown <= MAY_DIFFER and rise <= MAY_DIFFER, text
        return text

    def __enter__(self) -> Leak:
        return self

    def __exit__(self, *exception) -> None:
        self.appliance.__exit__(*exception)


def slope(samples: list[tuple[int, int]]) -> float:
    """Octets a session, of the line that fits best (least squares)."""
    count = len(samples)
    middle = sum(x for x, _ in samples) / count
    level = sum(y for _, y in samples) / count
    spread = sum((x - middle) ** 2 for x, _ in samples)
    return sum((x - middle) * (y - level) for x, y in samples) / spread if spread else 0.0


# --- sessions: each returns how many it was --------------------------------------------------


def _smtp(appliance, address: str) -> Lines:
    for _ in range(_ATTEMPTS):
        connection = Lines(appliance.smtp, source=address)
        reply = connection.reply()
        if not reply.startswith(b"421"):
            break
        connection.close()  # those who have just left still have their seats
        time.sleep(0.01)
    _expect(reply, b"220")
    return connection


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


def _reset(connection: Lines) -> int:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return 1


def _leave(appliance, address):
    connection = Lines(appliance.smtp, source=address)
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
        reader = Pop3(appliance.pop3, name, USERS[name], source=address)
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
    return _reset(connection)


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
_KINDS = ((_leave, 6), (_greet, 7), (_login, 3), (_wrong_login, 2), (_refused, 5), (_letter, 2),
          (_large_letter, 1), (_chunks, 3), (_aborted, 3), (_aborted_late, 1), (_junk, 1),
          (_tls, 1))
# One of these at a time: a mailbox has one reader, and a second TLS session finds room or not.
_ALONE = (_tls, _letter, _large_letter)
