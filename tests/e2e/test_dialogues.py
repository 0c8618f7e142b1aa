"""The text dialogues of tests/smtp/dialogues again, over a socket, against the whole appliance."""

import json
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import BOARDS
from tests.support import dialogues
from tests.support.appliance import Appliance
from tests.support.dialogues import play
from tests.support.wire import Lines, Pop3, send

SCRIPTS = dialogues.parse_all(Path(__file__).parents[1] / "smtp" / "dialogues")


def groups() -> dict[dialogues.Settings, list[dialogues.Dialogue]]:
    """The scripts by the settings that they are written for: one appliance each."""
    found = {}
    for script in SCRIPTS:
        found.setdefault(script.settings, []).append(script)
    return found


def settings_of(wanted: dialogues.Settings) -> dict:
    """The appliance's settings for it; names that no account can have are aliases."""
    accounts = [user for user in wanted.users if " " not in user]
    return {"catch_all": wanted.catch_all, "max_message_size": wanted.max_size,
            "default_mailbox": wanted.default_mailbox,
            "listeners": {"25": json.loads(wanted.rules)},
            "aliases": {user: accounts[0] for user in wanted.users if user not in accounts},
            "mailboxes": {user: {"max_messages": 1} for user in wanted.full}}


@pytest.mark.parametrize("board", BOARDS)
def test_smtp_dialogues(tmp_path, board):
    for number, (settings, scripts) in enumerate(groups().items()):
        accounts = {user: "pw" for user in settings.users if " " not in user}
        with Appliance(tmp_path / f"{number}.img", board, accounts, settings_of(settings),
                       hostname=settings.hostname) as appliance:
            for user in settings.full:
                address = f"{user}@{settings.hostname}".encode()
                assert send(appliance.smtp, b"Subject: full\r\n", to=(address,))[:3] == b"250"
            for script in scripts:
                play(script, appliance.smtp)
            assert not appliance.faults()


COURSE_LETTER = [b"From... (corps du message)", b"...", b"MIME... (corps du message)...", b"..."]


@pytest.mark.parametrize("board", BOARDS)
def test_the_letter_of_the_course_is_read_back_as_the_course_reads_it(tmp_path, board):
    """Both dialogues of the notes, and the text between them. Their lines of dots are stuffed
    by nobody, so the appliance takes one dot off each that begins a line, as RFC 5321 has it."""
    [script] = [script for script in SCRIPTS if script.name == "course_notes.txt"]
    with Appliance(tmp_path / "card.img", board) as appliance:
        play(script, appliance.smtp)
        appliance.wait_for("closed", service="smtp")
        with Lines(appliance.pop3) as pop3:
            said = []
            for command in (None, b"USER girl", b"PASS s3cret word", b"STAT", b"LIST 1"):
                if command:
                    pop3.socket.sendall(command + b"\r\n")
                said.append(pop3.line())
            assert all(line.startswith(b"+OK") for line in said)
            assert said[3].split()[1] == b"1"
            pop3.socket.sendall(b"RETR 1\r\n")
            lines = []
            while lines[-1:] != [b".\r\n"]:
                lines.append(pop3.line())
            text = [line[:-2] for line in lines]
            # What the wire carries: ".." became "." on the way in (the notes send "..."), and a
            # line that begins with a dot is stuffed again on the way out.
            assert text[-5:-1] == COURSE_LETTER
            for command in (b"DELE 1", b"QUIT"):
                pop3.socket.sendall(command + b"\r\n")
                assert pop3.line().startswith(b"+OK")
            assert pop3.line() == b""
        reader = Pop3(appliance.pop3, "girl", "s3cret word")
        assert reader.sizes() == {}
        reader.quit()


def test_socket_errors_are_not_hidden(tmp_path):
    """The player itself: a dialogue against a server that hangs up fails."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with Lines(server.getsockname()[1]) as connection:
            peer, _ = server.accept()
            peer.close()
            assert connection.line() == b""
