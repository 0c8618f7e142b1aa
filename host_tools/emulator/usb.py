"""The USB side of an emulated board, in a folder: `serial`, or a drive called as its chip is."""

from __future__ import annotations

import os
import pty
import shutil
import time
import tty
from pathlib import Path

from host_tools import boards
from host_tools.device.usb import INFO
from host_tools.emulator import uf2

# Of flash, what an image leaves for its file system, KiB (ports/rp2/boards/*/mpconfigboard.h:
# MICROPY_HW_FLASH_STORAGE_BYTES).
FLASH_KIB = {"RPI_PICO_W": 848, "RPI_PICO": 1408, "W5500_EVB_PICO": 1408, "RPI_PICO2_W": 2560,
             "W5500_EVB_PICO2": 1408}
BLOCK = 4096
_PIECE = 4096
_FULL = 1 << 16
_PATIENCE = 3  # s, less than a watchdog's
_INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: %s\n"


class UsbFolder:
    """Of a board with `chip`. `folder` is made; what was left in it by a board that is gone, goes.

    The port is a pseudo-terminal, another one after each reset, as the device of a real board goes
    and comes. What nobody reads waits, `full` says when that is too much for more, and is lost when
    nobody reads for long (a board waits for half a second with each write). The cable is pulled,
    and the board without power, when it has taken in `unplug_after` octets; how many it has is in
    `typed`.
    """

    def __init__(self, folder: Path, chip: boards.Chip = boards.RP2040,
                 unplug_after: int | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._port = folder / "serial"
        self.drive = folder / chip.board_id
        self._chip = chip
        self._ours = self._theirs = -1
        self._waiting = b""
        self._moved = 0.0  # s, when some of that went, or the first of it came
        self._left = unplug_after
        self._typed = 0
        (folder / "typed").write_text("0")
        self.unplugged = False
        self.detach()
        if self.drive.exists():
            shutil.rmtree(self.drive)

    def attach(self) -> None:
        """The port comes."""
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)  # and held open: else our end would be at its end without a reader
        os.set_blocking(self._ours, False)
        self._port.symlink_to(os.ttyname(self._theirs))

    def detach(self) -> None:
        """The port goes."""
        self._port.unlink(missing_ok=True)
        self._waiting = b""
        if self._ours >= 0:
            os.close(self._ours)
            os.close(self._theirs)
            self._ours = self._theirs = -1

    def fileno(self) -> int:
        """Of our end of the port."""
        return self._ours

    def typed(self) -> bytes:
        """What came in at the port; blocks never."""
        try:
            octets = os.read(self._ours, 4096)
        except OSError:
            return b""
        self._typed += len(octets)
        (self.folder / "typed").write_text(str(self._typed))
        if self._left is not None:
            octets = octets[:self._left]
            self._left -= len(octets)
            self.unplugged = not self._left
        return octets

    def show(self, octets: bytes) -> None:
        """Send them out, as soon as there is room."""
        if not self._waiting:
            self._moved = time.monotonic()
        self._waiting += octets
        self.send()

    def send(self) -> None:
        """What there is room for of what waits; blocks never."""
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._ours, self._waiting[:_PIECE]):]
                self._moved = time.monotonic()
        except OSError:
            if time.monotonic() - self._moved > _PATIENCE:
                self._waiting = b""

    @property
    def waits(self) -> bool:
        """Whether `send` has something to do when `fileno` is writable."""
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no more is to be shown now."""
        return len(self._waiting) > _FULL

    # --- BOOTSEL ------------------------------------------------------------------------------

    def offer_drive(self) -> None:
        """As a board without an image, or whose BOOTSEL is held down."""
        self.drive.mkdir()
        (self.drive / INFO).write_text(_INFO % self._chip.board_id)

    def taken(self) -> bytes | None:
        """The program that was copied to the drive, which is gone then; None while there is none
        that is whole.
        """
        for path in self.drive.glob("*.uf2"):
            try:
                program = uf2.read(path, self._chip)
            except (uf2.ImageError, OSError):
                continue  # it is still coming, or nothing
            shutil.rmtree(self.drive)
            return program
        return None
