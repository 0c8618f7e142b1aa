"""What `deploy` refuses, in words that say what to do; and what it asks."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest
import serial

from host_tools import boards, deploy_command, tls_identity
from host_tools.deploy import answers, checked, image
from host_tools.device import choice, kind
from host_tools.device.usb import Port, Usb
from host_tools.errors import UserError
from host_tools.firmware_build import ROOT
from tests.deploy.usb_board import ANSWERS, UsbBoard
from tests.rp2040 import images


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


class Bench(Usb):
    """A computer with boards at it, none of which may be touched."""

    def __init__(self, folder, ports=(), drives=("RPI-RP2",)):
        self.places = []
        for name in drives:
            (folder / name).mkdir()
            self.places.append(folder / name)
        self._ports = [Port(f"/dev/{name}", f"{name} (Pico W)") for name in ports]

    def ports(self):
        return self._ports

    def drives(self):
        return self.places

    @property
    def is_untouched(self):
        return not any(list(place.iterdir()) for place in self.places)


def refused_at(bench, monkeypatch, **given) -> str:
    """What `deploy` says there, where nobody can be asked, and nothing is touched."""
    monkeypatch.setattr(choice, "usb", lambda options: bench)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    # Else it would be waited for a board that comes up with the image.
    monkeypatch.setattr(image, "_PATIENCE", 0)
    options = {"board": "pico_w", "port": None, "uf2": None, "answers": None, "settings": [],
               "user": None, "yes": False, "usb": None, "reach": None}
    with pytest.raises(UserError) as info:
        deploy_command.run(argparse.Namespace(**{**options, **given}))
    assert bench.is_untouched and "\n" not in str(info.value)
    return str(info.value)


@pytest.fixture
def uf2(tmp_path):
    path = tmp_path / "image.uf2"
    images.uf2(path, images.program([]))
    return path


USER = {"name": "girl", "password": "s3cret word"}


@pytest.mark.parametrize("content, words", [
    ("{", "no JSON"), ("[]", "want an object"), ({"wify": 1}, "want an object with some of"),
    ({"user": {"name": "x"}}, '"user" wants "name" and "password"'),
    ({"user": {"name": "x", "password": ["y"]}}, '"user" wants "name" and "password"'),
    ({"user": {"name": "a b", "password": "x"}}, "'a b' is no account name"),
    ({"user": {"name": "x", "password": ""}}, "the password of x is empty"),
    ({"hostname": "a b"}, "hostname must be a host name"),
    ({"wifi": {"ssid": "home", "password": "short"}}, "wifi must be "),
    ({"settings": {"hostnam": "x"}}, "no setting is called hostnam"),
    ({"settings": {"notices": [{}]}}, "notices: rule 1: wants at least one of"),
    ({"settings": {"catch_all": "boy"}, "user": USER}, "catch_all must name an account; there is")])
def test_answers_are_judged_before_anything_is_touched(
        tmp_path, monkeypatch, uf2, content, words):
    path = tmp_path / "answers.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    said = refused_at(Bench(tmp_path), monkeypatch, answers=path, uf2=uf2)
    assert said.startswith(f"{path}: {words}")


def test_settings_are_judged_before_anything_is_touched(tmp_path, monkeypatch, uf2):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"user": USER}))
    bench = Bench(tmp_path)
    assert refused_at(bench, monkeypatch, settings=["max_message_size=1"], uf2=uf2).startswith(
        "--set: max_message_size must be octets")
    assert refused_at(bench, monkeypatch, answers=path, settings=['catch_all="boy"'], uf2=uf2
                      ).startswith(f"{path} and --set: catch_all must name an account")


def test_listeners_that_only_the_boards_own_stand_in_the_way_of():
    """They may be elsewhere on it."""
    checked.check_given({"listeners": {"110": {}}}, "answers.json")


def test_an_account_that_the_answers_name_and_the_board_has_not(bare, tmp_path):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({**ANSWERS, "settings": {"catch_all": "boy"}}))
    assert f"{path}: catch_all must name an account; there is no boy" in refused(bare, answers=path)


def test_where_it_is_reached_is_judged_before_anything_is_touched(tmp_path, monkeypatch, uf2):
    assert "--reach box:x: want HOST or HOST:OFFSET" in refused_at(
        Bench(tmp_path), monkeypatch, reach="box:x", uf2=uf2)


def test_which_of_several_boards(tmp_path, monkeypatch, uf2):
    both = Bench(tmp_path, ports=["one"])
    assert refused_at(both, monkeypatch) == (
        "there are several boards, say which with PORT=, or with UF2=FILE the one that waits for "
        f"an image: one (Pico W); {tmp_path / 'RPI-RP2'} (waits for an image)")
    assert "/dev/one" in refused_at(both, monkeypatch, port="/dev/one")
    (tmp_path / "more").mkdir()
    two = Bench(tmp_path / "more", ports=["one"], drives=["RPI-RP2", "RPI-RP21"])
    assert "leave only one of those that wait for an image plugged in: " in refused_at(
        two, monkeypatch, uf2=uf2)
    assert "no board was found" in refused_at(Bench(tmp_path, drives=[]), monkeypatch)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_answers_as_windows_writes_them(tmp_path, encoding):
    path = tmp_path / "answers.json"
    path.write_text('{"wifi": {"ssid": "b\u00fcro", "password": "wpa secret"}}', encoding)
    assert answers.from_file(path).settings["wifi"]["ssid"] == "b\u00fcro"


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
