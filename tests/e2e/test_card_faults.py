"""Faults of the card while mail arrives: never a 250 for what is not there, and service goes on.

The driver tries three times with a reset in between, so a fault that strikes once is healed and
its message accepted; one that stays ends in 4xx, and in a card that is taken anew.
"""

import pytest

from host_tools.emulator.card_image import CardImage
from tests.support.running import Running
from tests.support.wire import Lines, Pop3, send

# After a fault the driver says things that a healthy card need not hear; the model warns of them.
pytestmark = pytest.mark.filterwarnings("ignore:SD")

SMALL = b"Subject: s\r\n\r\nsmall\r\n"
LARGE = b"Subject: l\r\n\r\n" + b"".join(b"%070d\r\n" % i for i in range(400))

# name: schedules the fault on CardFaults
FAULTS = {
    "rejected block": lambda faults, sticky: faults.reject_write(2, sticky=sticky),
    "CRC error writing": lambda faults, sticky: faults.corrupt_write(2, sticky=sticky),
    "CRC error reading": lambda faults, sticky: faults.corrupt_read(1, sticky=sticky),
    "no read token": lambda faults, sticky: faults.no_read_token(1, sticky=sticky),
    "error token": lambda faults, sticky: faults.error_token(1, sticky=sticky),
    "garbled response": lambda faults, sticky: faults.corrupt_response(None, 2, sticky=sticky),
    "stuck busy": lambda faults, sticky: faults.stall(1, sticky=sticky),
}


def letters(running) -> list[bytes]:
    """What POP3 gives back, without the trace lines."""
    reader = Pop3(running.pop3, "girl", "pw")
    found = [reader.text(n)[reader.trace_octets(n):] for n in reader.sizes()]
    reader.quit()
    return found


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "stays"])
@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", FAULTS)
def test_fault_while_mail_arrives(tmp_path, name, text, sticky):
    with Running(tmp_path) as running:
        running.wait_for("ready")
        assert send(running.smtp, SMALL).startswith(b"250")
        faults = running.board.sd_card.faults
        FAULTS[name](faults, sticky)
        reply = send(running.smtp, text)
        struck = list(faults.fired)
        faults.clear()
        assert reply.startswith(b"250") or reply.startswith(b"4"), reply
        accepted = reply.startswith(b"250")
        if not accepted:
            event = running.wait_for("card_fault")
            assert "SD: " in event["error"], event
            running.wait_for("card_back")
        if sticky:
            assert struck
        assert send(running.smtp, SMALL).startswith(b"250")
        expected = [SMALL, text, SMALL] if accepted else [SMALL, SMALL]
        assert letters(running) == expected
        assert not any(event["event"] in ("fault", "console") for event in running.passed)


@pytest.mark.parametrize("name", ["CRC error reading", "no read token"])
def test_fault_while_mail_is_read(tmp_path, name):
    """The client hears of it, whatever number the error has; afterwards all is as it was."""
    with Running(tmp_path) as running:
        running.wait_for("ready")
        assert send(running.smtp, LARGE).startswith(b"250")
        with Lines(running.pop3) as reader:
            for command in (None, b"USER girl", b"PASS pw"):
                reader.socket.sendall(command + b"\r\n" if command else b"")
                assert reader.line().startswith(b"+OK")
            FAULTS[name](running.board.sd_card.faults, True)
            reader.socket.sendall(b"RETR 1\r\n")
            assert reader.line() == b"-ERR [SYS/TEMP] the mail cannot be read now\r\n"
        running.board.sd_card.faults.clear()
        assert "SD: " in running.wait_for("card_fault")["error"]
        running.wait_for("card_back")
        assert letters(running) == [LARGE]
        assert not any(event["event"] in ("fault", "console") for event in running.passed)


@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
def test_card_pulled_while_mail_arrives(tmp_path, text):
    """The same card comes back: its mail goes on. Another one: a mailbox set of its own."""
    with Running(tmp_path) as running:
        running.wait_for("ready")
        assert send(running.smtp, SMALL).startswith(b"250")
        card = running.board.sd_card
        card.faults.pull(3, on="write")
        assert send(running.smtp, text).startswith(b"451 4.3.0 ")
        running.wait_for("card_lost")
        assert send(running.smtp, SMALL).startswith(b"451 4.3.0 ")
        card.insert()
        running.wait_for("card_back")
        assert send(running.smtp, SMALL).startswith(b"250")
        assert letters(running) == [SMALL, SMALL]
        card.remove()
        running.wait_for("card_lost")
        with CardImage.create(tmp_path / "other.img") as other:
            card.insert(other, serial=2)
            running.wait_for("card_back")
            assert letters(running) == []
            assert send(running.smtp, LARGE).startswith(b"250")
            assert letters(running) == [LARGE]
            card.remove()
            running.wait_for("card_lost")
            card.insert(running.card, serial=1)
            running.wait_for("card_back")
        assert letters(running) == [SMALL, SMALL]


def test_stops_while_there_is_no_card(tmp_path):
    running = Running(tmp_path)
    running.board.sd_card.remove()
    with running:
        running.wait_for("no_card")


def test_no_card_and_a_card_without_file_system_are_named(tmp_path):
    running = Running(tmp_path)
    running.board.sd_card.remove()
    with running:
        assert "card" in running.wait_for("no_card")["why"]
        with CardImage.create(tmp_path / "blank.img", 8 << 20, formatted=False) as blank:
            running.board.sd_card.insert(blank)
            while "no FAT volume" not in running.wait_for("no_card")["why"]:
                pass
            running.board.sd_card.remove()
            running.board.sd_card.insert(running.card)
        running.wait_for("ready")
        assert send(running.smtp, SMALL).startswith(b"250")
