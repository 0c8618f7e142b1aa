"""`console`: mpremote's prompt, at a terminal."""

from __future__ import annotations

import os
import subprocess
import sys

from host_tools import __main__ as cli
from tests.care.boards import refused
from tests.care.terminal import Terminal


def test_a_prompt(board):
    with Terminal("console", *board.at) as terminal:
        terminal.wait_for(b"Use Ctrl-]")
        # mpremote says that before it has the terminal for itself.
        terminal.type_until(b"\x03", b">>> ")
        terminal.type(b"1+1\r")
        terminal.wait_for(b"\r\n2")
        terminal.wait_for(b">>> ")
        terminal.type(b"\x04")
        terminal.wait_for(b"soft reboot")
        board.ready()
        terminal.type(b"\x1d")
        assert terminal.end() == 0


def test_is_mpremote(board, monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda words: called.append(words) or 7)
    monkeypatch.setattr(sys, "argv", ["host_tools", "console", *board.at])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert cli.main() == 7
    assert called == [[sys.executable, "-m", "mpremote", "connect",
                       os.path.realpath(board.usb / "serial"), "repl"]]


def test_without_a_terminal(board):
    assert "terminal" in refused("console", *board.at)
    assert board.console.seen[-1]["event"] != "stopped"
