"""Whether this computer has a card mounted: two file systems at work on one would wreck it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from host_tools.errors import UserError

_MOUNTS = Path("/proc/self/mountinfo")
_DEVICES = Path("/sys/dev/block")


def refuse_mounted(path: Path) -> None:
    """Raises UserError when the image or block device, or a partition of it, is mounted."""
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape").splitlines()
        status = path.stat()
    except OSError:
        return  # no Linux, or no card: for others to find out
    ours = _device(status.st_rdev) if stat.S_ISBLK(status.st_mode) else None
    for mount in mounts:
        number, _, point = mount.split()[2:5]
        theirs = (_DEVICES / number).resolve()
        if (ours and (ours in (theirs, *theirs.parents) or theirs in ours.parents)) or (
                not ours and _is_behind(path, theirs)):
            point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
            raise UserError(f"{path} is mounted at {point}: unmount it, or give that folder")


def _device(number: int) -> Path:
    return (_DEVICES / f"{os.major(number)}:{os.minor(number)}").resolve()


def _is_behind(image: Path, device: Path) -> bool:
    """Whether a loop device, or a partition of one, is this image."""
    for folder in (device, device.parent):
        try:
            return os.path.samefile((folder / "loop/backing_file").read_text().rstrip("\n"), image)
        except OSError:
            continue
    return False
