"""Let the firmware recover a card image: its own code, in the MicroPython VM."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from host_tools import firmware_build, vm
from host_tools.card.fat import CardError
from host_tools.emulator.card_image import CardImage
from host_tools.errors import UserError

_SCRIPT = Path(__file__).with_name("vm_repair.py")
# One mailbox is open at a time and no session: less than the smallest board has would do.
_HEAP_KIB = 196
_GAVE_UP = 3  # as in vm_repair.py


def backup_of(path: Path) -> Path:
    """Where the copy of an image goes."""
    return path.with_name(path.name + ".bak")


def back_up(path: Path) -> None:
    """Copy the image, as sparse as it is, beside it; never over another file. UserError."""
    if not path.is_file():
        raise UserError(f"{path} is a device: copy it yourself, then repair with --no-backup")
    copy = backup_of(path)
    try:
        with CardImage(path) as image:
            image.copy(copy).close()
    except OSError as error:
        raise UserError(f"no copy {copy}: {error.strerror or error}; move it away, or "
                        "--no-backup") from error


def repair(path: Path, on_line: Callable[[str], None]) -> bool:
    """Run the recovery; `on_line` gets each line that the firmware logs.

    False when the firmware would keep a mailbox closed. Raises CardError when it cannot use the
    card, UserError when it cannot be built.
    """
    try:
        tree = firmware_build.build_for_vm()
    except firmware_build.BuildError as error:
        raise UserError(str(error)) from error
    with vm.start(_HEAP_KIB, str(_SCRIPT), str(path), path=[tree, tree / "lib"],
                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                  text=True, errors="replace") as process:
        line = ""
        for line in process.stdout:
            on_line(line.rstrip("\n"))
    if process.returncode not in (0, _GAVE_UP):
        raise CardError(f"{path}: the firmware could not finish: {line.strip()}")
    return not process.returncode
