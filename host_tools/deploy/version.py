"""A version of the firmware as it goes on a board: its files by content.

On the flash `f` holds files that are named by what is in them, and `files.txt` says which file of
the firmware is which. A new version brings the files that are not there yet, and its list takes the
place of the old one in one step (firmware/main.py reads it).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from host_tools import boards, firmware_build
from host_tools.device.flash_files import BOARD

_NAME = 12  # hex digits: of two files the names differ but once in 2**48


@dataclass(frozen=True)
class Version:
    """`files`: {path as the firmware knows it: content}; `main`: main.py."""

    files: dict[str, bytes]
    main: bytes

    @property
    def contents(self) -> dict[str, bytes]:
        """{name in `f`: content}"""
        return {name(content): content for content in self.files.values()}

    @property
    def list(self) -> bytes:
        """What `files.txt` says."""
        return "".join(f"{path} {name(content)}\n"
                       for path, content in sorted(self.files.items())).encode()


def name(content: bytes) -> str:
    """Of a file with that content."""
    return hashlib.sha256(content).hexdigest()[:_NAME]


def build(definition: dict, arch: str | None) -> Version:
    """Compile the firmware for that board. Raises firmware_build.BuildError."""
    # A tree of its own for each link: boards of both kinds may be deployed at the same time.
    tree = firmware_build.build(
        firmware_build.BUILD / "firmware" / f"{arch or 'bytecode'}-{definition['link']}", arch,
        with_wiznet=definition["link"] == "wiznet")
    files = {path.relative_to(tree).as_posix(): path.read_bytes()
             for path in sorted(tree.rglob("*.mpy"))}
    files[firmware_build.STAMP_MODULE + ".mpy"] = firmware_build.compiled_stamp()
    files[BOARD] = json.dumps(boards.for_firmware(definition)).encode()
    return Version(files, (firmware_build.FIRMWARE / "main.py").read_bytes())
