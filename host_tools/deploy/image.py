"""MicroPython for a board without one: its UF2 file, and the drive that takes it."""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import platformdirs

from host_tools import boards
from host_tools.device.usb import Port, Usb, chip_at
from host_tools.emulator import uf2
from host_tools.errors import UserError

_PATIENCE = 30  # s for a board to come up after its image is there
_LOOK = 0.05  # s between two looks
_MOST = 16 << 20  # octets of a download: four times the flash


def cache() -> Path:
    """Where downloaded images lie."""
    return platformdirs.user_cache_path("picopost")


def find(definition: dict | None, given: Path | None, folder: Path | None = None) -> Path:
    """The image for that board: `given`, or the newest fitting one in the cache, or downloaded
    there, its SHA-256 checked (the definition's `image` has `url` and `sha256`). For any board,
    where that is not known yet, and `given` is. Raises UserError.
    """
    folder = folder or cache()
    if given:
        return _checked(given, boards.chip_of(definition) if definition else None)
    chip, image = boards.chip_of(definition), definition["image"]
    # Behind the name comes the date; of another one that begins so, as RPI_PICO2_W-RISCV, a word.
    cached = sorted(path for path in folder.glob(f"{image['name']}-[0-9]*.uf2")
                    if _may_serve(definition, path))
    if cached:
        return _checked(cached[-1], chip)
    if "url" not in image:
        raise UserError(
            f"the board has no MicroPython, and there is none for it in {folder}: take "
            f"{image['name']} ({image['versions']}) from micropython.org/download and give it with "
            "UF2=FILE, or put it there")
    return _download(image["url"], image["sha256"], folder, chip)


def _may_serve(definition: dict, path: Path) -> bool:
    """By its name, RPI_PICO_W-20260601-v1.29.0.uf2; what names no version has to be tried."""
    number = re.search(r"-v(\d+\.\d+\.\d+)", path.name)
    return not number or boards.fits(definition, number[1])


def _checked(path: Path, chip: boards.Chip | None) -> Path:
    """An image for that chip, or for any."""
    for each in (chip,) if chip else boards.CHIPS:
        try:
            uf2.read(path, each)
            return path
        except OSError as error:
            raise UserError(f"image {path}: {error.strerror}") from error
        except uf2.ImageError as error:
            wrong = error
    raise UserError(f"image {path}: {wrong}")


def _download(url: str, sha256: str, folder: Path, chip: boards.Chip) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            content = answer.read(_MOST + 1)
    except (URLError, OSError, ValueError) as error:
        raise UserError(f"{url}: {getattr(error, 'reason', error)}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(f"{url}: its SHA-256 is {found}, it should be {sha256}; nothing was kept")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / url.rsplit("/", 1)[-1]
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)
    return _checked(path, chip)


def flash(usb: Usb, drive: Path, image: Path, say: Callable[[str], None]) -> Port:
    """Copy the image onto the drive, and wait for the board's port. Raises UserError, for an image
    for another chip than waits there too, which would do nothing with it.
    """
    _checked(image, chip_at(drive))
    say(f"{image.name} -> {drive}")
    before = {port.device for port in usb.ports()}
    try:
        with open(drive / image.name, "wb") as file:
            file.write(image.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # The chip leaves with the last block, before the copy is closed everywhere.
        if drive in usb.drives():
            raise UserError(f"{drive}: {error.strerror}") from error
    found = wait(lambda: [port for port in usb.ports() if port.device not in before])
    if not found:
        raise UserError("the board did not come up with its new image: unplug it and plug it in")
    return found[0]


def wait(look: Callable[[], list]) -> list:
    """What `look` finds, once it finds anything; nothing after half a minute."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return found
