"""The time that passes on the emulated buses: counted in bits clocked, never read off a wall."""

from __future__ import annotations


class BusClock:
    """Nanoseconds that the SPI buses have been clocking."""

    def __init__(self):
        self.nanoseconds = 0

    def clocked(self, octets: int, baudrate: int) -> None:
        """`octets` went over a bus that runs at `baudrate` bits a second."""
        self.nanoseconds += octets * 8_000_000_000 // baudrate
