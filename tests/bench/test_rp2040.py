"""What tests/bench/rp2040.py brings to an image, as far as it needs none."""

from collections import defaultdict
from types import SimpleNamespace

import pytest

from host_tools import boards
from host_tools.emulator.chips.w5500_registers import COMMON_OFFSETS
from host_tools.emulator.rp2040 import CycleMarks, OutputWire, SpiWire
from host_tools.firmware_build import vm_arch
from tests.bench import kernels, rp2040
from tests.support.bench import Bench

BOARD = boards.load("pico_w5500")


class FakePin:
    def __init__(self):
        self.listeners = []

    def add_listener(self, listener):
        self.listeners.append(listener)

    def drive(self, level):
        for listener in self.listeners:
            listener(level, 1 - level)


class FakeSpi:
    def __init__(self):
        self.replies = []
        self.complete_transmit = self.replies.append

    def exchange(self, data):
        """What the chip's SPI does: an octet at a time."""
        self.replies.clear()
        for octet in data:
            self.on_transmit(octet)
        return bytes(self.replies)


def fake_chip():
    return SimpleNamespace(spi=[FakeSpi(), FakeSpi()], gpio=defaultdict(FakePin),
                           core=SimpleNamespace(cycles=0))


def test_the_models_answer_on_the_pins_of_the_chip(tmp_path):
    chip = fake_chip()
    *wires, lan = rp2040.wiring(BOARD, tmp_path)
    for wire in wires:
        wire.attach(chip)
    card, ethernet = BOARD["sd_card"], BOARD["wiznet"]
    # The card: 74 clocks, CMD0, and an answer only while it is selected.
    spi = chip.spi[card["spi"]]
    chip.gpio[card["cs"]].drive(1)
    assert spi.exchange(b"\xff" * 10) == b"\xff" * 10
    chip.gpio[card["cs"]].drive(0)
    assert b"\x01" in spi.exchange(b"\x40\0\0\0\0\x95" + b"\xff" * 8)
    # The W5500: VERSIONR.
    spi = chip.spi[ethernet["spi"]]
    frame = bytes((0, COMMON_OFFSETS["VERSIONR"], 0, 0))
    assert spi.exchange(frame)[3] == 0xFF, "it is not selected"
    chip.gpio[ethernet["cs"]].drive(0)
    assert spi.exchange(frame)[3] == 4
    lan.close()


def test_a_pin_that_nobody_drives_selects_nothing():
    chip = fake_chip()
    levels, selected = [], []
    OutputWire(20, levels.append).attach(chip)
    SpiWire(0, {17: SimpleNamespace(select=selected.append)}).attach(chip)
    for state in (2, 0, 3, 1):  # input, low, pulled up, high
        chip.gpio[20].drive(state)
        chip.gpio[17].drive(state)
    assert levels == [0, 0, 0, 1]
    assert selected == [True, False]


def test_cycles_an_octet():
    chip = fake_chip()
    marks = CycleMarks(28)
    marks.attach(chip)
    for level, cycles in ((2, 1), (0, 5), (1, 10), (0, 90), (1, 100), (0, 120),  # nothing: 20
                          (1, 200), (0, 900), (1, 1000), (0, 1220)):
        chip.core.cycles = cycles
        chip.gpio[28].drive(level)
    assert rp2040.steps(["step nothing 1", "noise", "step work 50"], marks.edges) == {"work": 4.0}


@pytest.mark.skipif(vm_arch() is None, reason="no native code for this machine's VM")
def test_the_probe_runs(tmp_path):
    """In the VM in an image's place: modules come through the REPL, each step does its work."""
    *wires, lan = rp2040.wiring(BOARD, tmp_path)
    edges = []
    devices = {(wire.number, pin): model for wire in wires for pin, model in wire.devices.items()}
    with Bench(devices, {rp2040.MARK_PIN: lambda level: edges.append((level, len(edges)))},
               heap_kib=BOARD["heap_kib"]) as bench:
        for statement in rp2040.upload(vm_arch()):
            bench.vm.exec(statement)
        bench.vm.exec(f"import rp2040_probe; rp2040_probe.probe({BOARD!r}, {rp2040.MARK_PIN})")
        assert bench.vm.eval("sys.modules['picopost.store.sd_card'].__file__").startswith("/probe")
    lan.close()
    assert list(rp2040.steps(bench.vm.printed, edges)) == [
        "mboxrd_viper.receive", "mboxrd_viper.send", "crc_viper.crc16", "SdCard.writeblocks",
        "SdCard.readblocks", "W5500.receive", "W5500.send"]
    octets = [int(line.split()[2]) for line in bench.vm.printed if line.startswith("step ")]
    assert all(octets) and octets[4] == 4096


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(SystemExit, match="there is no image"):
        rp2040.section(tmp_path / "none.uf2")
    (tmp_path / "no.uf2").write_bytes(bytes(512))
    with pytest.raises(SystemExit, match="rp2040py|does not come up"):
        rp2040.section(tmp_path / "no.uf2")


def test_the_kernels_code_is_found():
    sizes = [len(code) for code in kernels.viper_code(
        kernels.FIRMWARE / "picopost" / "store" / "mboxrd_viper.py")]
    assert len(sizes) == 2 and min(sizes) > 500


def test_the_models_answer_to_an_emulated_chip(tmp_path):
    """By the registers of SIO, IO_BANK0 and SPI (RP2040 datasheet 2.3.1.7, 2.19.6.1, 4.4.4)."""
    emulator = pytest.importorskip("rp2040py.rp2040",
                                   reason="pip install -r tests/requirements.txt")
    chip = emulator.RP2040()
    *wires, lan = rp2040.wiring(BOARD, tmp_path)
    marks = CycleMarks(rp2040.MARK_PIN)
    for extra in (*wires, marks):
        extra.attach(chip)
    select = 1 << BOARD["wiznet"]["cs"]
    mark = 1 << rp2040.MARK_PIN
    for pin in (BOARD["wiznet"]["cs"], rp2040.MARK_PIN):
        chip.write_uint32(0x4001_4004 + 8 * pin, 5)  # GPIOx_CTRL: SIO
    chip.write_uint32(0xD000_0014, select)  # GPIO_OUT_SET
    chip.write_uint32(0xD000_0024, select | mark)  # GPIO_OE_SET
    chip.write_uint32(0x4003_C000, 7)  # SSPCR0 of SPI 0: 8 bits
    chip.write_uint32(0x4003_C004, 2)  # SSPCR1: enabled

    def exchange(data):
        replies = []
        for octet in data:
            chip.write_uint32(0x4003_C008, octet)  # SSPDR
            replies.append(chip.read_uint32(0x4003_C008))
        return bytes(replies)

    frame = bytes((0, COMMON_OFFSETS["VERSIONR"], 0, 0))
    assert exchange(frame)[3] == 0xFF
    chip.write_uint32(0xD000_0018, select)  # GPIO_OUT_CLR
    assert exchange(frame)[3] == 4
    chip.write_uint32(0xD000_0014, mark)
    assert marks.edges[-1] == (1, chip.core.cycles)
    lan.close()


def test_the_kernels_do_their_work_on_an_emulated_core():
    """The oracles are in kernels.py; the figures are told, and only bounded from far above."""
    pytest.importorskip("rp2040py", reason="pip install -r tests/requirements.txt")
    for name, cycles in kernels.measure().items():
        assert 1 < cycles < 200, name
