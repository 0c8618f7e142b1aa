"""A board at a serial port: a pseudo-terminal, and behind it the MicroPython VM on a flash folder.

    with SerialBoard(folder) as board:
        ... --port, board.port ...
    assert board.diary() == ["stopped", "reset"]
"""

from __future__ import annotations

import os
import pty
import time
import tty
from pathlib import Path

from host_tools import vm

_SCRIPT = Path(__file__).with_name("vm_repl.py")


class SerialBoard:
    """`flash` is the folder that its code sees. With `dies_at` it is unplugged in place of the
    command of that number (from 0) in its raw REPL.
    """

    def __init__(self, flash: Path, running: bool = True, paste: bool = True, dies_at: int = -1):
        self._diary = flash.with_name(flash.name + ".diary")
        self._diary.write_text("")
        board_end, self._port_end = pty.openpty()
        tty.setraw(self._port_end)  # and held open, or the board would see the line hang up
        self.port = os.ttyname(self._port_end)
        self._process = vm.start(196, str(_SCRIPT), str(self._diary),
                                 "running" if running else "idle", "paste" if paste else "plain",
                                 str(dies_at), path=[], cwd=flash, stdin=board_end,
                                 stdout=board_end)
        os.close(board_end)

    def diary(self, resets: int = 1) -> list[str]:
        """What happened to it: "stopped" (the firmware, by Ctrl-C), "reset", "died"; once it was
        reset so often or is dead, or a few seconds have gone without.
        """
        deadline = time.monotonic() + 5
        while True:
            found = self._diary.read_text().split()
            if "died" in found or found.count("reset") >= resets or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def __enter__(self) -> SerialBoard:
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._port_end)
