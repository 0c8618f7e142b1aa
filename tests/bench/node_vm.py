"""A MicroPython of 32 bits, as a board's is: npm's WebAssembly build, in node."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from host_tools.firmware_build import BUILD
from tests.bench.servers import Unavailable

_NAME = "@micropython/micropython-webassembly-pyscript"
# The first that has VfsRom too, and the version of the VM that has 64.
_VERSION = "1.29.0-6"
_FETCHING = 120  # s


def module(fetch: bool = True) -> Path:
    """The package's module, fetched once into build/npm, unless `fetch` is False. Raises
    Unavailable where there is no node, or no way to npm's registry."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Unavailable(f"no {program}")
    folder = BUILD / "npm" / f"micropython-{_VERSION}"
    if not folder.exists():
        if not fetch:
            raise Unavailable(f"{_NAME} is not there: python -m tests.bench budget fetches it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            _fetch(Path(place))
            try:
                (Path(place) / "package").rename(folder)
            except OSError:
                if not folder.exists():  # somebody else was quicker
                    raise
    return folder / "micropython.mjs"


def _fetch(place: Path) -> None:
    try:
        subprocess.run(["npm", "pack", "--silent", f"{_NAME}@{_VERSION}"], cwd=place, check=True,
                       capture_output=True, text=True, timeout=_FETCHING)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm did not bring {_NAME}") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        raise Unavailable(f"npm did not bring {_NAME}: {last}") from None
    [archive] = place.glob("*.tgz")
    with tarfile.open(archive) as package:
        package.extractall(place, filter="data")
