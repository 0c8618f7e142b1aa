"""Which board a command is for, and what it says where that is none, or several."""

from __future__ import annotations

import io
import sys

import pytest

from host_tools import __main__ as cli
from host_tools.device import choice
from host_tools.device.usb import Port, Usb
from tests.care.boards import refused

COMMANDS = (["flash", "--yes"], ["console"], ["logs"], ["backup", "--to", "TO"],
            ["restore", "--from", "FROM"], ["wipe", "--yes"])


class Two(Usb):
    """A computer with two boards."""

    def ports(self):
        return [Port("/dev/one", "one (Pico W)"), Port("/dev/two", "two (Pico)")]

    def drives(self):
        return []


@pytest.fixture
def words(request, tmp_path):
    (tmp_path / "from" / "mail" / "girl").mkdir(parents=True)
    (tmp_path / "from" / "mail" / "girl" / "INDEX0.PIX").write_bytes(b"x")
    places = {"TO": str(tmp_path / "to"), "FROM": str(tmp_path / "from")}
    return [places.get(word, word) for word in request.param]


@pytest.mark.parametrize("words", COMMANDS, indirect=True, ids=lambda words: words[0])
def test_no_board(words, tmp_path):
    assert "no board was found" in refused(*words, "--usb", tmp_path / "nothing")
    assert "there is no port /dev/none" in refused(*words, "--port", "/dev/none")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("words", COMMANDS, indirect=True, ids=lambda words: words[0])
def test_several_boards(words, monkeypatch, capsys):
    monkeypatch.setattr(choice, "usb", lambda options: Two())
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys, "argv", ["host_tools", *words])
    assert cli.main() == 1
    assert ("there are several boards, say which with PORT=: one (Pico W); two (Pico)"
            in capsys.readouterr().err)


def test_several_boards_at_a_terminal(monkeypatch, capsys):
    class Keyboard(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard("3\nx\n2\n"))
    assert choice.one(Two().ports(), lambda port: port.title, "PORT").device == "/dev/two"
    assert "1: one (Pico W)\n2: two (Pico)\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] != "flash"],
                         indirect=True, ids=lambda words: words[0])
def test_a_board_without_an_image(words, tmp_path):
    drive = tmp_path / "usb" / "RPI-RP2"
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    assert "`make flash`" in refused(*words, "--usb", tmp_path / "usb")
