"""The SD card driver in the VM against the card model: what works, what it costs, what fails."""

import binascii
import random
from pathlib import Path

import pytest

from host_tools import firmware_build
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.emulator.chips.sd_registers import cid
from host_tools.emulator.chips.sd_registers import crc7 as model_crc7
from host_tools.emulator.chips.sd_transfer import USUAL, Timing
from tests.support.bench import Bench

EIO, ENODEV, EINVAL, EROFS, ETIMEDOUT = 5, 19, 22, 30, 110
VM_CODE = Path(__file__).with_name("vm_sd_card.py").read_text()
BLOCKS = 131_072  # 64 MB


class Wire:
    """The wires of a card model.

    They count how often the eight clocks after a deselection were missing. `garble`: an octet
    that is read as 0 so many times. `always_selected`: chip select is never high again.
    """

    def __init__(self, card):
        self.card = card
        self.transfer = card.transfer
        self.released_without_clocks = 0
        self.garble, self.garble_times = b"", 0
        self.always_selected = False
        self._released = False

    def transfer_bulk(self, data):
        reply = self.card.transfer_bulk(data)
        if self.garble_times and self.garble in reply:
            self.garble_times -= 1
            reply = reply.replace(self.garble, b"\0")
        return reply

    def select(self, selected):
        self.released_without_clocks += selected and self._released
        self._released = not selected
        if not self.always_selected:
            self.card.select(selected)

    def clocked_unselected(self, count):
        self._released = False
        if self.always_selected:
            self.card.transfer_bulk(b"\xff" * count)
        else:
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

SLOW = Timing(response=(8, 8), read_access=(1_000, 4_000), write_busy=(4_000, 40_000),
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
    slot = make_slot(blocks * 512, serial=77, **options)
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
    """One for a command, one for a block written and one for its busy look, two for a block read.

    A longer wait costs one transfer for every 20 octets, from the second look at busy on 128.
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
    assert costs == {"4 KB written": 19, "sync": 3, "4 KB read": 19,
                     "a block written": 3, "sync of it": 3, "a block read": 4}


def test_no_heap_per_block(slot):
    slot.exec("one = memoryview(buf)[:512]")
    for call in ("card.readblocks(9, one)", "card.readblocks(9, buf)", "card.writeblocks(9, one)",
                 "card.writeblocks(9, buf)", "card.sync()", "card.ready()"):
        assert slot.eval(f"heap_of_driver(lambda: {call}, 128)") == 0, call


# --- faults that pass, and faults that stay ---------------------------------------------------

WRITE_FAULTS = {
    "reject_write": (EIO, "write rejected (0x0D)"),
    "corrupt_write": (EIO, "CRC error in the block written (0x0B)"),
}
READ_FAULTS = {
    "corrupt_read": (EIO, "CRC error in the block read"),
    "error_token": (EIO, "data error token 0x04"),
    "no_read_token": (ETIMEDOUT, "no data within 250 ms"),
}
FAULTS = {**WRITE_FAULTS, **READ_FAULTS}
# After a single read that failed the driver sends CMD12 in case the card is still in it.
cmd12_after_a_single_read = pytest.mark.filterwarnings("ignore:SD. CMD12 is not known")


@cmd12_after_a_single_read
@pytest.mark.parametrize("blocks", [1, 8])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_passes_is_healed(slot, kind, blocks):
    assert slot.write(100, 1, blocks) is None and slot.sync() == 0
    nth = (blocks + 1) // 2
    getattr(slot.faults, kind)(nth)
    if kind in WRITE_FAULTS:
        assert slot.write(100, 2, blocks) is None and slot.sync() == 0
        assert slot.on_card(100, 2, blocks)
    else:
        assert slot.read(100, blocks) == content(1, blocks)
    assert [fired.kind for fired in slot.faults.fired] == [kind]
    assert slot.eval("card.retries, card.errors, card.last_error") == (
        1, 1, f"SD: block {99 + nth}: {FAULTS[kind][1]}")
    assert slot.bus.baudrate == slot.eval("card.baudrate") == 12_000_000
    assert slot.attempt("card.open") is None
    assert slot.bus.baudrate == 24_000_000


@cmd12_after_a_single_read
@pytest.mark.parametrize("blocks", [1, 8])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_stays_is_raised(slot, kind, blocks):
    assert slot.write(100, 1, blocks) is None and slot.sync() == 0
    getattr(slot.faults, kind)(sticky=True)
    result = slot.write(100, 2, blocks) if kind in WRITE_FAULTS else slot.read(100, blocks)
    code, text = FAULTS[kind]
    assert result == (code, f"SD: block 100: {text}")
    assert len(slot.faults.fired) >= 3
    # The card is left in order: the next that is asked of it succeeds at once.
    slot.faults.clear()
    assert slot.write(100, 3, blocks) is None and slot.sync() == 0
    assert slot.read(100, blocks) == content(3, blocks)
    assert slot.eval("card.retries, card.errors") == (2, 3)
    assert slot.bus.baudrate == 3_000_000


@cmd12_after_a_single_read
@pytest.mark.parametrize("command", ["CMD17", "CMD18", "CMD24", "CMD25", "CMD12", "CMD13"])
@pytest.mark.parametrize("mask", [None, 0x04, 0x80])
def test_a_garbled_response_loses_nothing(slot, command, mask):
    for at, blocks in enumerate((1, 8)):
        slot.faults.corrupt_response(command, mask=mask)
        wrote = slot.write(200, at, blocks), slot.sync()
        if wrote == (None, 0):
            assert slot.on_card(200, at, blocks)
            assert slot.read(200, blocks) == content(at, blocks)
        else:  # the answer to "is it written?" is given once
            assert command == "CMD13" and wrote[1] == slot.sync()
            slot.exec("card.open()")
    assert slot.faults.fired


@cmd12_after_a_single_read
@pytest.mark.parametrize("command, blocks", [("CMD17", 1), ("CMD18", 8), ("CMD24", 1),
                                             ("CMD25", 8)])
def test_a_refused_command_is_named(slot, command, blocks):
    slot.faults.corrupt_response(command, mask=0x40)
    assert slot.write(200, 1, blocks) is None and slot.read(200, blocks) == content(1, blocks)
    assert slot.eval("card.errors, card.last_error") == (1, f"SD: block 200: {command}: R1 0x40")


@pytest.mark.parametrize("blocks", [1, 8])
def test_a_lost_data_response(slot, recwarn, blocks):
    """The card has taken the block and is busy with it: no command may come in between."""
    slot.wire.garble, slot.wire.garble_times = b"\xe5", 1
    slot.faults.stall(clocks=3_000)
    assert slot.write(200, 1, blocks) is None and slot.sync() == 0
    assert slot.on_card(200, 1, blocks)
    assert not [warning for warning in recwarn if "busy" in str(warning.message)]
    assert slot.eval("card.errors, card.last_error") == (
        1, "SD: block 200: no data response (0x00)")


@pytest.mark.parametrize("command", ["CMD0", "CMD8", "CMD55", "ACMD41", "CMD58", "CMD59", "CMD9",
                                     "CMD10"])
def test_initialisation_survives_a_lost_response_but_not_all_lost(slot, command):
    slot.faults.corrupt_response(command)
    assert slot.attempt("card.open") is None
    slot.faults.corrupt_response(command, sticky=True)
    code, text = slot.attempt("card.open")
    assert (code, text) == ((ENODEV, "SD: no card answers") if command == "CMD0" else
                            (ETIMEDOUT, f"SD: {command.replace('A', '')}: no response"))
    slot.faults.clear()
    assert slot.attempt("card.open") is None and slot.read(0) == slot.card.image.read_blocks(0, 8)


def test_a_wrong_register_and_a_wrong_echo(slot):
    slot.wire.garble, slot.wire.garble_times = b"C", 1  # in the product name, in the CID
    assert slot.attempt("card.open") is None and slot.wire.garble_times == 0
    assert slot.eval("card.cid") == cid(1)
    slot.wire.garble_times = 3
    assert slot.attempt("card.open") == (EIO, "SD: CMD10: CRC error in the register")
    assert slot.wire.garble_times == 0
    slot.wire.garble, slot.wire.garble_times = b"\xaa", 3
    assert slot.attempt("card.open") == (EIO, "SD: CMD8: R1 0x01, echo 0x00000100")


@pytest.mark.filterwarnings("ignore:SD")
def test_a_card_that_was_left_in_the_middle_of_a_block(slot):
    """As after a reset of the board, with a card that does not mind the deselection."""
    slot.exec("card._bus.select(); card._bus.start(25, 1000); spi.write(b'\\xfc' + bytes(100))")
    slot.wire.always_selected = True
    assert slot.attempt("SdCard(spi, pin).open") is None
    slot.wire.always_selected = False
    assert slot.attempt("card.open") is None and slot.read(0) == slot.card.image.read_blocks(0, 8)


# --- write protection -------------------------------------------------------------------------

def test_a_write_protected_card(slot):
    before = slot.card.image.read_blocks(300, 8)
    slot.faults.write_protected = True  # behind the driver's back
    assert slot.write(300, 9) == (EROFS, "SD: block 300: write protected")
    assert slot.eval("card.errors, card.write_protected") == (1, True)
    assert slot.write(300, 9, 1) == (EROFS, "SD: the card is write protected")
    assert slot.read(300) == before == slot.card.image.read_blocks(300, 8)
    assert slot.sync() == 0


# --- the card is busy -------------------------------------------------------------------------

def test_the_wait_for_the_card_is_put_off(slot):
    slot.faults.stall(8, clocks=3_000)
    slot.faults.stall(clocks=40_000, after="stop")
    assert slot.write(400, 1) is None
    assert slot.eval("card.ready()") is False
    assert slot.read(400) == content(1)  # waits first
    assert slot.eval("card.ready()") is True
    assert len(slot.faults.fired) == 2 and slot.eval("card.errors") == 0


def test_others_run_while_the_card_is_busy(slot):
    slot.faults.stall(clocks=200)  # twenty octets a look, one more to let go of MISO
    assert slot.write(400, 1, 1) is None
    assert slot.eval("asyncio.run(wait_beside_another())") >= 8
    assert slot.card.counters.commands["CMD13"] >= 1
    assert slot.eval("asyncio.run(wait_beside_another())") == 0  # nothing to wait for


@pytest.mark.parametrize("blocks, after, waiter", [
    (1, "block", "attempt(card.ioctl, 3, 0)"),
    (8, "stop", "asyncio.run(wait_beside_another())")])
def test_stuck_busy_after_a_write(slot, blocks, after, waiter):
    slot.faults.stall(after=after)
    assert slot.write(500, 1, blocks) is None
    stuck = ETIMEDOUT, f"SD: blocks 500 to {499 + blocks}: busy for more than 500 ms"
    assert slot.eval(waiter) == stuck
    assert slot.sync() == slot.read(0) == slot.write(0, 1) == stuck  # at once
    slot.exec("card.open()")
    assert slot.read(500, blocks) == content(1, blocks)


def test_a_waiter_does_not_wait_for_what_others_write(slot):
    slot.faults.stall(clocks=5_000, sticky=True)
    assert slot.write(400, 1, 1) is None
    assert slot.eval("asyncio.run(wait_beside_a_writer())") < 3


def test_a_card_that_is_still_busy_when_the_board_starts(slot):
    slot.faults.stall(clocks=3_000)
    assert slot.write(400, 1, 1) is None
    before = slot.card.counters.bytes_clocked
    assert slot.attempt("SdCard(spi, pin).open") is None
    assert slot.card.counters.bytes_clocked - before > 3_000  # CMD0 would end its programming


def test_stuck_busy_between_two_blocks(slot):
    slot.faults.stall(3)
    assert slot.write(500, 1) is None and slot.sync() == 0 and slot.on_card(500, 1)
    assert slot.eval("card.last_error") == "SD: block 502: busy for more than 500 ms"
    slot.faults.stall(3, sticky=True)
    assert slot.write(500, 1) == (ETIMEDOUT, "SD: block 500: busy for more than 500 ms")


# --- lost after it was accepted ---------------------------------------------------------------

LOST = EIO, "SD: blocks 600 to 607: accepted, then status 0x0004"


@pytest.mark.parametrize("next_call", [
    "attempt(card.ioctl, 3, 0)", "attempt(card.ioctl, 2, 0)", "attempt(card.readblocks, 0, buf)",
    "attempt(card.writeblocks, 0, buf)", "attempt(card.open)",
    "asyncio.run(wait_beside_another())"])
def test_a_block_lost_after_it_was_accepted(slot, next_call):
    """Whoever asks next hears of it, and so does everybody after: it may be anybody's block."""
    assert slot.write(600, 1) is None
    slot.card._status |= 0x04  # R2: error
    assert slot.eval(next_call) == LOST
    assert slot.sync() == slot.read(0) == slot.write(0, 1) == LOST
    assert slot.eval("card.last_error") == LOST[1]
    slot.exec("card.open()")
    assert slot.write(600, 2) is None and slot.sync() == 0


# --- pulled, exchanged ------------------------------------------------------------------------

def test_no_card(slot):
    slot.card.remove()
    before = slot.bench.clock.nanoseconds
    assert slot.attempt("card.open") == (ENODEV, "SD: no card answers")
    assert slot.bench.clock.nanoseconds - before < 50_000_000
    assert slot.read(0) == slot.sync() == (ENODEV, "SD: no card answers")
    slot.card.insert()
    assert slot.attempt("card.open") is None


@pytest.mark.filterwarnings("ignore:SD. deselected within")
@pytest.mark.parametrize("on", ["write", "read", "command"])
@pytest.mark.parametrize("blocks", [1, 8])
def test_the_card_is_pulled(slot, on, blocks):
    assert slot.write(700, 1, blocks) is None and slot.sync() == 0
    slot.faults.pull((blocks + 1) // 2 if on != "command" else 1, on=on)
    if on == "read":
        assert slot.read(700, blocks) == (ENODEV, "SD: no card answers")
    else:
        assert slot.write(700, 2, blocks) == (ENODEV, "SD: no card answers")
    slot.card.insert()  # the same card is back, from who knows where
    assert slot.sync() == slot.read(0) == (ENODEV, "SD: no card answers")
    slot.exec("card.open()")
    assert slot.write(700, 3, blocks) is None and slot.sync() == 0 and slot.on_card(700, 3, blocks)


def test_pulled_while_it_programs(slot):
    slot.faults.stall(clocks=500)
    assert slot.write(700, 1, 1) is None
    slot.card.remove()
    lost = ETIMEDOUT, "SD: blocks 700 to 700: CMD13: no response"
    assert slot.sync() == lost
    slot.card.insert()
    assert slot.sync() == slot.read(700, 1) == lost


@pytest.mark.filterwarnings("ignore:SD. CMD.* before SPI mode")
@pytest.mark.parametrize("first", ["write", "read"])
@pytest.mark.parametrize("serial, text", [(2, "SD: another card is in the slot"),
                                          (1, "SD: the card was pulled or lost power")])
def test_the_card_is_exchanged(slot, serial, text, first):
    assert slot.write(800, 1) is None and slot.sync() == 0
    slot.card.insert(serial=serial)
    result = slot.write(800, 2) if first == "write" else slot.read(800)
    assert result == (ENODEV, text)
    assert slot.write(800, 3) == slot.read(800) == slot.sync() == (ENODEV, text)
    assert slot.on_card(800, 1)  # nothing went to it
    slot.exec("card.open()")
    assert slot.eval("card.cid") == cid(serial)


# --- nothing is lost in silence ---------------------------------------------------------------

@pytest.mark.parametrize("sticky", [False, True])
def test_what_was_synced_is_on_the_card(slot, sticky):
    """Whatever fails, and wherever: blocks are on the card, or somebody was told that not."""
    faults = slot.faults
    schedule = [(kind, nth) for kind in (*WRITE_FAULTS, "corrupt_read", "error_token")
                for nth in range(1, 12)]
    healed = 0
    for seed, (kind, nth) in enumerate(schedule):
        faults.clear()
        slot.exec("card.open()")
        getattr(faults, kind)(nth, sticky=sticky)
        results = [slot.write(900, seed), slot.write(950, seed, 1), slot.read(900),
                   slot.write(960, seed, 2), slot.sync()]
        told = [result for result in results if isinstance(result, tuple)]
        if told:
            assert sticky and told[0][0] == EIO and told[0][1].endswith(FAULTS[kind][1])
        else:
            healed += 1
            assert results[2] == content(seed)
        for at, (block, count) in {0: (900, 8), 1: (950, 1), 3: (960, 2)}.items():
            if results[at] is None:
                assert slot.on_card(block, seed, count)
    assert healed == len(schedule) or sticky


def test_what_a_writer_of_a_file_sees(make_slot):
    """VfsFat hands an error of the card through: from write, flush and close, as it is."""
    slot = make_slot()
    slot.exec("import vfs\nvfs.VfsFat.mkfs(card)\nvfs.mount(vfs.VfsFat(card), '/sd')")
    rejected = FAULTS["reject_write"][1]
    for number, call in enumerate(("file.write(buf)", "file.flush()", "file.close()")):
        slot.exec(f"file = open('/sd/{number}', 'wb')\nfile.write(b'first lines')")
        slot.faults.reject_write(sticky=True)
        code, text = slot.attempt(f"lambda: {call}")
        assert code == EIO and text.endswith(rejected)
        slot.faults.clear()
        slot.exec("file.close()")  # what could not be written is still there to be written
        assert slot.eval(f"open('/sd/{number}', 'rb').read(11)") == b"first lines"
        slot.exec(f"file = open('/sd/{number}', 'ab')\nfile.write(buf)")
        slot.card._status |= 0x04
        code, text = slot.attempt("file.flush")
        assert code == EIO and text.endswith("accepted, then status 0x0004")
        for again in ("file.flush", "file.close", "lambda: open('/sd/0')"):
            assert slot.attempt(again) == (code, text)
        slot.exec("vfs.umount('/sd')\nvfs.mount(vfs.VfsFat(card), '/sd')")
