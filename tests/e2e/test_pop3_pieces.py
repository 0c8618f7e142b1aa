"""Messages of several sessions at once through the buffer they share, and what one allocates."""

import random
from pathlib import Path

import pytest

from tests.support.appliance import Appliance
from tests.support.running import Running
from tests.support.wire import Pop3, send

SUPPORT = Path(__file__).parents[1] / "support"
MAINS = {"pico_w": SUPPORT / "lwip_room.py", "pico_w5500": None}
READERS = ("ann", "bob", "cid")
# Octets of the 64-bit VM's heap. Measured: 39 and 5,550, of these 1,900 for the line in the log and
# 2,900 for the command.
_A_KILOBYTE = 48
_A_SMALL_MESSAGE = 6_500


def letter(name: str) -> bytes:
    """400 KB that no other reader's message has a line of, with dots and From_ lines in it."""
    rng = random.Random(name)
    starts = (b".", b"From ", b">From ", b"", b"", b"", b"", b"")
    return b"Subject: pieces\r\n\r\n" + b"".join(
        rng.choice(starts) + b"%s %08x %s\r\n" % (name.encode(), rng.getrandbits(32), b"x" * 50)
        for _ in range(5_500))


@pytest.mark.parametrize("board", MAINS)
@pytest.mark.timeout(120)
def test_slow_readers_at_once_get_what_is_theirs(tmp_path, board):
    with Appliance(tmp_path / "card.img", board, dict.fromkeys(READERS, "pw"),
                   main=MAINS[board]) as appliance:
        for name in READERS:
            assert send(appliance.smtp, letter(name), to=(b"%s@xyz.com" % name.encode(),)
                        ).startswith(b"250")
        rng = random.Random(board)
        readers = {name: Pop3(appliance.pop3, name, "pw") for name in READERS}
        got = dict.fromkeys(READERS, b"")
        for reader in readers.values():
            reader.socket.sendall(b"RETR 1\r\n")
        while unfinished := [name for name in READERS if not got[name].endswith(b"\r\n.\r\n")]:
            name = rng.choice(unfinished)
            piece = readers[name].socket.recv(rng.choice((100, 2000, 30_000)))
            assert piece, "the session ended in the middle of a message"
            got[name] += piece
        for name, reader in readers.items():
            first, _, text = got[name].partition(b"\r\n")
            assert first.startswith(b"+OK ")
            lines = [line[1:] if line.startswith(b".") else line for line in text.split(b"\r\n")]
            text = b"\r\n".join(lines[:-2]) + b"\r\n"
            assert b"+OK %d octets" % len(text) == first
            assert text.endswith(letter(name))
            reader.quit()
        assert not appliance.faults()


def test_what_a_message_on_its_way_out_allocates(tmp_path):
    """A collection comes every 16 KB of it, and takes longer than all else in these pieces."""
    with Running(tmp_path, main=SUPPORT / "allocation_probe.py") as running:
        (tmp_path / "flash" / "card_image").write_text(str(tmp_path / "card.img"))
        running.wait_for("ready")
        large = (b"x" * 76 + b"\r\n") * 26_000
        small = b"Subject: small\r\n\r\n" + (b"x" * 76 + b"\r\n") * 12
        for text in (large, small):
            assert send(running.smtp, text).startswith(b"250")
        reader = Pop3(running.pop3, "girl", "pw")
        sizes = reader.sizes()
        costs = {}
        for number in (1, 2):
            totals = []
            for _ in range(6):
                reader.retrieve(number)
                totals.append(running.wait_for("fetched")["allocated"])
            # Where the client was too slow for once it is more.
            costs[number] = min(after - before
                                for before, after in zip(totals[:-1], totals[1:], strict=True))
        reader.quit()
    assert costs[1] <= _A_SMALL_MESSAGE + _A_KILOBYTE * sizes[1] / 1024
    assert costs[2] <= _A_SMALL_MESSAGE
