"""The VM without CPython around it, to measure what it takes by itself."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import vm

_SOURCE = Path(__file__).with_name("vm_loader.c")


def build(folder: Path) -> Path | None:
    """The loader, compiled into `folder`; None where there is no C compiler or it does not work."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    loader = folder / "vm_loader"
    made = subprocess.run([compiler, "-O1", "-rdynamic", str(_SOURCE), "-o", str(loader), "-ldl"],
                          capture_output=True)
    if made.returncode:
        return None
    package = importlib.util.find_spec("micropython_run").origin
    tried = subprocess.run([str(loader), package, "-c", "print(1 + 1)"], capture_output=True)
    return loader if tried.stdout == b"2\n" else None


@contextmanager
def launched_by(loader: Path | None) -> Iterator[None]:
    """Meanwhile the VMs that are started are started by `loader`; None: as ever."""
    ordinary = vm.command

    def command(heap_kib: int, *arguments: str) -> list[str]:
        package = importlib.util.find_spec("micropython_run").origin
        return [str(loader), package, "-X", f"heapsize={heap_kib}wK", *arguments]

    if loader is not None:
        vm.command = command
    try:
        yield
    finally:
        vm.command = ordinary
