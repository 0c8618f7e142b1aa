"""`python -m host_tools mail`, `status`, `users` and `log`: of a board that goes on."""

from __future__ import annotations

import hashlib
import json
import random
import smtplib
import threading
from email.message import EmailMessage

import pytest

from host_tools import mail_command
from host_tools.errors import UserError
from tests.care.boards import done, refused
from tests.console.conftest import IN_IMAGE
from tests.console.typist import Typist
from tests.deploy.usb_board import UsbBoard
from tests.support.wire import send


def ask(board, *words: str) -> str:
    return done(words[0], "--usb", str(board.usb), *words[1:])


def refusal(board, *words: str) -> str:
    return refused(words[0], "--usb", str(board.usb), *words[1:])


def deliver(board, *files: tuple[str, bytes], text: str = "See the file.") -> None:
    message = EmailMessage()
    message["From"] = "André <andre@abc.com>"
    message["Subject"] = "Ünïcode"
    message.set_content(text)
    for name, octets in files:
        message.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
    with smtplib.SMTP("127.0.0.1", board.smtp) as smtp:
        smtp.sendmail("andre@abc.com", ["girl@xyz.com"], message.as_bytes())


def test_status_users_and_log(board):
    deliver(board)
    parts = [json.loads(line) for line in ask(board, "status", "--json").splitlines()]
    by_name = {part["part"]: part for part in parts}
    assert {"board", "heap", "card", "network", "time", "tls", "sessions", "service",
            "mailbox", "device"} == set(by_name)
    assert by_name["board"]["board"] == "pico_w"
    assert 0 < by_name["heap"]["free"] < by_name["heap"]["octets"]
    card = by_name["card"]
    assert (card["state"], card["type"], card["crc"], card["errors"]) == ("ok", "SDHC", "yes", 0)
    assert 0 < card["free"] < card["octets"] == 4 << 30
    assert by_name["network"]["connected"] == "yes" and by_name["network"]["dns"]
    assert by_name["time"]["set"] == "yes"
    assert by_name["tls"]["fingerprint"] == board.ready["tls"]
    assert by_name["mailbox"]["messages"] == 1 and by_name["mailbox"]["in_use"] == "no"
    ports = {part["service"]: part["port"] for part in parts if part["part"] == "service"}
    assert ports == {"smtp": 25, "smtps": 465, "submission": 587, "pop3": 110, "pop3s": 995}
    assert "state=ok" in ask(board, "status")
    assert "kb_per_second=" in ask(board, "status", "card")
    assert ask(board, "users").split()[:3] == ["girl", "1", "messages,"]
    assert " accepted " in ask(board, "log")
    assert board.process.poll() is None and "stopped" not in str(board.events)


def test_a_letter_alone_whatever_else_the_board_says(board):
    deliver(board, ("scan.pdf", b"x" * 1000), text="0 ready board=x\n1795959451 answered\n")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            send(board.smtp, b"Subject: noise\r\n\r\nx\r\n", to=(b"postmaster@xyz.com",))

    noise = threading.Thread(target=work)
    noise.start()
    try:
        shown = ask(board, "mail", "girl", "1")
    finally:
        stop.set()
        noise.join()
    assert shown.splitlines() == [
        "From: André <andre@abc.com>", "Subject: Ünïcode", "", "0 ready board=x",
        "1795959451 answered", "", "[1] scan.pdf (application/pdf, 1000 B)"]


@pytest.mark.timeout(300)
def test_an_attachment_of_some_megabytes_while_mail_comes(board, tmp_path):
    octets = random.Random(5).randbytes(4_000_000)
    deliver(board, ("small.pdf", b"small"), ("../../\x1b[2Jlarge?.pdf", octets))
    sent = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sent.append(send(board.smtp, b"Subject: x\r\n\r\n" + b"line\r\n" * 2000))

    sender = threading.Thread(target=work)
    sender.start()
    try:
        said = ask(board, "mail", "girl", "1", "save", "2", "--to", str(tmp_path))
    finally:
        stop.set()
        sender.join()
    assert said.startswith("4000000 octets, ")
    saved = [path for path in tmp_path.iterdir() if path.suffix == ".pdf"]
    assert len(saved) == 1 and saved[0].read_bytes() == octets
    assert saved[0].name.endswith("large_.pdf") and saved[0].name.isprintable()
    assert not list(tmp_path.glob("*.part"))
    assert len(sent) > 3 and all(reply.startswith(b"250") for reply in sent), sent
    listed = ask(board, "mail", "girl", f"1-{len(sent) + 1}")
    assert listed.splitlines()[-1].startswith(f"{len(sent) + 1} of ")


def test_never_over_a_file(board, tmp_path):
    deliver(board, ("a.pdf", b"octets"))
    taken = tmp_path / "a.pdf"
    taken.write_bytes(b"mine")
    assert "is there already" in refusal(board, "mail", "girl", "1", "save", "1", "--to",
                                         str(taken))
    assert "is there already" in refusal(board, "mail", "girl", "1", "save", "1", "--to",
                                         str(tmp_path))
    assert taken.read_bytes() == b"mine" and list(tmp_path.glob("a.pdf*")) == [taken]
    ask(board, "mail", "girl", "1", "save", "1", "--to", str(tmp_path / "b.pdf"))
    assert (tmp_path / "b.pdf").read_bytes() == b"octets"
    assert "No such file" in refusal(board, "mail", "girl", "1", "save", "1", "--to",
                                     str(tmp_path / "no" / "b.pdf"))


def sent(octets: bytes, sha256: str):
    """What the board might say."""
    yield {"event": "attachment", "name": "a.pdf", "type": "application/pdf"}
    yield b"oct"
    yield b"ets"
    yield {"event": "attached", "octets": len(octets), "sha256": sha256}


def test_what_comes_garbled_is_no_file(tmp_path):
    right = hashlib.sha256(b"octets").hexdigest()
    for answer in (sent(b"octets", right[::-1]), sent(b"octet", right), (x for x in ())):
        with pytest.raises(UserError):
            mail_command._save(answer, tmp_path)
        assert list(tmp_path.iterdir()) == []
    assert mail_command._save(sent(b"octets", right), tmp_path) == (tmp_path / "a.pdf", 6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_deletion(board):
    deliver(board)
    assert ask(board, "mail", "girl", "1", "delete") == "deleted\n"
    assert ask(board, "mail", "girl") == "0 of 0 messages, 0 B in all\n"


@pytest.mark.parametrize("words, why", [
    (("mail", "girl", "x"), "want mail; mail NAME; "),
    (("mail", "girl", "1", "save", "1"), "--to PATH"),
    (("mail", "girl", "--to", "x"), "--to is for"),
    (("mail", "nobody"), "no such account"),
    (("mail", "girl", "7"), "no such message"),
    (("mail", "girl", "7", "save", "1", "--to", "x"), "no such message")])
def test_what_cannot_be_is_one_line(board, words, why):
    assert why in refusal(board, *words)


def test_who_was_typing_before_is_in_nobodys_way(board):
    deliver(board, text="It goes on and on.\n" * 200_000)
    with Typist(board.port) as typist:
        typist.type(b"mail girl 1\r")
        typist.wait_for(b"| It goes on")
    assert ask(board, "users").startswith("girl ")  # whose answer ended that
    with Typist(board.port) as typist:
        typist.type(b"mai")
        typist.wait_for(b"mai")
    assert ask(board, "users").startswith("girl ")


def test_a_board_at_its_prompt(folder):
    with UsbBoard(folder, more=IN_IMAGE) as board:
        board.wait_ready()
        with Typist(board.port) as typist:
            typist.type(b"\x03")
            typist.wait_for(b">>> ")
        said = refusal(board, "status")
        assert "at MicroPython's prompt" in said and "Ctrl-D" in said


def test_a_board_that_is_not_there(tmp_path):
    assert "no board was found" in refused("status", "--usb", str(tmp_path))
    assert "there is no port" in refused("status", "--port", str(tmp_path / "x"))
