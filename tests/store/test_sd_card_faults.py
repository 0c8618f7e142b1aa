"""The SD card driver when cards fail: healed by a retry, or raised, and never lost in silence."""

import pytest

from host_tools.emulator.chips.sd_registers import cid
from tests.store.card_slot import EIO, ENODEV, EROFS, ETIMEDOUT, content

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
    assert slot.attempt("card.open") is None and slot.read(0) == slot.image.read_blocks(0, 8)


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
    assert slot.attempt("card.open") is None and slot.read(0) == slot.image.read_blocks(0, 8)


# --- write protection -------------------------------------------------------------------------

def test_a_write_protected_card(slot):
    before = slot.image.read_blocks(300, 8)
    slot.faults.write_protected = True  # behind the driver's back
    assert slot.write(300, 9) == (EROFS, "SD: block 300: write protected")
    assert slot.eval("card.errors, card.write_protected") == (1, True)
    assert slot.write(300, 9, 1) == (EROFS, "SD: the card is write protected")
    assert slot.read(300) == before == slot.image.read_blocks(300, 8)
    assert slot.sync() == 0


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
                for nth in (1, 2, 5, 8, 9, 10, 11)]
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


def test_a_failed_read_leaves_the_buffer_alone(slot):
    slot.exec("one = memoryview(fill(77, 1))")
    slot.faults.corrupt_read(sticky=True)
    assert slot.attempt("card.readblocks", "3", "one")[0] == EIO
    assert slot.eval("bytes(one)") == content(77, 1)


def test_a_failed_read_harms_no_other_file(make_slot):
    """FatFs has one window for all: it holds the end of one file when another cannot be read."""
    slot = make_slot()
    slot.exec("""
import os
import vfs
vfs.VfsFat.mkfs(card)
vfs.mount(vfs.VfsFat(card), "/sd")
for number in range(40):
    open("/sd/%d" % number, "wb").close()
file = open("/sd/letter", "wb")
file.write(b"m" * 9000)
""")
    slot.faults.corrupt_read(sticky=True)
    assert slot.attempt("os.stat", "'/sd/39'")[0] == EIO
    slot.faults.clear()
    slot.exec("file.write(b'm' * 9000)\nfile.close()")
    assert slot.eval("open('/sd/letter', 'rb').read().count(b'm')") == 18_000


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
