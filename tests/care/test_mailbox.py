"""`backup --from`: a mailbox by POP3, into one mbox file."""

from __future__ import annotations

import io
import mailbox as mailbox_formats
import subprocess
import time

import pytest

from host_tools import tls_identity
from host_tools.care import mailbox
from host_tools.errors import UserError
from tests.care.boards import PASSWORD, PATIENCE, USER, command, done, refused
from tests.care.conftest import LETTERS
from tests.care.terminal import Terminal
from tests.support.appliance import ROOT


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A computer where no certificate was accepted yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def fingerprint(board):
    """Of its certificate, which the board says without colons."""
    (event,) = [event for event in board.console.seen if event["event"] == "ready"]
    return tls_identity.in_pairs(event["tls"])


@pytest.fixture
def anyone(board, tmp_path, fresh):
    """The command's words, with options."""
    def words(*more, port=110, user=USER):
        return ("backup", "--from", f"127.0.0.1:{board.offset + port}", "--user", user, "--to",
                tmp_path / "mbox", *more)

    return words


@pytest.fixture
def fetch(anyone, fingerprint):
    """The same, of somebody who has looked at the certificate."""
    return lambda *more, **given: anyone("--fingerprint", fingerprint, *more, **given)


def test_it_is_what_the_card_has(board, fetch, tmp_path):
    assert f"{len(LETTERS)} messages" in done(*fetch(), stdin=PASSWORD + "\n")
    done("backup", *board.at, "--to", tmp_path / "copy")
    done("card", "export", tmp_path / "copy", USER, "--to", tmp_path / "exported")
    fetched, exported = ((tmp_path / name).read_bytes().split(b"\n")
                         for name in ("mbox", "exported"))
    # All but the dates of the lines between messages; each ends in one blank line more or less.
    assert ([line for line in fetched if line and not line.startswith(b"From ")]
            == [line for line in exported if line and not line.startswith(b"From ")])
    subjects = [message["subject"] for message in mailbox_formats.mbox(tmp_path / "mbox")]
    assert subjects == ["small", "quoted", "long", "large"]
    assert b"\n>From here\n>>From there\n.\n..\n\n\n" in (tmp_path / "mbox").read_bytes()
    assert (tmp_path / "mbox").stat().st_mode & 0o077 == 0


def test_tls_comes_first(board, anyone, fingerprint, tmp_path):
    for words in (anyone(), anyone("--tls", port=995)):
        said = refused(*words, stdin=PASSWORD + "\n")
        assert f"--fingerprint {fingerprint}" in said
        assert "another one" in refused(*words, "--fingerprint", "ab" * 32, stdin=PASSWORD + "\n")
    assert "login" not in [event["event"] for event in board.console.seen]
    assert not (tmp_path / "mbox").exists()
    said = fingerprint.replace(":", "").lower()
    done(*anyone("--tls", "--fingerprint", said, port=995), stdin=PASSWORD + "\n")
    assert len(mailbox_formats.mbox(tmp_path / "mbox")) == len(LETTERS)
    # It is asked for once.
    (tmp_path / "mbox").unlink()
    done(*anyone(), stdin=PASSWORD + "\n")


def test_a_port_that_waits_for_tls(fetch):
    said = refused(*fetch(port=995), stdin=PASSWORD + "\n")
    assert said.endswith("it hangs up; is it a port for SSL/TLS? --tls")


def test_it_asks_at_a_terminal(anyone, fingerprint, tmp_path):
    with Terminal(*anyone()) as terminal:
        terminal.wait_for(fingerprint.encode())
        terminal.wait_for(b"[y/N]")
        terminal.type(b"n\n")
        assert terminal.end() == 1 and b"nothing was done" in terminal.shown
    with Terminal(*anyone()) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"y\n")
        terminal.wait_for(b"Password of girl: ")
        terminal.type(PASSWORD.encode() + b"\n")  # once: typed again it may be shown
        terminal.wait_for(b"messages are in")
        assert terminal.end() == 0
    assert PASSWORD.encode() not in terminal.shown


def test_a_login_that_is_refused(fetch, tmp_path):
    assert "wrong user name or password" in refused(*fetch(), stdin="guess\n")
    assert "wrong user name or password" in refused(*fetch(user="nobody"), stdin=PASSWORD + "\n")
    assert list(tmp_path.glob("mbox*")) == []


def test_never_over_anything(fetch, tmp_path):
    (tmp_path / "mbox").write_text("mine")
    assert "is there already" in refused(*fetch(), stdin=PASSWORD + "\n")
    assert (tmp_path / "mbox").read_text() == "mine"


def test_nobody_there(tmp_path):
    said = refused("backup", "--from", "127.0.0.1:1", "--user", USER, "--to", tmp_path / "mbox")
    assert "127.0.0.1 port 1: Connection refused" in said


def test_what_does_not_go_together(tmp_path):
    to = "--to", tmp_path / "mbox"
    assert "go together" in refused("backup", "--from", "xyz.com", *to)
    assert "go together" in refused("backup", "--user", USER, *to)
    assert "--port" in refused("backup", "--from", "xyz.com", "--user", USER, "--port", "x", *to)


def test_a_board_that_goes(board, fetch, tmp_path):
    process = subprocess.Popen(command(*fetch()), cwd=ROOT, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(PASSWORD + "\n")
    process.stdin.flush()
    deadline = time.monotonic() + PATIENCE
    part = tmp_path / "mbox.part"
    while not part.exists():
        assert time.monotonic() < deadline and process.poll() is None
    board.kill()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and len(error.splitlines()) == 1, error
    assert list(tmp_path.glob("mbox*")) == []


@pytest.mark.parametrize("given, means", [
    ("xyz.com", ("xyz.com", 110)), ("xyz.com:995", ("xyz.com", 995)), ("::1", ("::1", 110)),
    ("[fe80::1]:995", ("fe80::1", 995)), ("[::1]", ("::1", 110))])
def test_addresses(given, means):
    assert mailbox.address(given) == means


@pytest.mark.parametrize("given", ["", "xyz.com:", "xyz.com:pop3", "xyz.com:0", "xyz.com:99999"])
def test_no_addresses(given):
    with pytest.raises(UserError):
        mailbox.address(given)


def test_between_messages():
    """A sender as the appliance notes it, and none that breaks the line."""
    for line, sender in ((b"Return-Path: <boy@abc.com>", b"boy@abc.com"),
                         (b"Return-Path: <>", b"MAILER-DAEMON"),
                         (b"Return-Path: <a b@c>", b"MAILER-DAEMON"),
                         (b"Subject: x", b"MAILER-DAEMON")):
        file = io.BytesIO()
        mailbox.write(file, [line, b"", b"Return-Path: <no@header.com>", b"From me", b">From him"])
        first, *rest = file.getvalue().split(b"\n")
        assert first.startswith(b"From " + sender + b" ")
        assert rest == [line, b"", b"Return-Path: <no@header.com>", b">From me", b">>From him", b"",
                        b""]
