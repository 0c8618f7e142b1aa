"""Our chip models on the pins of an emulated RP2040 (PyPI's rp2040py), which runs a real image.

    wire = SpiWire(1, {13: SDCard(image)})        # SPI 1, chip select on GPIO 13
    dataclasses.replace(spec, extras=spec.extras + (lambda: wire,))

rp2040py is not imported here: it calls `attach` with its chip. An octet takes no emulated time;
who wants to know adds what the clock of the bus takes.
"""

from __future__ import annotations

from collections.abc import Callable

from host_tools.emulator.clock import BusClock
from host_tools.emulator.spi_bus import SpiBus, SpiDevice

_LOW = 0  # of rp2040py's GPIOPinState; above 1 nobody drives the pin


class SpiWire:
    """SPI bus `number` with models behind their chip selects, by pin. `bus.octets` counts.

    `after_frame()` is called when a chip select has gone high: a chip may move another line of its
    own then.
    """

    def __init__(self, number: int, devices: dict[int, SpiDevice],
                 after_frame: Callable[[], None] = lambda: None):
        self.number = number
        self.devices = devices
        self.after_frame = after_frame
        self.bus = SpiBus(BusClock())
        for device in devices.values():
            self.bus.attach(device)

    def attach(self, rp2040) -> None:
        """Called by rp2040py before the chip starts."""
        spi = rp2040.spi[self.number]
        spi.on_transmit = (
            lambda octet: spi.complete_transmit(self.bus.exchange(bytes((octet & 0xFF,)))[0]))
        for pin, device in self.devices.items():
            rp2040.gpio[pin].add_listener(
                lambda new, old, device=device: self._select(device, new == _LOW))

    def _select(self, device: SpiDevice, selected: bool) -> None:
        self.bus.select(device, selected)
        if not selected:
            self.after_frame()


class CycleMarks:
    """Notes the core's cycles at each edge of an output: `edges` is a list of (level, cycles)."""

    def __init__(self, pin: int):
        self.pin = pin
        self.edges: list[tuple[int, int]] = []

    def attach(self, rp2040) -> None:
        """Called by rp2040py before the chip starts."""
        rp2040.gpio[self.pin].add_listener(
            lambda new, old: self.edges.append((int(new), rp2040.core.cycles)))


class OutputWire:
    """Calls `handler(level)` when an output changes: a reset line."""

    def __init__(self, pin: int, handler: Callable[[int], None]):
        self.pin = pin
        self.handler = handler

    def attach(self, rp2040) -> None:
        """Called by rp2040py before the chip starts."""
        rp2040.gpio[self.pin].add_listener(lambda new, old: self.handler(int(new == 1)))


class InputWire:
    """Drives an input with what `level()` gives, whenever `update()` is called: a chip's interrupt
    line."""

    def __init__(self, pin: int, level: Callable[[], bool]):
        self.pin = pin
        self._level = level
        self._driven: bool | None = None
        self._gpio = None

    def attach(self, rp2040) -> None:
        """Called by rp2040py before the chip starts."""
        self._gpio = rp2040.gpio[self.pin]
        self.update()

    def update(self) -> None:
        """Take the line to where it belongs now."""
        level = bool(self._level())
        # What it is already would be an edge to the emulated chip.
        if level != self._driven and self._gpio:
            self._driven = level
            self._gpio.set_input_value(level)
