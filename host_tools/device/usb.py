"""What hangs at this computer's USB: boards that run MicroPython, and those that wait for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from host_tools import boards

# Raspberry Pi's vendor id, which MicroPython's rp2 images have too (ports/rp2/mpconfigport.h).
_VENDOR = 0x2E8A
# On the drive of a chip that waits for an image (RP2040 datasheet 2.8.4.1, RP2350 datasheet 5.5).
INFO = "INFO_UF2.TXT"


@dataclass(frozen=True)
class Port:
    """A serial port: its device, and what a person knows it by."""

    device: str
    title: str


class Usb:
    """This computer's. `ports` is those of boards, `drives` those of chips in BOOTSEL mode."""

    def ports(self) -> list[Port]:
        return [Port(port.device, f"{port.device} ({port.product or port.description}"
                                  f"{', ' + port.serial_number if port.serial_number else ''})")
                for port in sorted(list_ports.comports()) if port.vid == _VENDOR]

    def drives(self) -> list[Path]:
        return [folder for folder in _mounted() if _waits(folder)]


class FolderUsb(Usb):
    """An emulated board's (`run --usb FOLDER`): `serial` in it, or a drive called as its chip is.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def ports(self) -> list[Port]:
        port = self._folder / "serial"
        return [Port(str(port), f"{port} (emulated)")] if port.exists() else []

    def drives(self) -> list[Path]:
        folders = [self._folder / chip.board_id for chip in boards.CHIPS]
        return [folder for folder in folders if _waits(folder)]


def _mounted() -> list[Path]:
    if sys.platform == "darwin":
        return sorted(Path("/Volumes").iterdir())
    if os.name == "nt":
        return [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return []
    # A blank in a path is written as \040 (proc(5)).
    return [Path(line.split(" ")[1].replace("\\040", " ")) for line in mounts]


def chip_at(drive: Path) -> boards.Chip | None:
    """What waits behind that drive, if it is one of ours."""
    try:
        info = (drive / INFO).read_text(errors="replace")
    except OSError:
        return None
    return next((chip for chip in boards.CHIPS if f"Board-ID: {chip.board_id}" in info), None)


def _waits(folder: Path) -> bool:
    return chip_at(folder) is not None
