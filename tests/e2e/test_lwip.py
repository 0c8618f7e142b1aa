"""The appliance on lwIP as MicroPython's images have it: five connections, and 8,000 octets for all
that is written. Where a write would wait inside C the model says so, and that is a fault here."""

import socket
import struct
import time
from pathlib import Path

import pytest

from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3, send

MAIN = Path(__file__).parents[1] / "support" / "lwip_model.py"
USERS = {name: "pw" for name in ("girl", "ann", "bob", "cid")}
LETTER = b"Subject: hello\r\n\r\nIt works.\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%076d\r\n" % line for line in range(2_500))
# Seconds, on a machine that does other things too: a write that waits in C takes 10.
PROMPT = 5


@pytest.fixture
def appliance(tmp_path):
    with Appliance(tmp_path / "card.img", users=USERS, main=MAIN) as appliance:
        yield appliance
        assert not appliance.faults()


def keep(appliance, name: str, text: bytes) -> None:
    assert send(appliance.smtp, text, to=(b"%s@xyz.com" % name.encode(),)).startswith(b"250")


class Sluggard(Pop3):
    """A reader with the smallest buffer that Linux has, in the midst of a large message."""

    def __init__(self, appliance, name: str):
        super().__init__(appliance.pop3, name, "pw", receive_buffer=2_304)
        self.socket.sendall(b"RETR 1\r\n")


def reset(client: Lines) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.timeout(240)
def test_readers_who_stop_hold_up_nobody(appliance):
    for name in ("ann", "bob", "cid"):
        keep(appliance, name, LARGE)
    sluggards = [Sluggard(appliance, name) for name in ("ann", "bob")]
    time.sleep(2)  # they get what there is room for, and more is waiting
    longest = 0.0
    for _ in range(10):
        began = time.monotonic()
        keep(appliance, "girl", LETTER)
        longest = max(longest, time.monotonic() - began)
    began = time.monotonic()
    keep(appliance, "girl", LARGE)
    assert longest < PROMPT and time.monotonic() - began < 4 * PROMPT
    # A third one's message goes on beside them, and when they read at last, so do theirs.
    reader = Pop3(appliance.pop3, "cid", "pw")
    assert reader.text(1).endswith(LARGE)
    reader.quit()
    for sluggard in sluggards:
        sluggard.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        text = sluggard.file.read(len(LARGE))
        while not text.endswith(b"\r\n.\r\n"):
            text += sluggard.line()
        assert text.startswith(b"+OK ") and LARGE in text
        sluggard.quit()


@pytest.mark.parametrize("tls", [False, True])
def test_resets_in_the_middle(appliance, tls):
    """Of a message on its way out, of one on its way in, of a handshake."""
    keep(appliance, "ann", LARGE)
    for _ in range(3):
        if not tls:
            reset(Sluggard(appliance, "ann"))
        with Lines(appliance.smtp) as sender:
            sender.reply()
            sender.say(b"EHLO x")
            if tls:
                assert sender.say(b"STARTTLS").startswith(b"220")
                sender.start_tls()
                sender.say(b"EHLO x")
            sender.say(b"MAIL FROM:<a@b.c>")
            sender.say(b"RCPT TO:<girl@xyz.com>")
            assert sender.say(b"DATA").startswith(b"354")
            sender.socket.sendall(LARGE[: 100_000])
            reset(sender)
        with Lines(appliance.smtp) as sender:
            sender.reply()
            if tls:
                sender.say(b"STARTTLS")
                sender.socket.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            else:
                sender.socket.sendall(b"NOOP\r\n" * 500)
            reset(sender)
    keep(appliance, "girl", LETTER)
    reader = Pop3(appliance.pop3, "girl", "pw")
    assert len(reader.sizes()) == 1
    reader.quit()


def test_large_mail_over_tls(appliance):
    keep(appliance, "ann", LARGE)
    reader = Pop3.__new__(Pop3)
    Lines.__init__(reader, appliance.pop3)
    reader.ok()
    reader.command(b"STLS")
    reader.start_tls()
    reader.command(b"USER ann")
    reader.command(b"PASS pw")
    assert reader.text(1).endswith(LARGE)
    reader.quit()


def test_the_sixth_client_comes_when_another_leaves(appliance):
    five = [Lines(appliance.smtp) for _ in range(5)]
    for session in five:
        assert session.reply().startswith(b"220")
    sixth = Lines(appliance.smtp)
    sixth.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        sixth.socket.recv(1, socket.MSG_PEEK)
    sixth.socket.settimeout(60)
    assert five.pop().say(b"QUIT").startswith(b"221")
    assert sixth.reply().startswith(b"220")
    for session in (sixth, *five):
        assert session.say(b"QUIT").startswith(b"221")
        session.close()
