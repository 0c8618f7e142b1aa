"""POP3 sessions for the leak test: each function is one kind, and returns how many it was.

Three accounts have letters, one for each client; a kind takes one for as long as it lasts.
"""

from __future__ import annotations

import base64
import contextlib
import queue
import ssl
import time
from collections.abc import Iterator

from tests.fuzz.leak_smtp import connected, reset, seated
from tests.support.wire import Lines, send

USERS = {"cat": "pw", "cow": "pw", "dog": "pw"}  # none of leak_smtp's
_LETTER = b"Subject: a\r\n\r\n.\r\nFrom x\r\nIt works.\r\n"
_LARGE = b"Subject: b\r\n\r\n" + b"0123456789\r\n" * 20_000  # more than is on its way at once
_STOCK = (_LETTER, _LARGE, _LETTER * 40)
_ATTEMPTS = 15  # a session has 20 errors
_SEAT_ATTEMPTS = 300  # 3 s
_free: queue.Queue = queue.Queue()


def prepare(appliance) -> int:
    """Letters for everybody; how many sessions that took."""
    for letter in _STOCK:
        reply = send(appliance.smtp, letter, to=tuple(f"{user}@xyz.com".encode() for user in USERS))
        assert reply.startswith(b"250"), reply
    while not _free.empty():  # an earlier appliance's
        _free.get()
    for user in USERS:
        _free.put(user.encode())
    return len(_STOCK)


class _Session(Lines):
    """A greeted session."""

    @classmethod
    def begin(cls, appliance, address: str) -> _Session:
        return seated(appliance.pop3, address, b"-ERR [SYS/TEMP]", cls)

    def say(self, *dialogue: bytes) -> None:
        """Commands and beginnings of the answers' first lines in turns."""
        for command, answer in zip(dialogue[::2], dialogue[1::2], strict=True):
            self.socket.sendall(command + b"\r\n")
            line = self.line()
            assert line.startswith(answer), (command, line)

    def all(self, *commands: bytes) -> None:
        """Multi-line answers, to their ends."""
        for command in commands:
            self.say(command, b"+OK")
            while (line := self.line()) != b".\r\n":
                assert line, f"hung up in the middle of {command}"

    def log_in(self, user: bytes) -> None:
        """Who used the mailbox before may still be on the way out."""
        for _ in range(_ATTEMPTS):
            self.say(b"USER " + user, b"+OK")
            self.socket.sendall(b"PASS pw\r\n")
            line = self.line()
            if not line.startswith(b"-ERR [IN-USE]"):
                break
            time.sleep(0.01)
        assert line.startswith(b"+OK maildrop"), line

    def quit(self) -> int:
        self.say(b"QUIT", b"+OK")
        assert self.line() == b""
        self.close()
        return 1


@contextlib.contextmanager
def _maildrop(appliance, address: str) -> Iterator[tuple[_Session, bytes]]:
    """A session that is logged in, and its account."""
    user = _free.get()
    try:
        session = _Session.begin(appliance, address)
        session.log_in(user)
        yield session, user
    finally:
        _free.put(user)


def _leave(appliance, address):
    session = _Session.begin(appliance, address)
    session.close()
    return 1


def _greet(appliance, address):
    session = _Session.begin(appliance, address)
    session.all(b"CAPA")
    session.say(b"STAT", b"-ERR", b"AUTH", b"+OK")
    while session.line() != b".\r\n":
        pass
    return session.quit()


def _login(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        return session.quit()


def _wrong_password(appliance, address, user=b"cat"):
    session = _Session.begin(appliance, address)
    session.say(b"USER " + user, b"+OK", b"PASS wrong", b"-ERR [AUTH]", b"PASS pw", b"-ERR USER")
    return session.quit()


def _unknown_user(appliance, address):
    return _wrong_password(appliance, address, b"nobody")


def _guessing(appliance, address):
    session = _Session.begin(appliance, address)
    for _ in range(3):
        session.say(b"USER dog", b"+OK", b"PASS x", b"-ERR [AUTH]")
    assert session.line() == b""
    session.close()
    return 1


def _reader(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        session.say(b"STAT", b"+OK")
        session.all(b"LIST", b"UIDL", b"RETR 1", b"RETR 3", b"TOP 2 5", b"TOP 1 999")
        session.say(b"LIST 1", b"+OK", b"UIDL 2", b"+OK", b"LIST 99", b"-ERR", b"NOOP", b"+OK",
                    b"DELE 2", b"+OK", b"RETR 2", b"-ERR", b"RSET", b"+OK")
        return session.quit()


def _large_letter(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        session.all(b"RETR 2")
        return session.quit()


def _deleted(appliance, address):
    with _maildrop(appliance, address) as (session, user):
        sessions = session.quit()
        with seated(appliance.smtp, address, b"421") as sender:
            sender.socket.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n" % user)
            replies = [sender.reply()[:3] for _ in range(4)]
            assert replies == [b"250", b"250", b"250", b"354"], replies
            assert sender.say(_LETTER.replace(b"\r\n.", b"\r\n..") + b".").startswith(b"250")
            assert sender.say(b"QUIT").startswith(b"221")
        session = _Session.begin(appliance, address)
        session.log_in(user)
        session.say(b"DELE 4", b"+OK")
        return sessions + 1 + session.quit()


def _dropped(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        session.say(b"DELE 1", b"+OK", b"DELE 2", b"+OK")
        return reset(session)


def _hung_up(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        session.say(b"DELE 3", b"+OK")
        session.close()
        return 1


def _aborted_in_a_letter(appliance, address):
    with _maildrop(appliance, address) as (session, _):
        session.say(b"RETR 2", b"+OK")
        return reset(session)


def _aborted_in_a_listing(appliance, address):
    """Of 300, which are not all made when it goes."""
    with _maildrop(appliance, address) as (session, _):
        session.socket.sendall(b"LIST\r\nUIDL\r\n" * 150)
        session.line()
        return reset(session)


def _in_use(appliance, address):
    with _maildrop(appliance, address) as (session, user):
        second = _Session.begin(appliance, address)
        second.say(b"USER " + user, b"+OK", b"PASS pw", b"-ERR [IN-USE]")
        return second.quit() + session.quit()


def _too_long(appliance, address):
    session = _Session.begin(appliance, address)
    session.say(b"USER " + b"x" * 5000, b"-ERR", b"USER " + b"y" * 200, b"-ERR", b"\0" * 254,
                b"-ERR")
    return session.quit()


def _junk(appliance, address):
    session = _Session.begin(appliance, address)
    session.socket.sendall((b"\x00" * 40 + b"\r\n") * 21)
    for _ in range(21):
        assert session.line().startswith(b"-ERR")
    assert session.line() == b""
    session.close()
    return 1


def _auth(appliance, address):
    user = _free.get()
    try:
        session = _Session.begin(appliance, address)
        session.say(b"AUTH PLAIN", b"+ ", b"*", b"-ERR", b"AUTH NTLM", b"-ERR",
                    b"AUTH LOGIN", b"+ ", b"!", b"-ERR",
                    b"AUTH PLAIN " + base64.b64encode(b"\0x\0y"), b"-ERR [AUTH]")
        for _ in range(_ATTEMPTS):
            session.socket.sendall(b"AUTH PLAIN %s\r\n" % base64.b64encode(b"\0%s\0pw" % user))
            line = session.line()
            if not line.startswith(b"-ERR [IN-USE]"):
                break
            time.sleep(0.01)
        assert line.startswith(b"+OK maildrop"), line
        return session.quit()
    finally:
        _free.put(user)


def _tls_refused(appliance) -> None:
    appliance.tls_refused = getattr(appliance, "tls_refused", 0) + 1


def _stls(appliance, address):
    session = _Session.begin(appliance, address)
    session.socket.sendall(b"STLS\r\n")
    if session.line().startswith(b"-ERR [SYS/TEMP]"):  # no piece of the heap is large enough
        _tls_refused(appliance)
        return session.quit()
    session.start_tls()
    return _in_tls(session)


def _pop3s(appliance, address):
    for _ in range(_SEAT_ATTEMPTS):
        heard = len(appliance.events)
        session = connected(_Session, appliance.ports[995], source=address)
        try:
            session.start_tls()
        except (ssl.SSLError, ConnectionResetError) as error:
            session.close()
            if _had_a_seat(appliance, heard, isinstance(error, ConnectionResetError)):
                _tls_refused(appliance)
                return 1
            continue  # those who have just left still have theirs
        assert session.line().startswith(b"+OK")
        return _in_tls(session)
    raise AssertionError("no seat became free")


def _had_a_seat(appliance, heard: int, reset: bool) -> bool:
    """Whether the session at port 995 that failed was one: an alert tells nothing, and with a
    `reset` it may be that nobody listened (see `connected`)."""
    for _ in range(_SEAT_ATTEMPTS):
        for event in appliance.events[heard:]:
            if event.get("service") == "pop3s":
                if event["event"] == "closed":
                    return True
                if event["event"] == "refused" and event["why"].endswith("sessions are in use"):
                    return False
        time.sleep(0.01)
    assert reset, "nothing was said of a session at port 995"
    return False


def _in_tls(session: _Session) -> int:
    user = _free.get()
    try:
        session.log_in(user)
        session.all(b"LIST", b"RETR 1")
        session.say(b"QUIT", b"+OK")
        session.close()
        return 1
    finally:
        _free.put(user)


# How many of each are in a round.
KINDS = ((_leave, 6), (_greet, 4), (_login, 6), (_wrong_password, 2),
         (_unknown_user, 2), (_guessing, 1), (_reader, 4), (_large_letter, 1), (_deleted, 2),
         (_dropped, 2), (_hung_up, 2), (_aborted_in_a_letter, 2), (_aborted_in_a_listing, 2),
         (_in_use, 1), (_too_long, 2), (_junk, 1), (_auth, 2), (_stls, 1), (_pop3s, 1))
# One of these at a time: a second TLS session finds room or not.
ALONE = (_stls, _pop3s)
