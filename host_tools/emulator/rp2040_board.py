"""One emulated board as board.py has it, but on an emulated RP2040 (PyPI's rp2040py) that runs a
real image of MicroPython, with the firmware in the file system of its flash.

The chip runs in slices; between them everything else happens, in the same thread: sockets behind
the W5500, lines from the console. Emulated time stands still meanwhile, and is never ahead of the
wall's for more than a slice, so that clients find the firmware's timeouts no shorter than they
are. Behind it is, as soon as there is something to do.
"""

from __future__ import annotations

import dataclasses
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from host_tools import events, firmware_build
from host_tools.emulator import littlefs_image, uf2
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.faults import PowerCut
from host_tools.emulator.flash import ACCOUNTS
from host_tools.emulator.lan import Lan, PortError
from host_tools.emulator.rp2040 import InputWire, OutputWire, SpiWire
from host_tools.emulator.spi_bus import SpiDevice

# Emulated time, in nanoseconds.
_SECOND = 1_000_000_000
_SLICE = 10_000_000
_STOP_TIME = 10 * _SECOND  # for the firmware to sync the card and leave
_BOOT_TIME = 20 * _SECOND  # for the image to open its console: the known ones need one second
_CTRL_C = 0x03
# Its USB host asks that often for what we type; as fast as it can it floods the chip with
# interrupts.
_TYPING_DELAY = 1000  # microseconds
# What MicroPython says when main.py has ended (shared/runtime/pyexec.c), and waits for us.
_BANNER = ("MicroPython v", 'Type "help()"')
_PROMPT = b">>> "
_INTERRUPTED = "KeyboardInterrupt"


class ChipError(Exception):
    """The image does not run; the text says what happened."""


class Moment(NamedTuple):
    """When a line came: cycles that the core has executed, seconds that the board has run."""

    cycles: int
    emulated_seconds: float


class Console:
    """What the firmware prints, line by line, each with the moment of its end."""

    def __init__(self, now: Callable[[], Moment]):
        self.lines: deque[tuple[str, Moment]] = deque()
        self._now = now
        self._pending = b""

    def feed(self, octets: bytes) -> None:
        """What came over USB."""
        *lines, self._pending = (self._pending + bytes(octets)).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if not text.startswith(_BANNER):
                self.lines.append((text, self._now()))

    @property
    def at_prompt(self) -> bool:
        """MicroPython waits for somebody to type."""
        return self._pending == _PROMPT


class Rp2040Board:
    """`definition`, `card`, `flash`, `port_offset` and `main` as EmulatedBoard has them; `image`
    is a UF2 file.

    What the firmware writes to its accounts is in the folder `flash` when the next line is shown.
    `power_cut`, `console_tail` and the models are as with EmulatedBoard. Raises ImageError or
    OSError for what is no image, NoRoom when the firmware does not fit beside it, ImportError
    without rp2040py or littlefs-python.
    """

    def __init__(self, definition: dict, card: CardImage, flash: Path, port_offset: int,
                 image: Path, main: Path | None = None):
        self.definition = definition
        self.flash = flash
        self.power_cut = False
        self.console_tail: list[str] = []
        self.sd_card = SDCard(card)
        self.lan = Lan(port_offset)
        self.w5500 = W5500(self.lan)
        self._interrupt: InputWire | None = None
        self.wires = [*self._buses(), *self._lines(definition["wiznet"])]
        self._image = image
        self._main = main
        program = uf2.read(image)
        self._region = uf2.file_system(program)
        self._program = program.ljust(uf2.FLASH_SIZE, b"\xff")
        self._device = self._make_device()
        self._console = Console(self._now)
        self._known_files = b""  # the file system when it was last looked at
        self._up = False  # its console is open
        self._stopped = False  # as the firmware says
        self._stopping = 0
        self._stop_by = float("inf")
        self._wake_ours, self._wake_theirs = socket.socketpair()
        self._wake_ours.setblocking(False)

    def _buses(self) -> list[SpiWire]:
        buses: dict[int, dict[int, SpiDevice]] = {}
        for wiring, device in ((self.definition["sd_card"], self.sd_card),
                               (self.definition["wiznet"], self.w5500)):
            buses.setdefault(wiring["spi"], {})[wiring["cs"]] = device
        return [SpiWire(number, devices, self._update_interrupt)
                for number, devices in buses.items()]

    def _lines(self, pins: dict[str, int]) -> list[OutputWire | InputWire]:
        """The W5500's own, as far as they are connected."""
        lines: list[OutputWire | InputWire] = []
        if "reset" in pins:
            lines.append(OutputWire(pins["reset"],
                                    lambda level: None if level else self._reset_w5500()))
        if "interrupt" in pins:
            self._interrupt = InputWire(pins["interrupt"], lambda: not self.w5500.interrupt)
            lines.append(self._interrupt)
        return lines

    def _reset_w5500(self) -> None:
        self.w5500.reset()
        self._update_interrupt()

    def _update_interrupt(self) -> None:
        if self._interrupt:
            self._interrupt.update()

    def _make_device(self):
        """rp2040py's device with the image in it and our models around it, not started."""
        from rp2040py.boards import BOARDS
        from rp2040py.device import BaseDevice

        spec = BOARDS["pico"]
        return BaseDevice(board=dataclasses.replace(
            spec, image=str(self._image),
            extras=(*spec.extras, *(lambda wire=wire: wire for wire in self.wires))))

    def claim(self, ports: list[int]) -> None:
        """Make sure that the outside ports are free. Raises PortError for the first that is not."""
        self.lan.claim(ports)

    def run(self, on_line: Callable[[str, dict], None]) -> int:
        """Boot and serve until main.py ends; `on_line` gets each console line, and its Moment as a
        dict.

        Returns 0 when it ended in order. Raises PortError when a port was taken meanwhile,
        ChipError when the image does not come up or breaks down.
        """
        try:
            self._write_flash()
            self._serve(on_line)
        except PowerCut:
            self.power_cut = True
            self._show(on_line)
        finally:
            self._keep_accounts()
            self.lan.close()
        # Before main.py takes Ctrl-C for itself, MicroPython does.
        interrupted = self._stopping and any(line.startswith(_INTERRUPTED)
                                             for line in self.console_tail)
        return 0 if self._stopped or interrupted else 1

    def stop(self) -> None:
        """Ask the firmware to end, as Ctrl-C on its console does; once more: do not wait for it.
        From any thread or signal."""
        self._wake_theirs.send(b"S")

    # --- flash ----------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        """What is in the file system at the start: the firmware, and the folder `flash`."""
        tree = firmware_build.build(firmware_build.BUILD / "firmware" / "rp2040",
                                    firmware_build.ARCHITECTURES["RP2040"])
        files = {path.relative_to(folder).as_posix(): path.read_bytes()
                 for folder in (tree, self.flash)
                 for path in sorted(folder.rglob("*")) if path.is_file()}
        if self._main:
            files["main.py"] = self._main.read_bytes()
        return files

    def _write_flash(self) -> None:
        flash = bytearray(self._program)
        offset, size = self._region
        self._known_files = littlefs_image.make(self.files(), size)
        flash[offset : offset + size] = self._known_files
        self._device.mcu.flash[: len(flash)] = flash

    def _keep_accounts(self) -> None:
        """Bring the accounts to the folder when the firmware has changed them."""
        offset, size = self._region
        image = bytes(self._device.mcu.flash[offset : offset + size])
        if image == self._known_files:
            return
        self._known_files = image
        try:
            accounts = littlefs_image.read(image).get(ACCOUNTS)
        except ValueError:
            return  # the chip is at work on it
        path = self.flash / ACCOUNTS
        if accounts is not None and not (path.exists() and path.read_bytes() == accounts):
            path.touch(mode=0o600)
            path.write_bytes(accounts)

    # --- running --------------------------------------------------------------------------

    def _now(self) -> Moment:
        return Moment(self._device.mcu.core.cycles,
                      round(self._device.simulator.clock.nanos / _SECOND, 6))

    def _serve(self, on_line: Callable[[str, dict], None]) -> None:
        from rp2040py.execute_batch import execute_batch

        device = self._device
        simulator, clock = device.simulator, device.simulator.clock
        breakpoints: list[int] = []
        device.mcu.on_break = lambda code: (breakpoints.append(code), simulator.stop())
        reset = device.mcu.watchdog.on_watchdog_trigger

        def on_reset() -> None:
            if self._stopping:
                self._stop_by = 0  # it need not start again
                simulator.stop()
            else:
                reset()

        device.mcu.watchdog.on_watchdog_trigger = on_reset
        device.cdc.on_serial_data = self._console.feed
        device.cdc.on_device_connected = self._connected
        end_of_slice = clock.create_alarm(simulator.stop)
        device.mcu.core.pc = uf2.FLASH_BASE
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_ours, selectors.EVENT_READ, self._ask_to_stop)
            selector.register(self.w5500, selectors.EVENT_READ, self._poll_w5500)
            while not self._console.at_prompt:
                started, nanos = time.monotonic(), clock.nanos
                end_of_slice.schedule(_SLICE)
                simulator.stopped = False
                try:
                    execute_batch(simulator, 1)
                except RuntimeError as error:  # what rp2040py raises for what it calls an error
                    raise ChipError(f"rp2040py at {device.mcu.core.pc:#x}: {error}") from error
                if not self._up and clock.nanos > _BOOT_TIME:
                    raise ChipError("the image does not come up: no console on USB in "
                                    f"{_BOOT_TIME // _SECOND} emulated seconds")
                self._show(on_line)
                if breakpoints:
                    raise ChipError(f"the image stopped at a breakpoint ({breakpoints[0]}, "
                                    f"at {device.mcu.core.pc:#x})")
                if self.lan.port_error:
                    raise PortError(str(self.lan.port_error))
                if clock.nanos > self._stop_by or self._stopping > 1:
                    return
                ahead = (clock.nanos - nanos) / _SECOND - (time.monotonic() - started)
                for key, _ in selector.select(max(0.0, ahead)):
                    key.data()

    def _connected(self) -> None:
        self._up = True
        self._device.mcu.usb_ctrl.read_delay_microseconds = _TYPING_DELAY

    def _show(self, on_line: Callable[[str, dict], None]) -> None:
        lines = self._console.lines
        if lines:
            self._keep_accounts()
        while lines:
            text, moment = lines.popleft()
            self.console_tail = [*self.console_tail[-30:], text]
            self._stopped |= (events.parse(text) or {}).get("event") == "stopped"
            on_line(text, moment._asdict())

    def _poll_w5500(self) -> None:
        self.w5500.poll()
        self._update_interrupt()

    def _ask_to_stop(self) -> None:
        self._stopping += len(self._wake_ours.recv(100))
        if self._stop_by == float("inf"):
            self._stop_by = self._device.simulator.clock.nanos + _STOP_TIME
            self._device.cdc.send_serial_byte(_CTRL_C)
