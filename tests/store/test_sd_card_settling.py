"""A write that the SD card driver has handed over: the wait for its end, and what may come out."""

import pytest

from tests.store.card_slot import EIO, ETIMEDOUT, content

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


def test_a_lost_write_is_known_where_the_heap_has_no_room_to_say_so(slot):
    """CMD13 tells of it once (7.3.2.3)."""
    assert slot.write(500, 1) is None
    slot.exec("""
import micropython
ask = card._bus.status
def lost():
    card._bus.status = ask
    micropython.heap_lock()
    return 4
card._bus.status = lost
try:
    card.sync()
    said = None
except MemoryError as error:
    said = error
micropython.heap_unlock()
""")
    assert slot.eval("repr(said)").startswith("MemoryError")
    assert slot.sync()[0] == EIO
    assert slot.write(501, 1)[0] == EIO


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


def test_stuck_busy_between_two_blocks(slot, recwarn):
    slot.faults.stall(3)
    assert slot.write(500, 1) is None and slot.sync() == 0 and slot.on_card(500, 1)
    assert slot.eval("card.last_error") == "SD: block 502: busy for more than 500 ms"
    slot.faults.stall(3, sticky=True)
    assert slot.write(500, 1) == (ETIMEDOUT, "SD: block 500: busy for more than 500 ms")
    assert not recwarn.list  # nothing but CMD0 is said to a card that is busy


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
