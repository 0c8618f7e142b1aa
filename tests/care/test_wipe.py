"""`wipe`: picopost goes from a board, its mail stays."""

from __future__ import annotations

import json

from host_tools.device.prompt import Prompt
from tests.care.boards import ANSWERS, done, image, mail_on, on_flash, refused
from tests.care.conftest import LETTERS
from tests.care.terminal import Terminal
from tests.support.wire import Pop3

# What the board could not start with, and what a cable that was pulled leaves: most has a secret.
LEFT = ("settings.bad", "settings.bad.new", "settings.new", "accounts.bad", "accounts.bad.new",
        "accounts.new", "tls_key.der.new", "tls_key.der.part", "tls_cert.der.new",
        "tls_cert.der.part", "main.new", "main.py.new", "files.new", "board.json.new",
        "fault.txt.new", "f/new")


def test_all_of_it_but_mail(board):
    with Prompt(str(board.usb / "serial")) as prompt:
        prompt.put("mine.txt", b"mine", "mine.new")
        for name in LEFT:
            prompt.put(name, b"wpa secret", "left")
        prompt.run("import os\nos.mkdir('lib')", "it failed")
        prompt.put("lib/mine.py", b"", "mine.new")
    board.ready()
    before = mail_on(board.card)
    assert len(on_flash(board.folder)) > 50
    said = done("wipe", *board.at, "--yes")
    assert "files are gone. The board is at MicroPython's prompt." in said
    assert on_flash(board.folder) == {"mine.txt": b"mine", "lib/mine.py": b""}
    assert mail_on(board.card) == before
    # It is at its prompt, by itself.
    with Prompt(str(board.usb / "serial")) as prompt:
        assert prompt.value("'appliance' in globals()", "") is False
        assert prompt.value("1 + 1", "") == 2
    assert "There was no picopost on it" in done("wipe", *board.at, "--yes")
    assert "no picopost on it" in refused("backup", *board.at, "--to", board.folder / "copy")
    # And it can be had again, with the mail.
    answers = board.folder / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    done("deploy", *board.at, "--reach", f"127.0.0.1:{board.offset}", "--answers", answers,
         "--uf2", image(board.folder), "--board", "pico_w")
    with Pop3(board.offset + 110, "girl", "s3cret word") as session:
        assert len(session.uids()) == len(LETTERS)


def test_firmware_in_loose_files(board):
    done("wipe", *board.at, "--yes")
    with Prompt(str(board.usb / "serial")) as prompt:
        prompt.run("import os\nfor name in ('picopost', 'picopost/net', 'lib', "
                   "'lib/adafruit_wiznet5k'):\n os.mkdir(name)", "it failed")
        for path in ("board.json", "main.py", "picopost/limits.mpy", "picopost/net/tls.mpy",
                     "lib/adafruit_wiznet5k/dhcp.mpy", "lib/__future__.mpy", "accounts.txt"):
            prompt.put(path, b"", "new")
    assert done("wipe", *board.at, "--yes").startswith("7 files")
    assert on_flash(board.folder) == {}


def test_it_asks(board):
    assert "--yes" in refused("wipe", *board.at)
    for answer in (b"\n", b"n\n"):
        with Terminal("wipe", *board.at) as terminal:
            terminal.wait_for(b"wipe?")
            terminal.type(answer)
            assert terminal.end() == 1 and b"nothing was done" in terminal.shown
    assert "stopped" not in [event["event"] for event in board.console.seen]
    with Terminal("wipe", *board.at) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"y\n")
        assert terminal.end() == 0
    assert on_flash(board.folder) == {}


def test_a_firmware_that_does_not_start(board):
    """Its prompt is all that is needed."""
    with Prompt(str(board.usb / "serial")) as prompt:
        prompt.put("accounts.txt", b"nonsense\n", "accounts.new")
    board.console.wait_for("safe_mode")
    done("wipe", *board.at, "--yes")
    assert on_flash(board.folder) == {}
