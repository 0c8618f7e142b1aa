"""`mail` at the console: numbers that stay, exclusivity, and deletion that is a promise."""

from __future__ import annotations

import pytest

from tests.console.conftest import IN_IMAGE
from tests.console.typist import Typist
from tests.deploy.usb_board import UsbBoard
from tests.support.wire import Lines, Pop3, send


def letters(board, *subjects: str) -> None:
    for subject in subjects:
        text = f"Subject: {subject}\r\n\r\nThis is {subject}.\r\n".encode()
        assert send(board.smtp, text).startswith(b"250")


def listed(typist, command: str = "mail girl") -> list[tuple[int, str]]:
    """(number, subject)"""
    return [(int(line.split()[0]), line.split()[-1]) for line in typist.text(command)[:-1]]


def test_numbers_stay(board, typist):
    letters(board, "one", "two", "three")
    assert listed(typist) == [(1, "one"), (2, "two"), (3, "three")]
    assert typist.text("mail girl 2 delete") == ["deleted"]
    assert listed(typist) == [(1, "one"), (3, "three")]
    assert "This is three." in typist.text("mail girl 3")
    assert "no such message" in typist.why("mail girl 2")
    letters(board, "four")
    assert listed(typist) == [(1, "one"), (3, "three"), (4, "four")]
    with Pop3(board.pop3, "girl", "s3cret word") as pop3:
        assert [uid[-8:] for uid in pop3.uids().values()] == [b"00000001", b"00000003", b"00000004"]


def test_the_newest_and_some(board, typist):
    letters(board, *(f"n{number}" for number in range(1, 31)))
    assert [number for number, _ in listed(typist)] == list(range(11, 31))
    assert [number for number, _ in listed(typist, "mail girl 5-7")] == [5, 6, 7]
    assert typist.text("mail girl 40-50")[-1].startswith("0 of 30 messages")


@pytest.mark.parametrize("command", [
    "mail nobody", "mail ../girl", "mail girl x", "mail girl -1", "mail girl 1-", "mail girl 1 2",
    "mail girl 1 save", "mail girl 1 save x", "mail girl 1-2 delete", "mail girl 1 delete now",
    "mail girl 99999999999999999999", "mail girl 1 save 1", "mail girl 0"])
def test_what_is_no_command_changes_nothing(board, typist, command):
    letters(board, "one")
    assert typist.why(command)
    assert listed(typist) == [(1, "one")]


def test_a_pop3_session_has_the_mailbox_for_itself(board, typist):
    letters(board, "one")
    with Pop3(board.pop3, "girl", "s3cret word") as pop3:
        assert "[IN-USE]" in typist.why("mail girl")
        assert "[IN-USE]" in typist.why("mail girl 1 delete")
        assert pop3.sizes()
        pop3.quit()
    assert listed(typist) == [(1, "one")]


def test_and_so_has_who_reads_at_the_console(board, typist):
    large = b"Subject: long\r\n\r\n" + b"It goes on and on.\r\n" * 200_000
    assert send(board.smtp, large).startswith(b"250")
    typist.type(b"mail girl 1\r")
    typist.wait_for(b"| It goes on")
    with Lines(board.pop3) as pop3:
        pop3.line()
        pop3.socket.sendall(b"USER girl\r\nPASS s3cret word\r\n")
        pop3.line()
        assert pop3.line().startswith(b"-ERR [IN-USE]")
    assert b"answered" not in typist.seen
    typist.type(b"q")
    typist.wait_for(b" why=stopped\n")
    with Pop3(board.pop3, "girl", "s3cret word") as pop3:
        assert list(pop3.sizes()) == [1]


def test_what_it_says_is_deleted_does_not_come_back(folder):
    with UsbBoard(folder, more=IN_IMAGE) as board:
        board.wait_ready()
        letters(board, "one", "two")
        with Typist(board.port) as typist:
            assert typist.text("mail girl 1 delete") == ["deleted"]
        board.kill()
    with UsbBoard(folder, more=IN_IMAGE) as board:
        board.wait_ready()
        with Typist(board.port) as typist:
            assert listed(typist) == [(2, "two")]
            assert [part["messages"] for part in typist.said("status")
                    if part["part"] == "mailbox"] == [1]


def test_what_the_card_says_when_it_is_read(typist):
    parts = {part["part"]: part for part in typist.said("status card")}
    assert parts["card"]["state"] == "ok" and parts["card_read"]["crc"] == "right"
    assert parts["card_read"]["octets"] == 32768
