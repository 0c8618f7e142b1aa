"""Letters made of what SMTP, POP3 and mbox could trip over, sent by DATA or BDAT in packets cut
anywhere, and read back by POP3: whatever octets went in, RFC 1939 says what comes out.
"""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.e2e.letters import without_trace
from tests.fuzz.sockets import MAIN
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, stuffed

USERS = {"girl": "pw"}
_PAUSE = 0.002  # s, so that the board reads a packet before the next one comes
_MOST_PACKETS, _MOST_PAUSES, _MOST_CHUNKS = 200, 8, 20  # of a letter; what is left goes in one
_EVERYTHING = 4_294_967_295  # lines, as clients ask TOP for all of them
_LARGE = 100_000  # octets; of more TOP is not asked for all

_OUR_TRACE = (b"Return-Path: <boy@abc.com>\r\n"
              b"Received: from abc.com ([127.0.0.1])\r\n\tby xyz.com with ESMTP id "
              b"00000001.00000001\r\n\tfor <girl@xyz.com>;\r\n"
              b"\tTue, 24 Nov 2026 15:00:00 +0000\r\n")
# What stands before a letter in its segment: a From_ line, and ours with LF line ends.
BEFORE = (len(b"From boy@abc.com Tue Nov 24 15:00:00 2026\n")
          + len(_OUR_TRACE) - _OUR_TRACE.count(b"\r"))
_PIECES = (
    b"Subject: a\r\n", b"Subject: a\r\n\r\n", b"\r\n", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n",
    b"text\r\n", b"x", b"\t", b" folded\r\n", b"no colon here\r\n",
    b".", b"..", b".\r\n", b"..\r\n", b"...\r\n", b".hidden\r\n", b"\r\n.", b"\r\n.\r\n",
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n..",
    b"From ", b"From x\r\n", b">From x\r\n", b">>From x\r\n", b">", b"> From x\r\n", b"F", b"From",
    b">From"[:4], b"\nFrom x", b"\n>From x", b"\rFrom x", b"\r\r\nFrom x",
    b"From boy@abc.com Tue Nov 24 15:00:00 2026\r\n", b"\r\n\r\nFrom boy@abc.com\r\n",
    b"\r", b"\r\r", b"\r\r\n", b"\n", b"\n\n", b"\n\r", b"\n\r\n", b"\r\n\r",
    b"\0", b"\0" * 40, b"\xff\xfe", b"\xc3\xa4\r\n", b"\x80", b"\x1a", b"\x0f\x10",
    _OUR_TRACE, b"Return-Path: <>\r\n", b"Status: RO\r\n", b"X-UID: 1\r\n",
    b"QUIT\r\n", b"+OK\r\n", b"-ERR\r\n", b"BDAT 5 LAST\r\n",
    b"y" * 76 + b"\r\n", b"y" * 998 + b"\r\n", b"z" * 1500)
_TEXT = st.lists(st.sampled_from(_PIECES), max_size=10).map(b"".join)
_TIMES = st.sampled_from((1,) * 12 + (4, 40))
# Octets in front, so that what follows lies across an end: of the receive buffer, or of half a card
# block or a block, with our lines before it.
_FRONT = st.sampled_from((2048, 4096, 6144, 8192, 12288)).flatmap(
    lambda edge: st.one_of(st.integers(edge - BEFORE - 24, edge - BEFORE + 8),
                           st.integers(edge - 12, edge + 2)))
_MEGABYTE = 1_000_000  # a line
_PACKETS = st.lists(st.sampled_from((10_000, 10_000, 1, 2, 3, 5, 8, 30, 60, 100, 536, 1460, 2048)),
                    min_size=1, max_size=6)
_CHUNKS = st.lists(st.sampled_from((0, 1, 2, 3, 7, 50, 500, 2000, 2048, 4096, 100_000)),
                   min_size=1, max_size=4).filter(any)


@dataclass
class Letter:
    """`text` as its sender has it; by DATA it ends in CRLF, or is empty.

    chunks   sizes of BDAT's chunks, again from the first when they are used up; []: by DATA
    packets  sizes of what is sent at once, in the same way
    lines    what TOP asks for, beside 0, 1 and everything
    """

    text: bytes
    chunks: list[int]
    packets: list[int]
    lines: int

    def wire(self) -> tuple[bytes, int]:
        """(all that the client sends after RCPT, or after DATA's 354; how many replies follow)."""
        if not self.chunks:
            return stuffed(self.text) + b".\r\n", 1
        commands, at = [], 0
        for size in _sizes(self.chunks, _MOST_CHUNKS, len(self.text)):
            commands.append(b"BDAT %d\r\n" % size + self.text[at:at + size])
            at += size
        commands.append(b"BDAT %d LAST\r\n" % (len(self.text) - at) + self.text[at:])
        return b"".join(commands), len(commands)

    @property
    def received(self) -> bytes:
        """The text as POP3 has to give it, behind our own lines.

        CRLF where a bare LF was, and at the end (DESIGN.md: deviation from RFC 5321 4.1.1.4).
        """
        text = re.sub(rb"(?<!\r)\n", b"\r\n", self.text)
        return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def _sizes(cycle: list[int], most: int, whole: int) -> Iterator[int]:
    """The sizes in turn, as long as they are less than what is left of `whole` and `most`."""
    for number in range(most):
        size = cycle[number % len(cycle)]
        if size >= whole:
            return
        whole -= size
        yield size


@st.composite
def letters(draw) -> Letter:
    """Any one letter."""
    text = draw(_TEXT) * draw(_TIMES)
    kind = draw(st.integers(0, 299))
    if kind < 100:
        text = b"y" * draw(_FRONT) + text
    elif kind == 211:  # not an end of the range: hypothesis draws those often
        text += b"m" * _MEGABYTE + draw(_TEXT)
    chunks = draw(st.one_of(st.just([]), _CHUNKS))
    if not chunks and text and not text.endswith(b"\r\n"):
        text += b"\r\n"
    return Letter(text, chunks, draw(_PACKETS), draw(st.integers(2, 12)))


def mailbags():
    """Up to six letters of one SMTP session."""
    return st.lists(letters(), min_size=1, max_size=6)


def top(text: bytes, lines: int) -> bytes:
    """RFC 1939 7: the header, the blank line and `lines` lines of the body; all of a message in
    which no blank line ends the header."""
    header, blank, body = text.partition(b"\r\n\r\n")
    if not blank:
        return text
    return header + blank + b"".join(line + b"\r\n" for line in body.split(b"\r\n")[:-1][:lines])


class Player:
    """A running appliance that carries mailbags. `letters`, `octets` count."""

    def __init__(self, card: Path, board: str):
        self.appliance = Appliance(card, board, USERS, main=MAIN)
        self.letters = self.octets = 0

    def play(self, bag: list[Letter]) -> None:
        """AssertionError where a letter does not come back as it has to."""
        try:
            self._send(bag)
            self._check(bag)
        except (AssertionError, OSError):
            with self._session("pop3") as reader:  # the next example is not to meet these again
                reader.delete_all()
                reader.quit()
            raise
        assert not self.appliance.faults(), self.appliance.faults()
        del self.appliance.events[:]
        self.letters += len(bag)
        self.octets += sum(len(letter.text) for letter in bag)

    def _send(self, bag: list[Letter]) -> None:
        with self._session("smtp") as session:
            assert session.reply().startswith(b"220")
            assert session.say(b"EHLO abc.com").startswith(b"250")
            for letter in bag:
                envelope = [b"MAIL FROM:<boy@abc.com>", b"RCPT TO:<girl@xyz.com>"]
                envelope += [] if letter.chunks else [b"DATA"]
                session.socket.sendall(b"".join(line + b"\r\n" for line in envelope))
                for line in envelope:
                    reply = session.reply()
                    assert reply.startswith(b"354" if line == b"DATA" else b"250"), reply
                octets, replies = letter.wire()
                self._cut(session.socket, octets, letter.packets)
                for _ in range(replies):
                    reply = session.reply()
                    assert reply.startswith(b"250"), reply
            assert session.say(b"QUIT").startswith(b"221")

    @staticmethod
    def _cut(connection, octets: bytes, packets: list[int]) -> None:
        """Send it in packets, with a moment for the board between the first of them."""
        at = 0
        for number, size in enumerate(_sizes(packets, _MOST_PACKETS, len(octets))):
            connection.sendall(octets[at:at + size])
            at += size
            if number < _MOST_PAUSES:
                select.select([connection], (), (), _PAUSE)
        connection.sendall(octets[at:])

    def _check(self, bag: list[Letter]) -> None:
        """Twice: the second session finds what the first one did, and empties the mailbox."""
        uids = []
        for deletes in (False, True):
            with self._session("pop3") as reader:
                assert reader.count == len(bag)
                texts = [reader.text(number) for number in range(1, len(bag) + 1)]
                for number, (letter, text) in enumerate(zip(bag, texts, strict=True), 1):
                    received = without_trace(text)
                    assert received == letter.received, _difference(number, received,
                                                                    letter.received)
                    if not deletes:
                        reader.check_top(number, text, letter.lines)
                uids.append(reader.check_listings(texts))
                if deletes:
                    reader.delete_all()
                reader.quit()
        assert uids[0] == uids[1], uids

    @contextmanager
    def _session(self, service: str) -> Iterator[Lines]:
        """A session there, which the appliance has ended too when the block is left."""
        session = Reader(self.appliance) if service == "pop3" else Lines(self.appliance.smtp)
        try:
            yield session
        finally:
            session.close()
            self.appliance.wait_for("closed", service=service)

    def close(self) -> None:
        self.appliance.stop()

    def __enter__(self) -> Player:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.appliance.kill()


class Reader(Pop3):
    """A POP3 session that believes nothing. `count` messages wait."""

    def __init__(self, appliance: Appliance):
        super().__init__(appliance.pop3, "girl", USERS["girl"])
        self.count = int(self.command(b"STAT").split()[1])

    def multiline(self) -> tuple[bytes, bytes]:
        """(the first line of a reply that is due, the text behind it)."""
        first = self.ok()
        text = bytearray()
        while (line := self.line()) != b".\r\n":
            assert line.endswith(b"\r\n"), f"a bare LF in a reply: {line[-80:]!r}"
            text += line[1:] if line.startswith(b".") else line
        return first, bytes(text)

    def text(self, number: int) -> bytes:
        """The whole message, of the size that RETR's reply says."""
        self.socket.sendall(b"RETR %d\r\n" % number)
        first, text = self.multiline()
        assert first == b"+OK %d octets\r\n" % len(text), (first, len(text))
        return text

    def delete_all(self) -> None:
        """Marks them; QUIT deletes."""
        for number in range(1, self.count + 1):
            self.command(b"DELE %d" % number)

    def check_top(self, number: int, text: bytes, some: int) -> None:
        """What TOP gives is the top of `text`, for no line, one, `some` and all."""
        counts = (0, 1, some) if len(text) > _LARGE else (0, 1, some, _EVERYTHING)
        self.socket.sendall(b"".join(b"TOP %d %d\r\n" % (number, lines) for lines in counts))
        for lines in counts:
            _, given = self.multiline()
            wanted = top(text, lines)
            assert given == wanted, f"TOP {number} {lines}: {_difference(number, given, wanted)}"

    def check_listings(self, texts: list[bytes]) -> list[bytes]:
        """STAT, LIST and UIDL, both ways, speak of these texts; returns the unique-ids."""
        sizes = [len(text) for text in texts]
        assert self.command(b"STAT") == b"+OK %d %d\r\n" % (len(texts), sum(sizes))
        commands = [b"LIST", b"UIDL"]
        commands += [b"%s %d" % (verb, number) for number in range(1, len(texts) + 1)
                     for verb in (b"LIST", b"UIDL")]
        self.socket.sendall(b"".join(command + b"\r\n" for command in commands))
        _, listing = self.multiline()
        assert listing == b"".join(b"%d %d\r\n" % each for each in enumerate(sizes, 1))
        _, listing = self.multiline()
        uids = [re.search(rb" id ([0-9a-f.]{17})(?:\r\n\t|;)", text)[1] for text in texts]
        assert listing == b"".join(b"%d %s\r\n" % each for each in enumerate(uids, 1)), listing
        assert len(set(uids)) == len(uids)
        for number, (size, uid) in enumerate(zip(sizes, uids, strict=True), 1):
            assert self.ok() == b"+OK %d %d\r\n" % (number, size)
            assert self.ok() == b"+OK %d %s\r\n" % (number, uid)
        return uids


def _difference(number: int, given: bytes, wanted: bytes) -> str:
    at = next((at for at, (one, other) in enumerate(zip(given, wanted, strict=False))
               if one != other), min(len(given), len(wanted)))
    start = max(0, at - 20)
    return (f"message {number}: {len(given)} octets for {len(wanted)}, different from octet {at} "
            f"on: {given[start:at + 40]!r} for {wanted[start:at + 40]!r}")
