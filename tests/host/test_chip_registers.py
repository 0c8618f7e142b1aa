"""Registers of the chips that the firmware knows by address: of emulated boards an RP2040's."""

import sys
from types import SimpleNamespace

import pytest

from host_tools.firmware_build import FIRMWARE

MAIN = (FIRMWARE / "main.py").read_text()
WATCHDOG = (FIRMWARE / "picopost" / "watchdog.py").read_text()


# Base of the watchdog's registers, whose alias that clears bits is 0x3000 above: RP2040 datasheet
# 4.7.6 and 2.1.2, RP2350 datasheet 12.9.7 and 2.1.3.
@pytest.mark.parametrize("machine, base", [
    ("Raspberry Pi Pico W with RP2040", 0x4005_8000),
    ("Raspberry Pi Pico 2 W with RP2350", 0x400D_8000)])
def test_the_watchdog(monkeypatch, machine, base):
    monkeypatch.setattr(sys, "implementation",
                        SimpleNamespace(_machine=machine, name=sys.implementation.name))
    begin, end = MAIN.index("WATCHDOG = "), MAIN.index("STARTED = ")
    found = {"sys": sys}
    exec(MAIN[begin:end], found)
    assert (found["REASON"], found["SCRATCH4"]) == (base + 0x08, base + 0x1C)

    chip = SimpleNamespace(mem32={}, WDT=lambda timeout: SimpleNamespace(feed=lambda: None))
    monkeypatch.setitem(sys.modules, "machine", chip)
    monkeypatch.setitem(sys.modules, "micropython", SimpleNamespace(const=lambda value: value))
    monkeypatch.setitem(sys.modules, "picopost",
                        SimpleNamespace(limits=SimpleNamespace(WATCHDOG_TIME=8000)))
    exec(WATCHDOG, found)
    watchdog = found["Watchdog"]()
    watchdog.start()
    watchdog.stop()
    assert chip.mem32 == {base + 0x3000: 1 << 30}
