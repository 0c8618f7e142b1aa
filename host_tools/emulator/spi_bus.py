"""SPI buses and the pins that select and reset the chips on them.

A chip model is any object with `select(bool)`, `transfer(byte) -> byte` and
`transfer_bulk(bytes) -> bytes`; it hears bytes only while its chip select is low.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

from host_tools.emulator.clock import BusClock


class SpiDevice(Protocol):
    """What a chip model offers to the bus."""

    def select(self, selected: bool) -> None: ...
    def transfer(self, byte: int) -> int: ...
    def transfer_bulk(self, data: bytes) -> bytes: ...


class SpiBus:
    """One bus with any number of chips, each behind a chip select (active low)."""

    def __init__(self, clock: BusClock):
        self.clock = clock
        self.baudrate = 1_000_000
        self.transfers = 0
        self.octets = 0
        self._devices: list[SpiDevice] = []
        self._selected: list[SpiDevice] = []

    def attach(self, device: SpiDevice) -> None:
        """Put a chip on the bus, not selected."""
        self._devices.append(device)

    def select(self, device: SpiDevice, selected: bool) -> None:
        """Its chip select changed; two chips selected at once would fight on MISO: warned of."""
        if selected == (device in self._selected):
            return
        if selected:
            if self._selected:
                warnings.warn("two chips selected on one SPI bus", stacklevel=2)
            self._selected.append(device)
        else:
            self._selected.remove(device)
        device.select(selected)

    def exchange(self, data: bytes) -> bytes:
        """Clock `data` out and return as many octets in; a floating MISO reads 0xFF."""
        self.transfers += 1
        self.octets += len(data)
        self.clock.clocked(len(data), self.baudrate)
        # A chip that is not selected still sees the clock: SD cards count it before CMD0.
        for device in self._devices:
            if device not in self._selected:
                hear = getattr(device, "clocked_unselected", None)
                if hear:
                    hear(len(data))
        if not self._selected:
            return b"\xff" * len(data)
        reply = self._selected[0].transfer_bulk(data)
        for device in self._selected[1:]:
            other = device.transfer_bulk(data)
            reply = bytes(a & b for a, b in zip(reply, other, strict=True))
        return reply


class Pins:
    """Which pin does what: outputs drive chip selects and resets, inputs read chips' lines."""

    def __init__(self):
        self.outputs: dict[int, Callable[[int], None]] = {}
        self.inputs: dict[int, Callable[[], int]] = {}
        self.levels: dict[int, int] = {}

    def drive(self, pin: int, level: int) -> None:
        """The firmware sets an output."""
        self.levels[pin] = level
        handler = self.outputs.get(pin)
        if handler:
            handler(level)

    def read(self, pin: int) -> int:
        """The firmware reads an input; one that nothing drives reads 1 (pulled up)."""
        handler = self.inputs.get(pin)
        return handler() if handler else 1
