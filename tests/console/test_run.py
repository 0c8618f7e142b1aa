"""The console of the emulated board that `run` starts, at the terminal where it was started."""

from __future__ import annotations

import signal

from tests.care.terminal import Terminal
from tests.support.ports import free_port_offset


def test_commands_are_typed_where_it_runs(tmp_path):
    with Terminal("run", "--card", tmp_path / "card.img", "--user", "girl:pw", "--port-offset",
                  str(free_port_offset())) as terminal:
        terminal.wait_for(b"Ctrl-C stops it.")
        terminal.type(b"users\n")
        terminal.wait_for(b"| girl             0 messages, 0 KB\r\n")
        terminal.wait_for(b"answered   command=users\r\n")
        assert terminal.shown.count(b"users\r\n") == 2  # as it was typed, and that
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for(b"  stopped ")
        assert terminal.end() == 0
