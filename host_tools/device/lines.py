"""What a board says at its port, line by line."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator

import serial

_LOOK = 0.05  # s between two looks at a port that is not there
_SILENCE = 3  # s
PROMPT = ">>> "
_TURN = 0.05  # s of silence before the clock is looked at


def lines(device: str, seconds: float = math.inf,
          on_turn: Callable[[bool], None] | None = None, ask: bool = False) -> Iterator[str]:
    """For so long, from a port that goes and comes back with its board. `on_turn` is told True when
    it has been opened, False when it is gone.

    What was said before the port was open is lost. With `ask` the board is asked how it is after a
    silence: by "?", which the firmware answers (firmware/picopost/appliance.py). At MicroPython's
    prompt that is nonsense, and harmless; there the line is PROMPT.
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
                heard = time.monotonic()
                while time.monotonic() < deadline:
                    octets = port.read(4096)
                    now = time.monotonic()
                    if octets:
                        heard = now
                    elif ask and now - heard > _SILENCE:
                        heard = now
                        if pending.endswith(PROMPT.encode()):
                            yield PROMPT
                        port.write(b"?\r")
                    *whole, pending = (pending + octets).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace").rstrip("\r")
        except (OSError, serial.SerialException):
            tell(False)
            time.sleep(_LOOK)
