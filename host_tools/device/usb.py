"""What hangs at this computer's USB: boards that run MicroPython, and those that wait for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

# Raspberry Pi's vendor id, which MicroPython's rp2 images have too (ports/rp2/mpconfigport.h).
_VENDOR = 0x2E8A
# On the drive of an RP2040 that waits for an image (RP2040 datasheet 2.8.4.1).
INFO = "INFO_UF2.TXT"
_BOARD_ID = "RPI-RP2"


@dataclass(frozen=True)
class Port:
    """A serial port: its device, and what a person knows it by."""

    device: str
    title: str


class Usb:
    """This computer's. `ports` is those of boards, `drives` those of RP2040s in BOOTSEL mode."""

    def ports(self) -> list[Port]:
        return [Port(port.device, f"{port.device} ({port.product or port.description}"
                                  f"{', ' + port.serial_number if port.serial_number else ''})")
                for port in sorted(list_ports.comports()) if port.vid == _VENDOR]

    def drives(self) -> list[Path]:
        return [folder for folder in _mounted() if _waits(folder)]


class FolderUsb(Usb):
    """An emulated board's (`run --usb FOLDER`): `serial` in it, or the drive `RPI-RP2`."""

    def __init__(self, folder: Path):
        self._folder = folder

    def ports(self) -> list[Port]:
        port = self._folder / "serial"
        return [Port(str(port), f"{port} (emulated)")] if port.exists() else []

    def drives(self) -> list[Path]:
        drive = self._folder / _BOARD_ID
        return [drive] if _waits(drive) else []


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


def _waits(folder: Path) -> bool:
    try:
        return _BOARD_ID in (folder / INFO).read_text(errors="replace")
    except OSError:
        return False
