"""CircuitPython's bus interfaces over a chip model, for Adafruit's packages, unchanged on CPython.

The modules of CircuitPython that they import serve their annotations only.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import pytest

from host_tools.emulator.spi_bus import SpiDevice
from host_tools.firmware_build import DEVICE_PACKAGES

_MODULES = {
    "micropython": {"const": lambda number: number},
    "busio": {"SPI": object},
    "digitalio": {"DigitalInOut": object},
    "circuitpython_typing": {"ReadableBuffer": bytes, "WriteableBuffer": bytearray},
}


class Spi:
    """busio.SPI as adafruit_bus_device calls it."""

    def __init__(self, chip: SpiDevice):
        self._chip = chip

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def configure(self, baudrate: int, polarity: int, phase: int) -> None:
        assert polarity == phase

    def write(self, buffer, start: int = 0, end: int | None = None) -> None:
        self._chip.transfer_bulk(bytes(buffer[start:end]))

    def readinto(self, buffer, start: int = 0, end: int | None = None,
                 write_value: int = 0) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._chip.transfer_bulk(bytes((write_value,)) * (end - start))


class Output:
    """digitalio.DigitalInOut as an output; `drive` hears its level."""

    def __init__(self, drive: Callable[[bool], object]):
        self._drive = drive

    def switch_to_output(self, value: bool = False) -> None:
        self.value = value

    @property
    def value(self) -> bool:
        return self._value

    @value.setter
    def value(self, level: bool) -> None:
        self._value = level
        self._drive(level)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import adafruit_...` find the packages that the board gets, freshly loaded."""
    monkeypatch.syspath_prepend(str(DEVICE_PACKAGES))
    for name, content in _MODULES.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**content))
    for name in [name for name in sys.modules if name.startswith("adafruit_")]:
        monkeypatch.delitem(sys.modules, name)
