"""A test bench: the VM with firmware drivers on one side, chip models on the other.

    with Bench({(1, 13): card_model}) as bench:          # SPI 1, chip select on GPIO 13
        bench.vm.exec("import machine; spi = machine.SPI(1, 1000000)")
"""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable
from pathlib import Path

from host_tools.emulator.channel import Channel
from host_tools.emulator.clock import BusClock
from host_tools.emulator.spi_bus import Pins, SpiBus, SpiDevice
from tests.support.vm import Vm

DEVICE_MODULES = Path(__file__).parents[2] / "host_tools" / "emulator" / "device_modules"


class Bench:
    """Runs the chips in a thread while the test calls into the VM.

    `devices`: (bus, chip select pin) -> model. `outputs`: pin -> called with the level (reset
    lines). `inputs`: pin -> returns the level (interrupt lines). A model with `fileno()` and
    `poll()` is polled when its descriptor is readable. An exception of a model (a PowerCut, say)
    stops the bench, ends the VM's link and stands in `failure`.
    """

    def __init__(self, devices: dict[tuple[int, int], SpiDevice],
                 outputs: dict[int, Callable[[int], None]] | None = None,
                 inputs: dict[int, Callable[[], int]] | None = None, heap_kib: int = 196):
        self.clock = BusClock()
        self.pins = Pins()
        self.buses: dict[int, SpiBus] = {}
        self.failure: BaseException | None = None
        self._pollable = []
        for (number, chip_select), device in devices.items():
            bus = self.buses.setdefault(number, SpiBus(self.clock))
            bus.attach(device)
            self.pins.outputs[chip_select] = (
                lambda level, bus=bus, device=device: bus.select(device, not level))
            if hasattr(device, "fileno"):
                self._pollable.append(device)
        self.pins.outputs.update(outputs or {})
        self.pins.inputs.update(inputs or {})
        self.channel = Channel(self.buses, self.pins)
        self.vm = Vm(heap_kib, extra_path=(DEVICE_MODULES,), emulator=self.channel.vm_end)
        self.channel.vm_end.close()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ, self.channel.service)
            for device in self._pollable:
                selector.register(device, selectors.EVENT_READ, device.poll)
            try:
                while True:
                    for key, _ in selector.select():
                        if key.data() is False:
                            return
            except BaseException as error:
                self.failure = error
            finally:
                self.channel.close()

    def close(self) -> None:
        self.vm.close()
        self._thread.join(10)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_) -> None:
        self.close()
