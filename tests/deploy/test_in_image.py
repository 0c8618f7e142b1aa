"""`deploy` to a board with the firmware in its image: only what it is told goes on its flash."""

from __future__ import annotations

import pytest

from host_tools import firmware_build
from host_tools.errors import UserError
from tests.deploy.test_deploy import carries_a_letter
from tests.deploy.usb_board import UsbBoard

IN_IMAGE = ("--in-place",)


def test_from_nothing_to_a_letter(tmp_path, capsys):
    with UsbBoard(tmp_path, more=IN_IMAGE) as board:
        board.deploy()
        board.wait_ready()
        carries_a_letter(board)
        assert "2 files sent" in capsys.readouterr().out  # main.py and board.json
        board.deploy(answers=None, board=None)
        board.wait_ready()
        assert "nothing of the firmware has changed\n" in capsys.readouterr().out
        with board.prompt() as prompt:
            assert {name.name for name in prompt.names("")} == {
                "main.py", "board.json", "settings.json", "accounts.txt", "tls_key.der",
                "tls_cert.der"}


def test_files_that_would_come_before_it_go(tmp_path):
    """As after another image for a board that had none with the firmware in it."""
    with UsbBoard(tmp_path) as board:
        board.deploy()
    with UsbBoard(tmp_path, more=IN_IMAGE) as board:
        board.wait_ready()
        board.deploy(answers=None)
        board.wait_ready()
        carries_a_letter(board)
        with board.prompt() as prompt:
            assert prompt.read("files.txt") is None and prompt.names("f") == []


def test_another_firmware_in_the_image(tmp_path, monkeypatch):
    with UsbBoard(tmp_path, more=IN_IMAGE) as board:
        monkeypatch.setattr(firmware_build, "stamp", lambda: "0123456789ab")
        with pytest.raises(UserError, match="another version of the firmware in it .*0123456789ab"):
            board.deploy()


def test_a_stamp_follows_the_source(tmp_path, monkeypatch):
    first = firmware_build.stamp()
    files = firmware_build.device_files()
    source = tmp_path / "limits.py"
    source.write_text(files[0][0].read_text() + "\n")
    monkeypatch.setattr(firmware_build, "device_files", lambda: [(source, files[0][1]), *files[1:]])
    assert firmware_build.stamp() != first
