"""`flash`: MicroPython on an emulated board, from its BOOTSEL drive and from its prompt."""

from __future__ import annotations

import pytest

from host_tools.device.prompt import Prompt
from tests.care.boards import Board, done, image, on_flash, refused
from tests.care.terminal import Terminal


def test_a_new_board(tmp_path):
    with Board(tmp_path) as board:
        board.waits()
        assert "BOARD=" in refused("flash", *board.at, "--yes")
        assert "no UF2" in refused("flash", *board.at, "--yes", "--uf2", __file__)
        assert "--yes" in refused("flash", *board.at, "--uf2", image(tmp_path))
        said = done("flash", *board.at, "--yes", "--uf2", image(tmp_path))
        assert "image.uf2 -> " in said and "MicroPython is on the board" in said
        with Prompt(str(board.usb / "serial")) as prompt:
            assert prompt.value("1 + 1", "") == 2


def test_a_board_that_serves(board):
    before = on_flash(board.folder)
    said = done("flash", *board.at, "--yes", "--uf2", image(board.folder))
    # By its bootloader, not a mere reset; and its files have stayed.
    assert "image.uf2 -> " in said and "RPI-RP2" in said
    board.ready()
    assert [event["event"] for event in board.console.seen].count("stopped") == 1
    assert on_flash(board.folder) == before
    assert not (board.usb / "RPI-RP2").exists()


def test_the_image_of_what_the_board_was(board, home):
    """Which one that is says what lies on its flash; it is taken from the cache."""
    assert "RPI_PICO_W" in refused("flash", *board.at, "--yes")
    board.ready()  # it went on, since there was no image
    folder = home / "XDG_CACHE_HOME" / "picopost"
    folder.mkdir(parents=True)
    cached = image(board.folder).rename(folder / "RPI_PICO_W-20260101-v1.28.0.uf2")
    try:
        assert cached.name in done("flash", *board.at, "--yes")
    finally:
        cached.unlink()
    board.ready()


@pytest.mark.parametrize("more", [[], ["--yes", "--uf2", __file__], ["--yes", "--uf2", "/none"]])
def test_nothing_is_stopped_before_it_is_clear(board, more):
    refused("flash", *board.at, *more)
    assert board.console.seen[-1]["event"] != "stopped"
    assert (board.usb / "serial").exists()


def test_it_asks(board):
    with Terminal("flash", *board.at, "--uf2", image(board.folder)) as terminal:
        terminal.wait_for(b"Put image.uf2 on the board at")
        terminal.type(b"n\n")
        assert terminal.end() == 1 and b"nothing was done" in terminal.shown
    assert "stopped" not in [event["event"] for event in board.console.seen]
    with Terminal("flash", *board.at, "--uf2", image(board.folder)) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"y\n")
        assert terminal.end() == 0
    board.ready()
