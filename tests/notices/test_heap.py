"""What notices take of the heap: no more for a large letter, and nothing that stays."""

from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.notices.servers import Web
from tests.support.appliance import Appliance
from tests.support.ports import free_port_offset
from tests.support.wire import Lines, send

PROBE = Path(__file__).parents[1] / "support" / "notices_probe.py"
WEB = 8123
_LINE = b"QUJD" * 19 + b"\r\n"
_MAY_GROW = 8 * 1024
# Octets of the 64-bit VM; measured: 0. A block (32) that each of 180 notices left would be 5,760.
_MAY_DIFFER = 1_024
# What is loaded for a notice is not there behind it.
_MODULES = 24_000


def letter(size: int) -> bytes:
    return (b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\nLook.\r\n"
            b"--b\r\nContent-Type: image/jpeg; name=a.jpg\r\n"
            b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
            + _LINE * (size // len(_LINE)) + b"--b--\r\n")


def send_in_pieces(port: int, text: bytes) -> None:
    """`send`'s time is for one call; here it is for a MB."""
    with Lines(port) as smtp:
        smtp.reply()
        for command in (b"EHLO abc.com", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA"):
            assert smtp.say(command)[:1] in b"23"
        for at in range(0, len(text), 1 << 20):
            smtp.socket.sendall(text[at : at + (1 << 20)])
        assert smtp.say(b".").startswith(b"250")


@pytest.fixture
def begin(tmp_path):
    def start(board, **more):
        offset = free_port_offset((25, 110, WEB))
        web = Web(offset + WEB)
        return web, Appliance(tmp_path / "card.img", board, main=PROBE, offset=offset,
                              more=("--in-place",), settings={
            "notices": [{"post": f"http://host.lan:{WEB}/"}], **more})
    return start


@pytest.mark.timeout(300)
def test_a_letter_of_100_mb_takes_no_more_than_one_of_10_kb(begin, capsys):
    web, appliance = begin("pico_w", max_message_size=120_000_000)
    peaks = []
    with web, appliance:
        for size in (10_000, 10_000, 100_000_000):
            send_in_pieces(appliance.smtp, letter(size))
            told = web.next()[2]
            assert told["attachments"] == ["a.jpg"] and told["text"] == "Look."
            assert told["octets"] > size - 100
            event = appliance.wait_for("round")
            peaks.append(event["peak"] - event["live"])
        assert not appliance.faults()
    with capsys.disabled():
        print(f"\nheap while a letter is read for a notice: {peaks} (64-bit VM, in place)")
    assert min(peaks) > _MODULES
    assert abs(peaks[2] - peaks[1]) <= _MAY_GROW, peaks


@pytest.mark.parametrize("board", KINDS)
def test_two_hundred_notices_leave_nothing(begin, board):
    web, appliance = begin(board)
    lives = []
    with web, appliance:
        for number in range(220):
            letter = b"Subject: number %d\r\nFrom: <a%d@lan>\r\n\r\ntext %d\r\n" % ((number,) * 3)
            assert send(appliance.smtp, letter).startswith(b"250")
            assert web.next()[2]["subject"] == f"number {number}"
            lives.append(appliance.wait_for("round")["live"])
        assert not appliance.faults()
    # Some rounds end beside a session that has not ended yet.
    assert min(lives[-20:]) - min(lives[20:40]) <= _MAY_DIFFER, lives
