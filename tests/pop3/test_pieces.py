"""How a message goes out: through the buffer that all sessions share, or a session's own."""

import random

import pytest

from tests.support.vm import Vm

STUB = '''
import asyncio, gc, io, micropython
from picopost import limits
from picopost.net.channel import Channel
from picopost.net.server import Seat
from picopost.pop3 import session as pop3
from picopost.pop3.session import Session

bulk = bytearray(limits.BULK_BUFFER)

def scribble():
    """What other sessions do with the shared buffer whenever this one waits."""
    for i in range(0, len(bulk), 7):
        bulk[i] = 0x58

class Connection:
    """Takes at once what `takes` says, call by call, then all; the rest when it is waited for."""
    peer = "10.0.0.1"
    def __init__(self, piece, takes):
        self.piece = piece
        self.takes = takes
        self.got = bytearray()
        self.longest = 0
        self.waits = 0
    def write_now(self, buf):
        assert self.piece > limits.CARD_BLOCK, "not a call for this link"
        most = self.takes.pop(0) if self.takes else len(buf)
        self.longest = max(self.longest, len(buf))
        if not most:
            return None
        self.got += buf[:most]
        return min(most, len(buf))
    async def write(self, buf):
        self.longest = max(self.longest, len(buf))
        self.waits += 1
        for at in range(0, len(buf), 1000):
            scribble()
            await asyncio.sleep_ms(0)
            self.got += buf[at : at + 1000]
        scribble()

class Maildrop:
    """One segment, in which the text stands `offset` octets behind its start."""
    def __init__(self, text, offset, size):
        self.file = io.BytesIO(b"?" * offset + text + b"\\nFrom the next one\\n")
        self.offset, self.size = offset, size
    def open_message(self, number):
        self.file.seek(self.offset)
        return self.file, self.size

class Waiting:
    """A card that is busy before every second piece."""
    log_subjects = False
    notices = None
    def __init__(self):
        self.volume = self.Volume()
    class Volume:
        turn = False
        def ready(self):
            self.turn = not self.turn
            return self.turn
    async def ready(self):
        scribble()
        await asyncio.sleep_ms(0)

class Dialogue:
    message = 1

class Mailbox:
    name = "girl"

class Retrieving:
    """As much of a session as `_retrieve` needs."""
    def __init__(self, connection, text, offset, lines, size=None):
        seat = Seat()
        self._channel = Channel(connection, seat, lambda: bulk)
        self._view = memoryview(seat.block)
        self._state = pop3.new_sending()
        self._state_view = memoryview(self._state)
        self._saved_view = memoryview(pop3.new_sending())
        self._maildrop = Maildrop(text, offset, len(text) if size is None else size)
        self._dialogue = Dialogue()
        self._dialogue.lines = lines
        self._mailbox = Mailbox()
        self._office = Waiting()
        self._partial = False
    def _log(self, event, **fields):
        self.told = fields["octets"]

def retrieve(text, offset, lines, piece, takes):
    """(what the client got, octets as logged, longest piece, waits)"""
    connection = Connection(piece, list(takes))
    session = Retrieving(connection, text, offset, lines)
    asyncio.run(Session._retrieve(session, b"+OK here\\r\\n"))
    return bytes(connection.got), session.told, connection.longest, connection.waits

def fails(octets, size):
    """A file of so many octets that the index has with `size`: (errno, part of it is out)"""
    connection = Connection(limits.BULK_BUFFER, [])
    session = Retrieving(connection, b"x" * octets, 0, -1)
    session._maildrop.size = size
    session._maildrop.file = io.BytesIO(b"x" * octets)
    try:
        asyncio.run(Session._retrieve(session, b"+OK here\\r\\n"))
    except OSError as error:
        return error.errno, session._partial
'''


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=1024) as machine:
        machine.exec(STUB)
        yield machine


def text_of(seed: int, size: int) -> bytes:
    """Lines as mail has them and as it hardly has them, on the card: LF, quoted From_ lines."""
    rng = random.Random(seed)
    kinds = (lambda: b"x" * 76, lambda: b"." * rng.randrange(4), lambda: b"",
             lambda: b">From " + b"y" * rng.randrange(80), lambda: rng.randbytes(300).replace(
                 b"\n", b"").replace(b"\r", b""), lambda: b"." + b"z" * 70)
    weights = rng.choice(((90, 2, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1), (0, 5, 5, 0, 0, 1)))
    text = b"Subject: x\n\n"
    while len(text) < size:
        text += rng.choices(kinds, weights)[0]() + b"\n"
    return text[:size]


def on_the_wire(text: bytes, lines: int) -> tuple[bytes, int]:
    """RFC 1939: the answer to RETR, or to TOP for so many lines; and its octets unstuffed."""
    rows = text.split(b"\n")
    if not rows[-1]:
        rows.pop()
    if lines >= 0 and b"" in rows:
        rows = rows[:rows.index(b"") + 1 + lines]
    rows = [row[1:] if row.lstrip(b">").startswith(b"From ") and row.startswith(b">") else row
            for row in rows]
    stuffed = b"".join((b"." if row.startswith(b".") else b"") + row + b"\r\n" for row in rows)
    return b"+OK here\r\n" + stuffed + b".\r\n", sum(len(row) + 2 for row in rows)


LINKS = {"lwIP": "limits.BULK_BUFFER", "TLS": "4096", "W5500": "limits.WIZNET_PIECE"}


@pytest.mark.parametrize("link", LINKS)
def test_every_message_comes_out_whole_however_it_is_taken(vm, link):
    """The client takes all, some or nothing of each piece, and others use the shared buffer while
    it waits.
    """
    rng = random.Random(link)
    for seed in range(40):
        size = rng.choice((0, 1, 12, 13, 500, 4070, 4096, 8192, 8200, 20_000, 40_000))
        text = text_of(seed, size)
        lines = rng.choice((-1, -1, -1, 0, 3, 10_000))
        offset = rng.choice((0, 1, 60, 511, 512, 5000, 8191))
        takes = [rng.choice((0, 1, 700, 4000, 5000, 8000, 9999, 9999, 9999, 9999))
                 for _ in range(rng.randrange(60))]
        got, told, longest, _ = vm.eval(
            f"retrieve({text!r}, {offset}, {lines}, {LINKS[link]}, {takes!r})")
        wire, octets = on_the_wire(text, lines)
        case = seed, size, lines, offset, takes
        assert got == wire, case
        assert told == octets, case
        if link == "TLS":
            assert longest <= 4096, "more than a record"
        elif link == "W5500":
            assert longest <= 2058, "more than the chip takes, but for what ends a message"


@pytest.mark.parametrize("line", [b"", b"12", b"12345", b"."])
@pytest.mark.parametrize("most", [0, 0.3, 0.85])
def test_lines_that_grow_by_half_come_out_whole(vm, line, most):
    """The text is longer on the wire than on the card, so pieces end in the middle of what was
    read; `most` of them are taken whole.
    """
    for seed in range(4):
        rng = random.Random(f"{seed} {line} {most}")
        text = b"Subject: x\n\n" + (line + b"\n") * (30_000 // (len(line) + 1))
        takes = [9999 if rng.random() < most else rng.choice((0, 500, 3000)) for _ in range(80)]
        lines = rng.choice((-1, 2500))
        got, told, _, _ = vm.eval(f"retrieve({text!r}, {rng.choice((0, 60, 500))}, {lines}, "
                                  f"limits.BULK_BUFFER, {takes!r})")
        wire, octets = on_the_wire(text, lines)
        assert (got, told) == (wire, octets), (seed, lines, takes)


def test_a_chip_with_2_kb_a_socket_is_given_full_pieces(vm):
    text = (b"x" * 76 + b"\n") * 1000
    wire, _ = on_the_wire(text, -1)
    _, _, _, waits = vm.eval(f"retrieve({text!r}, 60, -1, limits.WIZNET_PIECE, ())")
    assert waits <= len(wire) / 2040 + 1


def test_who_takes_all_at_once_is_given_large_pieces_and_never_waited_for(vm):
    text = (b"x" * 76 + b"\n") * 1000
    _, _, longest, waits = vm.eval(f"retrieve({text!r}, 60, -1, limits.BULK_BUFFER, ())")
    assert longest > 8192 and waits == 0


def test_a_message_that_the_card_cuts_is_no_success(vm):
    for octets in (100, 5000):
        assert vm.eval(f"fails({octets}, {octets})") is None
        assert vm.eval(f"fails({octets}, {octets + 1})") == (5, True)
