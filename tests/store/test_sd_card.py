"""The SD card driver in the VM against the card model: what works, what it costs, what fails."""

import binascii
import random
from pathlib import Path

import pytest

from host_tools import firmware_build
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SLOW, SDCard
from host_tools.emulator.chips.sd_registers import cid
from host_tools.emulator.chips.sd_registers import crc7 as model_crc7
from tests.support.bench import Bench

EIO, ENODEV, EINVAL, EROFS, ETIMEDOUT = 5, 19, 22, 30, 110
VM_CODE = Path(__file__).with_name("vm_sd_card.py").read_text()
BLOCKS = 131_072  # 64 MB


class Wire:
    """A card model, and how the driver deselects it: eight clocks have to follow."""

    def __init__(self, card):
        self.card = card
        self.transfer = card.transfer
        self.transfer_bulk = card.transfer_bulk
        self.released_without_clocks = 0
        self._released = False

    def select(self, selected):
        self.released_without_clocks += selected and self._released
        self._released = not selected
        self.card.select(selected)

    def clocked_unselected(self, count):
        self._released = False
        self.card.clocked_unselected(count)


class Slot:
    """A card in a slot, the driver before it and what a test asks of the two."""

    def __init__(self, bench, card, wire):
        self.bench, self.card, self.wire = bench, card, wire
        self.faults = card.faults
        self.bus = bench.buses[1]
        self.exec, self.eval = bench.vm.exec, bench.vm.eval
        self.exec(VM_CODE)

    def attempt(self, call, *arguments):
        """The result of a call, or (errno, text) of the OSError that it raised."""
        return self.eval(f"attempt({', '.join((call, *arguments))})")

    def write(self, block, seed, blocks=8):
        return self.attempt("card.writeblocks", str(block), f"fill({seed}, {blocks})")

    def read(self, block, blocks=8):
        """The octets read, or (errno, text)."""
        failure = self.attempt("card.readblocks", str(block), f"memoryview(buf)[:{blocks} * 512]")
        return failure or self.eval(f"bytes(memoryview(buf)[:{blocks} * 512])")

    def sync(self):
        return self.attempt("card.ioctl", "3", "0")

    def on_card(self, block, seed, blocks=8):
        return self.card.image.read_blocks(block, blocks) == content(seed, blocks)


def content(seed, blocks=8):
    """What `fill` in the VM makes."""
    return b"".join(bytes((seed, at)) * 256 for at in range(blocks))


@pytest.fixture(scope="module")
def make_slot(tmp_path_factory):
    benches = []

    def make(size=BLOCKS * 512, heap_kib=196, **card):
        path = tmp_path_factory.mktemp("card") / "image"
        model = SDCard(CardImage.create(path, size, formatted=False), **card)
        wire = Wire(model)
        benches.append(Bench({(1, 13): wire}, heap_kib=heap_kib))
        return Slot(benches[-1], model, wire)

    yield make
    for bench in benches:
        bench.close()
        assert bench.failure is None


@pytest.fixture(scope="module")
def shared_slot(make_slot):
    return make_slot()


@pytest.fixture
def slot(shared_slot):
    """An SDHC card of 64 MB, just opened, its counts at zero."""
    shared_slot.faults.clear()
    shared_slot.faults.fired.clear()
    shared_slot.card.insert(serial=1)
    shared_slot.exec("card = SdCard(spi, pin)\ncard.open()")
    return shared_slot


# --- CRCs -------------------------------------------------------------------------------------

def twins():
    viper = ["crc_viper"] if firmware_build.vm_arch() else []
    return ["crc", *viper]


@pytest.mark.parametrize("module", twins())
def test_crcs_agree_with_those_of_the_host(slot, module):
    slot.exec(f"from picopost.store import {module} as twin")
    draw = random.Random(7)
    for _ in range(50):
        data = draw.randbytes(600)
        start, offset = draw.randrange(80), draw.randrange(80)
        slot.exec(f"target = bytearray(600); data = {data!r}")
        crc = slot.eval(f"twin.copy_crc16(data, 0, target, {start}, {offset})")
        block = data[start : start + 512]
        assert crc == binascii.crc_hqx(block, 0)
        assert slot.eval("bytes(target)") == bytes(offset) + block + bytes(88 - offset)
        chained = slot.eval(f"twin.copy_crc16(data, {crc}, memoryview(target), 0, 0)")
        assert chained == binascii.crc_hqx(data[:512], crc)
        assert slot.eval(f"twin.crc7(data, {start})") << 1 | 1 == model_crc7(data[start:start + 5])
    if module == "crc":
        assert slot.eval("twin.crc16(b'123456789')") == 0x31C3  # CRC-16/XMODEM's check value


# --- cards ------------------------------------------------------------------------------------

CARDS = {
    "SDHC": ({}, BLOCKS),
    "SDSC": ({"high_capacity": False}, BLOCKS),
    "SDSC version 1": ({"high_capacity": False, "version": 1}, BLOCKS),
    "SDSC of 2 GB": ({"high_capacity": False}, 1 << 22),
    "other bits": ({"undefined_bits": 0xE0}, BLOCKS),
    "slow": ({"timing": SLOW}, BLOCKS),
}


@pytest.mark.parametrize("name", CARDS)
def test_every_kind_of_card(make_slot, recwarn, name):
    options, blocks = CARDS[name]
    slot = make_slot(blocks * 512, serial=77, **options)
    assert slot.attempt("card.readblocks", "0", "buf") == (ENODEV, "SD: not opened")
    slot.exec("card.open()")
    high_capacity = options.get("high_capacity", True)
    assert slot.eval("card.blocks, card.high_capacity, card.cid, card.write_protected") == (
        blocks, high_capacity, cid(77), False)
    assert slot.bus.baudrate == 24_000_000
    for first, count in ((0, 1), (1, 8), (blocks - 8, 8), (blocks - 1, 1), (500, 2)):
        assert slot.write(first, first & 0xFF, count) is None
        assert slot.read(first, count) == content(first & 0xFF, count)
        assert slot.on_card(first, first & 0xFF, count)
    assert slot.sync() == 0
    assert slot.eval("card.blocks_read, card.blocks_written, card.retries, card.errors") == (
        20, 20, 0, 0)
    assert slot.wire.released_without_clocks == 0
    assert not recwarn.list


def test_what_no_block_device_is_asked(slot):
    for block, octets, offset in ((-1, 512, 0), (BLOCKS, 512, 0), (BLOCKS - 7, 4096, 0),
                                  (0, 500, 0), (0, 512, 16)):
        for call in ("card.readblocks", "card.writeblocks"):
            code, text = slot.attempt(call, str(block), f"bytearray({octets})", str(offset))
            assert (code, text) == (EINVAL, f"SD: block {block}: {octets} octets at offset {offset}")
    assert slot.attempt("card.writeblocks", "0", "b''") is None
    assert slot.eval("[card.ioctl(op, 0) for op in (4, 5, 6, 99)]") == [BLOCKS, 512, 0, -EINVAL]


def test_fat_over_the_driver(make_slot, recwarn):
    slot = make_slot()
    slot.exec("""
vfs.VfsFat.mkfs(card)
vfs.mount(vfs.VfsFat(card), "/sd")
for number in range(4):
    with open("/sd/%d" % number, "wb") as file:
        for at in range(64):
            file.write(memoryview(fill(number * 64 + at, 8))[:4096 - at * number])
vfs.umount("/sd")
card.close()
""")
    assert slot.attempt("card.readblocks", "0", "buf") == (ENODEV, "SD: not opened")
    slot.exec('vfs.mount(vfs.VfsFat(card), "/sd")')
    for number in range(4):
        slot.exec(f"""
wrong = 0
with open("/sd/{number}", "rb") as file:
    for at in range(64):
        data = file.read(4096 - at * {number})
        wrong += data != bytes(memoryview(fill({number} * 64 + at, 8))[:len(data)])
    wrong += len(file.read())
""")
        assert slot.eval("wrong") == 0
    slot.exec('vfs.umount("/sd")')
    assert slot.eval("card.errors, card.write_protected") == (0, False)
    assert slot.card.counters.multi_block_writes > 100
    assert not recwarn.list


# --- what it costs ----------------------------------------------------------------------------

def test_spi_transfers_per_4_kb(slot):
    """One for a command, two for a block read, one for a block written and its busy looks."""
    slot.card.timing = type(slot.card.timing)(response=(1, 1), read_access=(15, 15),
                                              write_busy=(15, 15), stop_busy=(15, 15))

    def cost(call):
        before = slot.bus.transfers
        call()
        return slot.bus.transfers - before

    costs = [cost(call) for call in (
        lambda: slot.write(64, 1), slot.sync, lambda: slot.read(64),
        lambda: slot.write(64, 1, 1), slot.sync, lambda: slot.read(64, 1))]
    slot.card.timing = type(slot.card.timing)()
    print("SPI transfers: 4 KB written, sync, 4 KB read, a block written, sync, a block read:", costs)
    assert costs == [19, 3, 19, 3, 3, 4]


def test_no_heap_per_block(make_slot):
    slot = make_slot(heap_kib=2000)
    slot.exec("card.open()\none = memoryview(buf)[:512]")
    for call in ("card.readblocks(9, one)", "card.readblocks(9, buf)", "card.writeblocks(9, one)",
                 "card.writeblocks(9, buf)", "card.sync()", "card.ready()"):
        assert slot.eval(f"heap_of_driver(lambda: {call}, 125)") == 0, call


# --- faults that pass, and faults that stay ---------------------------------------------------

WRITE_FAULTS = {
    "reject_write": (EIO, "SD: block 103: write rejected (0x0D)"),
    "corrupt_write": (EIO, "SD: block 103: CRC error in the block written (0x0B)"),
}
READ_FAULTS = {
    "corrupt_read": (EIO, "SD: block 103: CRC error in the block read"),
    "error_token": (EIO, "SD: block 103: data error token 0x04"),
    "no_read_token": (ETIMEDOUT, "SD: block 103: no data within 250 ms"),
}
FAULTS = {**WRITE_FAULTS, **READ_FAULTS}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_passes_is_healed(slot, kind):
    assert slot.write(100, 1) is None and slot.sync() == 0
    getattr(slot.faults, kind)(4)
    if kind in WRITE_FAULTS:
        assert slot.write(100, 2) is None and slot.sync() == 0
        assert slot.on_card(100, 2)
    else:
        assert slot.read(100) == content(1)
    assert [fired.kind for fired in slot.faults.fired] == [kind]
    assert slot.eval("card.retries, card.errors, card.last_error") == (1, 1, FAULTS[kind][1])
    assert slot.bus.baudrate == slot.eval("card.baudrate") == 12_000_000
    slot.exec("card.open()")
    assert slot.bus.baudrate == 24_000_000


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_stays_is_raised(slot, kind):
    assert slot.write(100, 1) is None and slot.sync() == 0
    for nth in (4, 4, 4):  # the same block in each of the three tries
        getattr(slot.faults, kind)(nth, sticky=True)
        call = slot.write if kind in WRITE_FAULTS else slot.read
        break
    result = call(100, 2) if kind in WRITE_FAULTS else call(100)
    # From the fourth block on for good: the tries after the first fail on their first block.
    expected = FAULTS[kind]
    assert result == (expected[0], expected[1].replace("103", "100"))
    assert len(slot.faults.fired) >= 3
    assert slot.bus.baudrate == 24_000_000 // 8
    slot.faults.clear()
    retries = slot.eval("card.retries")
    assert slot.write(100, 3) is None and slot.sync() == 0 and slot.read(100) == content(3)
    assert slot.eval("card.retries") == retries
