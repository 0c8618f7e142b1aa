"""What is typed at the console of a board that serves."""

from __future__ import annotations

import random
import smtplib

import pytest

from tests.console.typist import Typist
from tests.support.wire import send


def test_a_line_is_shown_as_it_is_typed_and_can_be_changed(typist):
    typist.type(b"hexx\x08\x7flp")
    assert b"hexx\x08 \x08\x08 \x08lp" in typist.wait_for(b"lp")
    since = len(typist.seen)
    typist.type(b"\r")
    typist.wait_for(b"answered command=help\n", since)
    typist.type(b"mail\x15")  # Ctrl-U
    assert typist.ask("users")[1]["command"] == "users"


def test_who_types_nonsense_hears_what_there_is(typist):
    lines, end = typist.ask("frobnicate")
    assert end["why"] == "no such command"
    assert {"mail", "status", "users", "log", "help"} <= {line[2:].split(" ")[0] for line in lines
                                                          if line.startswith("| ")}


def test_garbage_is_passed_over(typist):
    noise = random.Random(3)
    for _ in range(20):
        typist.type(bytes(octet for octet in noise.randbytes(300) if octet != 3))
        typist.type(b"\r")
    typist.type(b"q\x15")  # whatever is at work, or was typed
    typist.type(b"\x1b[A\x1bOP\x1b[3~\x00\xff\x01us\x80ers\r")
    typist.wait_for(b" answered command=users")
    typist.type(b"x" * 5000 + b"\r")
    typist.wait_for(b" answered command=" + b"x" * 80 + b" why=")


def test_a_question_mark_is_answered_at_once(board, typist):
    typist.type(b"?")
    typist.wait_for(b" ready ")
    board.wait_for("ready")
    # Also while a command is at work, and behind it as `deploy` types it.
    large = b"Subject: long\r\n\r\n" + b"It goes on and on.\r\n" * 100_000
    assert send(board.smtp, large).startswith(b"250")
    typist.type(b"mail girl 1\r")
    typist.wait_for(b"| It goes on")
    since = len(typist.seen)
    typist.type(b"?\r")
    typist.wait_for(b" ready ", since)
    assert b"answered" not in typist.seen
    typist.type(b"q")
    assert b'why=stopped' in typist.wait_for(b"command=\"mail girl 1\" why=", since)[-200:]


def test_an_event_breaks_into_a_line_and_leaves_it_whole(board, typist):
    typist.type(b"use")
    typist.wait_for(b"use")
    assert send(board.smtp, b"Subject: x\r\n\r\nx\r\n").startswith(b"250")
    board.wait_for("closed")
    came = typist.wait_for(b"why=done\n")
    assert b"\n" in came.partition(b"use")[2][:1]
    typist.type(b"rs\r")
    lines = typist.wait_for(b" answered command=users").splitlines()
    assert b"users" in lines


def test_mail_goes_on_while_somebody_reads(board, typist):
    large = b"Subject: long\r\n\r\n" + b"It goes on and on.\r\n" * 20_000
    assert send(board.smtp, large).startswith(b"250")
    typist.type(b"mail girl 1\r")
    typist.wait_for(b"| It goes on")
    with smtplib.SMTP("127.0.0.1", board.smtp) as smtp:
        for _ in range(5):
            since = len(typist.seen)
            smtp.sendmail("boy@abc.com", ["girl@xyz.com"], b"Subject: x\r\n\r\nx\r\n")
            typist.wait_for(b" accepted ", since)
    assert b"answered" not in typist.seen
    came = typist.wait_for(b' answered command="mail girl 1"\n')
    assert came.count(b"| It goes on and on.\n") == 20_000


def test_a_reader_who_stops_reading_holds_up_nobody(board, typist):
    """Its answer waits in the board; a real one's USB keeps 256 octets of it."""
    large = b"Subject: long\r\n\r\n" + b"It goes on and on.\r\n" * 50_000
    assert send(board.smtp, large).startswith(b"250")
    typist.type(b"mail girl 1\r")
    for _ in range(5):
        assert send(board.smtp, b"Subject: x\r\n\r\nx\r\n").startswith(b"250")


@pytest.mark.parametrize("before", [b"", b"mai", b"mail girl 1\r"])
def test_ctrl_c_ends_the_firmware_in_order(board, before):
    large = b"Subject: long\r\n\r\n" + b"It goes on and on.\r\n" * 50_000
    assert send(board.smtp, large).startswith(b"250")
    with Typist(board.port) as typist:
        typist.type(before + b"\x03")
        typist.wait_for(b" stopped\n")
        typist.wait_for(b">>> ")
    assert not [event for event in board.events if event["event"] in ("fault", "card_fault")]
