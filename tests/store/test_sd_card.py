"""The SD card driver in the VM against the card model: what works, and what it costs."""

import binascii
import random

import pytest

from host_tools import firmware_build
from host_tools.emulator.chips.sd_registers import cid
from host_tools.emulator.chips.sd_registers import crc7 as model_crc7
from host_tools.emulator.chips.sd_transfer import USUAL, Timing
from tests.store.card_slot import BLOCKS, EINVAL, ENODEV, content

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
        start, length = draw.randrange(80), draw.choice((0, 8, 16, 512))
        slot.exec(f"data = {data!r}")
        crc = slot.eval(f"twin.crc16(data, 0, {start}, {length})")
        assert crc == binascii.crc_hqx(data[start : start + length], 0)
        chained = slot.eval(f"twin.crc16(memoryview(bytearray(data)), {crc}, 0, 512)")
        assert chained == binascii.crc_hqx(data[:512], crc)
        assert slot.eval(f"twin.crc7(data, {start})") << 1 | 1 == model_crc7(data[start:start + 5])


# --- cards ------------------------------------------------------------------------------------

SLOW = Timing(response=(8, 8), read_access=(500, 2_000), write_busy=(4_000, 40_000),
              stop_busy=(4_000, 40_000), initialisation=50)
CARDS = {
    "SDHC": ({}, BLOCKS),
    "SDSC": ({"high_capacity": False}, BLOCKS),
    "SDSC version 1": ({"high_capacity": False, "version": 1}, BLOCKS),
    "SDSC of 2 GB": ({"high_capacity": False}, 1 << 22),
    "other open bits": ({"undefined": 0x00}, BLOCKS),
    "slow": ({"timing": SLOW}, BLOCKS),
}


@pytest.mark.parametrize("name", CARDS)
def test_every_kind_of_card(make_slot, recwarn, name):
    options, blocks = CARDS[name]
    slot = make_slot(size=blocks * 512, serial=77, **options)
    assert slot.attempt("card.readblocks", "0", "buf") == (ENODEV, "SD: not opened")
    assert slot.attempt("card.open") is None
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
    assert slot.card.counters.commands["CMD16"] == (0 if high_capacity else 1)
    assert not recwarn.list


def test_the_end_of_a_card_that_reads_ahead(slot):
    """4.3.3: it may complain of what lies behind its last block; no write may be blamed for it."""
    slot.card.timing = Timing(read_access=(1, 1))
    assert slot.write(BLOCKS - 8, 5) is None
    assert slot.read(BLOCKS - 8) == content(5)
    assert slot.write(7, 5) is None and slot.sync() == 0
    slot.card.timing = USUAL
    assert slot.eval("card.errors") == 0


def test_what_no_block_device_is_asked(slot):
    for block, octets, offset in ((-1, 512, 0), (BLOCKS, 512, 0), (BLOCKS - 7, 4096, 0),
                                  (0, 500, 0), (0, 512, 16)):
        for call in ("card.readblocks", "card.writeblocks"):
            code, text = slot.attempt(call, str(block), f"bytearray({octets})", str(offset))
            assert code == EINVAL
            assert text == f"SD: block {block}: {octets} octets at offset {offset}"
    assert slot.attempt("card.writeblocks", "0", "b''") is None
    assert slot.eval("[card.ioctl(op, 0) for op in (4, 5, 6, 99)]") == [BLOCKS, 512, 0, -EINVAL]


def test_fat_over_the_driver(make_slot, recwarn):
    slot = make_slot()
    slot.exec("""
import vfs
vfs.VfsFat.mkfs(card)
vfs.mount(vfs.VfsFat(card), "/sd")
for number in range(4):
    with open("/sd/%d" % number, "wb") as file:
        for at in range(16):
            file.write(memoryview(fill(number * 16 + at, 8))[:4096 - 9 * at * number])
vfs.umount("/sd")
card.close()
""")
    assert slot.attempt("card.readblocks", "0", "buf") == (ENODEV, "SD: not opened")
    slot.exec('vfs.mount(vfs.VfsFat(card), "/sd")')
    for number in range(4):
        slot.exec(f"""
wrong = 0
with open("/sd/{number}", "rb") as file:
    for at in range(16):
        data = file.read(4096 - 9 * at * {number})
        wrong += data != bytes(memoryview(fill({number} * 16 + at, 8))[:len(data)])
    wrong += len(file.read())
""")
        assert slot.eval("wrong") == 0
    slot.exec('vfs.umount("/sd")')
    assert slot.eval("card.errors, card.write_protected") == (0, False)
    assert slot.card.counters.multi_block_writes > 30
    assert not recwarn.list


# --- what it costs ----------------------------------------------------------------------------

def test_spi_transfers(slot):
    """One for a command, for a block either way, and for the end of several of them.

    A longer wait costs one transfer for every 21 octets, from the second look at busy on 128.
    """
    slot.card.timing = Timing(response=(1, 1), read_access=(15, 15), write_busy=(15, 15),
                              stop_busy=(3, 3))

    def cost(call):
        before = slot.bus.transfers
        call()
        return slot.bus.transfers - before

    costs = {name: cost(call) for name, call in {
        "4 KB written": lambda: slot.write(64, 1), "sync": slot.sync,
        "4 KB read": lambda: slot.read(64),
        "a block written": lambda: slot.write(64, 1, 1), "sync of it": slot.sync,
        "a block read": lambda: slot.read(64, 1)}.items()}
    slot.card.timing = USUAL
    print("SPI transfers:", costs)
    assert costs == {"4 KB written": 10, "sync": 1, "4 KB read": 11,
                     "a block written": 2, "sync of it": 1, "a block read": 3}


def test_spi_transfers_of_waiting(slot):
    """None while nothing is pending; else one a look, and one for what became of the write."""
    def cost(call):
        before = slot.bus.transfers
        result = slot.eval(f"attempt(lambda: {call})")
        return slot.bus.transfers - before, result

    slot.faults.stall(clocks=50)
    assert slot.write(64, 1, 1) is None
    assert cost("card.ready()") == (1, False)
    assert cost("card.ready()") == (1, True)
    assert [cost("card.ready()") for _ in range(3)] == [(0, True)] * 3  # it has said so
    assert cost("asyncio.run(card.wait_ready())") == (1, None)
    assert cost("asyncio.run(card.wait_ready())") == cost("card.sync()") == (0, None)


def test_heap(slot):
    """Octets of the 64-bit heap, half on a board, of the driver's calls, long or short.

    What is taken is the frames of calls with a handler, and memoryviews: one a long read, one for
    each block of a long write. A block read takes nothing.
    """
    most = {"card.readblocks(9, one)": 376, "card.readblocks(9, buf)": 376 + 32,
            "card.writeblocks(9, one)": 224 + 376, "card.writeblocks(9, buf)": 224 + 376 + 9 * 32,
            "card.sync()": 0, "card.ready()": 0}
    taken = {call: slot.eval(f"heap_of_driver(lambda: {call})") for call in most}
    print("octets of heap:", taken)
    assert all(taken[call] <= most[call] for call in most), taken
