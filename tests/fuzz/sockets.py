"""Random sessions over sockets: their octets cut anywhere, hung up anywhere, some in TLS. The model
says what has to be answered, and POP3 what has to have arrived.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import grammar
from tests.fuzz.dialogue import REPLY, check_reply
from tests.fuzz.model import Directory, Rules
from tests.fuzz.stream import Letter, Stream
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

MAIN = Path(__file__).with_name("vm_main.py")
_PATIENCE = 20  # s for anything that a session has to say
_RESET = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
_ATTEMPTS, _REFUSED_PAUSE = 200, 0.05  # to connect; s
_PAUSE = 0.002  # s, so that the board reads a packet before the next one comes
_MAX_SIZE = 65536
USERS = {"girl": grammar.PASSWORD.decode(), "dog": grammar.PASSWORD.decode()}
_DIRECTORY = Directory(tuple(USERS), (b"xyz.com", b"xyz.com.local"), {"all": ("girl", "dog")},
                       delimiter=b"+")
RULES = (Rules(), Rules(line_ends="reject"), Rules(require_auth=True), Rules(require_tls=True),
         Rules(auth=False), Rules(auth="any"), Rules(starttls=False))
_FIRST_CLIENT = 10  # 127.0.0.10 comes under RULES[0], and so on
_LANS = {"pico_w": "127.0.0.", "pico_w5500": "192.168.77."}
_TLS_AT_ONCE = 1
# A board refuses TLS when its heap has no piece left that is large enough, and is right to. Here
# each session is to be served, so there is more of it.
_HEAP = "320wK"

# What mail is made of, for better or worse.
_TEXT = st.lists(st.sampled_from([
    b"Subject: a\r\n\r\n", b"text\r\n", b"\r\n", b"x", b".", b"..", b".\r\n", b"\r\n.", b"\n.\n",
    b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"From ", b">From ", b">", b"F", b"\nFrom x",
    b"\r", b"\n", b"\x00", b"\xff\xfe", b"\xc3\xa4", b"y" * 998 + b"\r\n", b"z" * 1500,
    b"MAIL FROM:<evil@b.c>\r\n", b"QUIT\r\n", b"Received: x\r\n" * 100, b"\x16"]), max_size=8)
_TIMES = st.sampled_from((1, 1, 1, 1, 1, 1, 4, 40))
_TOO_BIG = st.just((b"0123456789" * 8 + b"\r\n") * 850)
_SIZES = st.lists(st.sampled_from((10_000, 1, 2, 3, 5, 8, 13, 30, 60, 100, 536, 1460, 2048)),
                  min_size=1, max_size=8)
_PAUSES = st.lists(st.sampled_from((False, False, True)), min_size=1, max_size=8)
_MOST_PAUSES = 30  # in a session
_READ = 1400  # octets of a packet that a board reads in one go


@dataclass
class Session:
    """One client. `octets`: what it sends, a piece for each TLS state; between them it does the
    handshake. `end`: "fin" or "rst"."""

    rules: int
    tls: bool
    octets: list[bytes]
    sizes: list[int]
    pauses: list[bool]
    waits: bool
    end: str

    def packets(self, octets: bytes):
        at = number = 0
        while at < len(octets):
            size = self.sizes[number % len(self.sizes)]
            yield octets[at:at + size], self.pauses[number % len(self.pauses)]
            at += size
            number += 1


@dataclass
class Seen:
    """What a client heard: the octets, and whether it heard the end."""

    octets: bytes = b""
    end: bool = False
    failure: str = ""
    codes: list[int] = field(default_factory=list)

    @property
    def replies(self) -> int:
        return len(REPLY.findall(self.octets))


@st.composite
def sessions(draw, may_tls: bool = True, most: int = 40) -> Session:
    """Up to `most` lines with mail between them."""
    rules = draw(st.sampled_from(range(len(RULES))))
    tls = may_tls and draw(st.integers(0, 19)) == 19
    stream = Stream(RULES[rules], _DIRECTORY, _MAX_SIZE, USERS, "", tls)
    octets = [b""]

    def send(piece: bytes) -> None:
        octets[-1] += piece
        stream.feed(piece)

    for _ in range(draw(st.integers(1, most))):
        line, count = grammar.draw_line(draw, stream.talk)
        if draw(st.integers(0, 99)) == 99:
            line = b"\x16\x03\x01\x00"  # the beginning of TLS, unasked
        if not may_tls and line.strip().upper() == b"STARTTLS":
            line = b"NOOP"
        end = draw(st.sampled_from((b"\r\n",) * 9 + (b"\n",)))
        for _ in range(count):
            send(line + end)
            if stream.in_data:
                send(_content(draw))
                if stream.in_data:
                    send(draw(st.sampled_from((b"\r\n.\r\n",) * 9 + (b"",))))
            elif stream.chunk_left:
                send((_content(draw) or b"-").ljust(min(stream.chunk_left, 4000), b"-")
                     [:stream.chunk_left])
            if stream.closed or stream.tls_due:
                break
        if stream.closed:
            break
        if stream.tls_due:
            octets.append(b"")
            stream.tls_started()
    if draw(st.integers(0, 4)) == 4:
        octets[-1] = octets[-1][:draw(st.integers(0, len(octets[-1])))]
    return Session(rules, tls, octets, draw(_SIZES), draw(_PAUSES), draw(st.booleans()),
                   draw(st.sampled_from(("fin",) * 5 + ("rst",))))


def _content(draw) -> bytes:
    if draw(st.integers(0, 49)) == 49:
        return draw(_TOO_BIG)
    return b"".join(draw(_TEXT)) * draw(_TIMES)


@st.composite
def crowds(draw) -> list[Session]:
    """One to three sessions at the same time."""
    count = draw(st.sampled_from((1, 1, 2, 3)))
    return [draw(sessions(may_tls=number < _TLS_AT_ONCE)) for number in range(count)]


def expected(session: Session, peer: str) -> tuple[Stream, list[int]]:
    """(the model at the session's end, replies that are due before each handshake)."""
    stream = Stream(RULES[session.rules], _DIRECTORY, _MAX_SIZE, USERS, peer, session.tls)
    due = []
    for number, octets in enumerate(session.octets):
        if number:
            # Never so after a cut: it shortens what follows the last handshake only.
            assert stream.tls_due
            due.append(len(stream.codes))
            stream.tls_started()
        stream.feed(octets)
    return stream, due


class Player:
    """A running appliance that plays crowds of sessions. `lines`, `sessions`, `letters` count."""

    def __init__(self, card: Path, board: str):
        self.board = board
        clients = {f"{_LANS[board]}{_FIRST_CLIENT + number}": rules.settings()
                   for number, rules in enumerate(RULES)}
        self.appliance = Appliance(card, board, USERS, {
            "max_message_size": _MAX_SIZE, "aliases": {"all": ["girl", "dog"]}, "clients": clients},
            heap=_HEAP, main=MAIN)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self.lines = self.sessions = self.letters = 0

    def play(self, crowd: list[Session]) -> None:
        """AssertionError where a reply, a mailbox or an event is not as the model has it."""
        peers = [f"{_LANS[self.board]}{_FIRST_CLIENT + session.rules}" for session in crowd]
        wanted = [expected(session, peer) for session, peer in zip(crowd, peers, strict=True)]
        seen = [Seen() for _ in crowd]
        clients = [threading.Thread(target=self._client, args=each)
                   for each in zip(crowd, [due for _, due in wanted], seen,
                                   [stream for stream, _ in wanted], strict=True)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        failures = [heard.failure for heard in seen if heard.failure]
        assert not failures, failures
        for _ in crowd:
            while self.appliance.wait_for("closed")["service"] == "pop3":
                pass
        assert not self.appliance.faults(), self.appliance.faults()
        letters, maybe = [], []
        for session, heard, (stream, _) in zip(crowd, seen, wanted, strict=True):
            self.sessions += 1
            self.lines += stream.lines
            _judge(session, heard, stream)
            for letter in stream.letters:
                (letters if letter.reply < heard.replies else maybe).append(letter)
        if letters or maybe:
            for name in USERS:
                self._check_mailbox(name, letters, maybe)
        self.letters += len(letters)

    def check_all(self) -> None:
        """Nothing lies in the mailboxes, and nobody complained; at the end."""
        for name in USERS:
            self._check_mailbox(name, [], [])
        assert not self.appliance.faults(), self.appliance.faults()

    # --- a client ----------------------------------------------------------------------------

    def _client(self, session: Session, due: list[int], seen: Seen, stream: Stream) -> None:
        try:
            for _ in range(_ATTEMPTS):
                if self._try(session, due, seen, stream):
                    return
                select.select((), (), (), _REFUSED_PAUSE)
            seen.failure = "never connected"
        except TimeoutError:
            seen.failure = f"nothing more came within {_PATIENCE} s"
        except Exception as error:
            seen.failure = repr(error)

    def _try(self, session: Session, due: list[int], seen: Seen, stream: Stream) -> bool:
        """False where there was no listener: the W5500 has few. A SYN that is let in by the host
        just as the last one goes is refused by a RST."""
        endpoint = None
        seen.end, seen.failure = False, ""
        try:
            endpoint = self._connect(session)
            self._speak(endpoint, session, due, seen, stream)
        except ConnectionRefusedError:
            return False
        except OSError as error:
            if error.errno not in _RESET and not isinstance(error, ssl.SSLError):
                raise
            # It was reset, as happens to who goes on after the end; the judge says whether so.
            seen.failure = "" if stream.closed else repr(error)
        finally:
            if endpoint:
                endpoint.close()
        return bool(seen.octets) or self.board != "pico_w5500"

    def _connect(self, session: Session) -> socket.socket:
        port = self.appliance.ports[465 if session.tls else 25]
        source = (f"127.0.0.{_FIRST_CLIENT + session.rules}", 0)
        endpoint = socket.create_connection(("127.0.0.1", port), _PATIENCE, source)
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(endpoint) if session.tls else endpoint

    def _speak(self, endpoint, session: Session, due: list[int], seen: Seen, stream) -> None:
        secured = session.tls
        if session.waits or session.end == "rst":  # a RST that comes too soon makes no session
            _hear(endpoint, seen, 1)
        pauses = 0
        for number, octets in enumerate(session.octets):
            if number:
                _hear(endpoint, seen, due[number - 1])
                endpoint = self._context.wrap_socket(endpoint)
                secured = True
            for packet, pause in session.packets(octets):
                endpoint.sendall(packet)
                if pause and pauses < _MOST_PAUSES:
                    pauses += 1
                    if select.select([endpoint], (), (), _PAUSE)[0]:
                        _hear_some(endpoint, seen)
        if session.end == "rst":
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif secured and not stream.closed:
            _hear(endpoint, seen, len(stream.codes))  # a TLS client cannot end one way only
            seen.end = True
        else:
            if not secured:
                endpoint.shutdown(socket.SHUT_WR)
            while not seen.end:
                _hear_some(endpoint, seen)
        endpoint.close()

    # --- what arrived ------------------------------------------------------------------------

    def _check_mailbox(self, name: str, letters: list[Letter], maybe: list[Letter]) -> None:
        reader = Pop3(self.appliance.pop3, name, USERS[name])
        texts = [reader.text(number) for number in reader.sizes()]
        for number in range(len(texts)):
            reader.command(b"DELE %d" % (number + 1))
        reader.quit()
        self.appliance.wait_for("closed", service="pop3")
        wanted = [letter for letter in letters if letter.mailbox == name]
        possible = [letter for letter in maybe if letter.mailbox == name]
        for text in texts:
            for group in (wanted, possible):
                found = next((letter for letter in group if letter.matches(text)), None)
                if found:
                    group.remove(found)
                    break
            else:
                raise AssertionError(f"nobody sent this to {name}: {text[:600]!r}... of "
                                     f"{len(text)} octets; missing: "
                                     f"{[each.text for each in wanted]!r:.600}")
        assert not wanted, f"{name} lacks {[(each.pattern, each.text) for each in wanted]!r:.1200}"

    def close(self) -> None:
        self.appliance.stop()

    def __enter__(self) -> Player:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.appliance.kill()


def _hear_some(endpoint, seen: Seen) -> None:
    octets = endpoint.recv(65536)
    seen.octets += octets
    seen.end = not octets


def _hear(endpoint, seen: Seen, replies: int) -> None:
    while seen.replies < replies and not seen.end:
        _hear_some(endpoint, seen)


def _judge(session: Session, seen: Seen, stream: Stream) -> None:
    """What a client heard is what the model says; the beginning of it where it went by RST, or
    spoke on after the end, for the octets that nobody reads make TCP forget the last replies."""
    codes = stream.codes
    matches = list(REPLY.finditer(seen.octets))
    came = [int(match["last"]) for match in matches]
    at_once = len(session.octets) == 1 and len(session.octets[0]) <= min(session.sizes[0], _READ)
    partial = session.end == "rst" or stream.unread and not at_once
    assert came == [code for code, _, _ in codes[:len(came) if partial else None]], (
        f"{[code for code, _, _ in codes]} was wanted, {came} came: {seen.octets[-300:]!r}")
    for match, (code, extended, offers) in zip(matches, codes, strict=False):
        check_reply(match[0], [code], extended, offers, b"")
