"""The chip's watchdog: a loop that stands still for 8 seconds is a reset (RP2040 datasheet 4.7,
RP2350 datasheet 12.9)."""

import sys

from micropython import const

import machine

from picopost import limits

# WATCHDOG_CTRL's ENABLE (4.7.6; 12.9.7), at the alias that clears bits (2.1.2; 2.1.3). `machine`
# cannot stop it.
_CTRL_CLEAR = 0x400DB000 if "RP2350" in sys.implementation._machine else 0x4005B000
_ENABLE = const(1 << 30)


class Watchdog:
    """Not running until `start`."""

    def __init__(self):
        self._wdt = None

    def start(self):
        """From now on `feed` has to be called again and again."""
        self._wdt = machine.WDT(timeout=limits.WATCHDOG_TIME)

    def feed(self):
        """All is well."""
        if self._wdt:
            self._wdt.feed()

    def stop(self):
        """For work that takes its time in one piece, and for the prompt."""
        if self._wdt:
            machine.mem32[_CTRL_CLEAR] = _ENABLE
            self._wdt = None
