"""What a board says at its port, line by line."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator

import serial

_LOOK = 0.05  # s between two looks at a port that is not there
_TURN = 0.05  # s of silence before the clock is looked at


def lines(device: str, seconds: float = math.inf,
          on_turn: Callable[[bool], None] | None = None) -> Iterator[str]:
    """For so long, from a port that goes and comes back with its board. `on_turn` is told True when
    it has been opened, False when it is gone.
    """
    deadline = time.monotonic() + seconds
    told = None

    def tell(there: bool) -> None:
        nonlocal told
        if on_turn and told != there:
            told = there
            on_turn(there)

    while time.monotonic() < deadline:
        try:
            with serial.Serial(os.path.realpath(device), timeout=_TURN, exclusive=True) as port:
                tell(True)
                pending = b""
                while time.monotonic() < deadline:
                    *whole, pending = (pending + port.read(4096)).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace").rstrip("\r")
        except (OSError, serial.SerialException):
            tell(False)
            time.sleep(_LOOK)
