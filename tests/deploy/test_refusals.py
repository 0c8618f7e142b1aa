"""What `deploy` refuses, in words that say what to do; and what it asks."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest
import serial

from host_tools import boards, deploy_command, tls_identity
from host_tools.deploy import answers
from host_tools.device import kind
from host_tools.errors import UserError
from host_tools.firmware_build import ROOT
from tests.deploy.usb_board import UsbBoard


@contextlib.contextmanager
def bare_board(folder):
    """A Pico W with nothing but MicroPython on its flash."""
    (folder / "usb").mkdir()
    (folder / "usb" / "flash.img").write_bytes(b"\xff" * (300 << 10))
    with UsbBoard(folder) as board:
        board.wait_for("console", text="MicroPython on an emulated board")
        yield board


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    with bare_board(tmp_path_factory.mktemp("bare")) as board:
        yield board


def refused(there: UsbBoard, **more) -> str:
    with pytest.raises(UserError) as info:
        there.deploy(**more)
    return str(info.value)


def test_a_flash_that_is_too_small(bare):
    said = refused(bare)
    assert "KB are wanted on its flash" in said and "make wipe" in said


def test_a_micropython_that_was_not_tried(bare, monkeypatch):
    definition = boards.load("pico_w")
    definition["image"]["versions"] = ">=1.0,<1.1"
    monkeypatch.setattr(boards, "load", lambda name: definition)
    assert "is not one that pico_w was tried with (>=1.0,<1.1)" in refused(bare)


def test_bytecode_that_it_cannot_run(bare, monkeypatch):
    monkeypatch.setattr(deploy_command, "_MPY_VERSION", 7)
    assert "cannot run what mpy-cross makes here (.mpy version 6, want 7)" in refused(bare)


def test_a_board_that_nobody_named(bare):
    assert "which board is it" in refused(bare, board=None)
    assert "there are pico_2_w, pico_w, pico_w5500, w5500" in refused(bare, board="pico_x")


def test_the_image_of_another_board(bare, monkeypatch):
    monkeypatch.setattr(kind, "_FACTS", kind._FACTS.replace(
        'getattr(i, "_machine", "")', '"W5500-EVB-Pico with RP2040"'))
    assert "its image is for a W5500-EVB-Pico, not for pico_w" in refused(bare)


def test_a_port_that_another_program_has(tmp_path):
    # A board of its own: one that was at its prompt is resetting, and has no port meanwhile.
    with bare_board(tmp_path) as board:
        with serial.Serial(os.path.realpath(board.port), exclusive=True):
            assert "another program has it" in refused(board)
        assert "there is no port" in refused(board, port="/nowhere", usb=None)


@pytest.mark.parametrize("given, words", [
    ("hostname=x", "want KEY=JSON"), ('hostname="a b"', "hostname must be a host name"),
    ('hostnam="x"', "no setting is called hostnam")])
def test_settings_are_judged_before_anything_is_sent(bare, given, words):
    assert words in refused(bare, settings=[given])


@pytest.mark.parametrize("content, words", [
    ("{", "no JSON"), ("[]", "want an object"), ('{"wify": 1}', "want an object with some of"),
    ('{"user": {"name": "x"}}', '"user" wants "name" and "password"'),
    ('{"user": {"name": "a b", "password": "x"}}', "a b")])
def test_answers_that_are_none(tmp_path, content, words):
    path = tmp_path / "answers.json"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        answers.from_file(path)


def test_nobody_can_be_asked(bare, monkeypatch):
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    with bare.prompt() as prompt:  # as nobody has told it anything
        prompt.run("import os\nfor name in ('settings.json', 'accounts.txt'):\n"
                   "    if name in os.listdir():\n        os.remove(name)", "it failed")
    said = refused(bare, answers=None)
    assert "the board has to be told hostname, wifi, user: give --answers FILE" in said


def test_what_is_asked_at_a_terminal(tmp_path):
    """And no password is shown, neither as it is typed nor afterwards."""
    ours, theirs = pty.openpty()
    with UsbBoard(tmp_path) as board:
        board.options()
        process = subprocess.Popen(
            [sys.executable, "-m", "host_tools", "deploy", "--board", "pico_w", "--usb",
             str(board.usb), "--reach", f"127.0.0.1:{board.offset}", "--uf2",
             str(tmp_path / "image.uf2")],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "dumb"})
        os.close(theirs)
        shown = b""
        dialogue = [(b"Its name in the network [picopost]: ", b"\n"),
                    (b"Name of the Wi-Fi (SSID): ", b"home\n"),
                    (b"Password of home: ", b"wpa secret\n"), (b"Its first user [me]: ", b"boy\n"),
                    (b"A password for boy: ", b"one\n"), (b"Once more: ", b"other\n"),
                    (b"They differ.\r\nA password for boy: ", b"pa55 word\n"),
                    (b"Once more: ", b"pa55 word\n")]
        for question, answer in dialogue:
            while question not in shown:
                shown += os.read(ours, 1000)
            shown = shown.partition(question)[2]
            os.write(ours, answer)
        try:
            while True:
                shown += os.read(ours, 1000)
        except OSError:
            pass  # it has ended
        assert process.wait(60) == 0, shown
        os.close(ours)
        board.wait_ready()
        assert board.ready["hostname"] == "picopost"
        for secret in (b"wpa secret", b"pa55 word"):
            assert secret not in shown
        with board.prompt() as prompt:
            assert json.loads(prompt.read("settings.json"))["wifi"] == {
                "ssid": "home", "password": "wpa secret"}
            key = prompt.read(tls_identity.KEY)
            assert prompt.read("accounts.txt").startswith(b"boy:")
        # Its key is its own: another computer, which never saw it, leaves it there.
        board.deploy(answers=None)
        with board.prompt() as prompt:
            assert prompt.read(tls_identity.KEY) == key
