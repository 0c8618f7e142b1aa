"""A board whose heap has no room for a letter: with its firmware loaded from files."""

from __future__ import annotations

from tests.console.typist import Typist
from tests.deploy.usb_board import UsbBoard
from tests.support.wire import send


def test_it_says_so_and_serves_on(tmp_path, monkeypatch):
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with UsbBoard(tmp_path) as board:
        board.deploy()
        board.wait_ready()
    with UsbBoard(tmp_path, more=("--heap", "200wK")) as board:
        board.wait_ready()
        with Typist(board.port) as typist:
            assert "no room" in typist.why("mail girl 1")
            assert {"board", "heap", "card"} <= {part["part"] for part in typist.said("status")}
            assert send(board.smtp, b"Subject: x\r\n\r\nx\r\n").startswith(b"250")
            assert typist.text("users") == ["girl             1 messages, 1 KB"]
            assert "no room" in typist.why("mail girl 1")
