"""Mail data that never runs dry: inside the VM, with a client that always has more."""

import pytest

from tests.support.vm import Vm

STUB = '''
import asyncio, time
from picopost import limits
from picopost.net.channel import Channel
from picopost.net.server import Seat
from picopost.smtp.data import Intake

class Connection:
    """Has `reads` buffers full, then the end of the stream."""
    peer = "10.0.0.1"
    def __init__(self, reads):
        self.reads = reads
    def read_now(self, buf):
        time.sleep_us(200)  # or a millisecond would see all of it
        self.reads -= 1
        return len(buf) if self.reads > 0 else 0
    def wait_readable(self):
        return asyncio.sleep_ms(0)

class Delivery:
    """Takes all; wants to be spilled after each second piece."""
    ended = False
    received_fields = 0
    pieces = 0
    def __init__(self, octets):
        self.content_octets = octets
    def feed(self, buffer, start, end):
        self.pieces += end > start
        return end
    @property
    def full(self):
        return self.pieces >= 2
    def discard(self):
        self.pieces = 0
    spill = abort = discard

class Volume:
    waits = 0
    def ready(self):
        return self.waits > 0
    async def wait_ready(self):
        self.waits += 1

def play(call, octets):
    """(turns of another task meanwhile, ms from the last of them to the deadline, waits)"""
    seat = Seat()
    channel = Channel(Connection(400), seat, None)
    volume = Volume()
    intake = Intake(channel, Delivery(octets), 1000, volume, False)
    turns = left = 0

    async def other():
        nonlocal turns, left
        while True:
            turns += 1
            left = time.ticks_diff(seat.deadline, time.ticks_ms())
            await asyncio.sleep_ms(0)

    async def run():
        task = asyncio.create_task(other())
        try:
            await call(intake)
        except OSError:
            pass  # the stream ended
        task.cancel()

    asyncio.run(run())
    return turns, left, volume.waits
'''
CALLS = {"DATA": "Intake.data", "BDAT": "lambda intake: intake.chunk(100_000_000)"}


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=400) as machine:
        machine.exec(STUB)
        yield machine


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("octets", [1, 5000])
def test_others_run_and_the_time_for_reading_goes_on(vm, call, octets):
    """Also of a message that is refused (5000 octets, where 1000 are allowed) and drained. The card
    was waited for once, in a time of its own, which is not what the rest has.
    """
    turns, left, waits = vm.eval(f"play({CALLS[call]}, {octets})")
    assert turns >= 10
    assert waits == (octets < 1000)
    assert left > vm.eval("limits.CARD_TIME + limits.SMTP_DATA_GRACE // 2")
