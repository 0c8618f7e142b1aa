# Runs in the VM in main.py's place: the appliance, whose time a test can make pass faster. A file
# `speed` on its flash says how many times faster than the wall's; without one it goes as that does.
import gc

gc.threshold(16_384)  # as main.py

import sys  # noqa: E402
import time as wall  # noqa: E402


class Time:
    """The module `time`, whose milliseconds pass `speed` times faster.

    Then none pass within a turn of the loop: while another process had the CPU, seconds would have
    gone by from one line of the firmware to the next.
    """

    speed = 1

    def __init__(self):
        self._now = self._since = self._passed = wall.ticks_ms()

    def __getattr__(self, name):
        return getattr(wall, name)

    def ticks_ms(self):
        if self.speed == 1:
            self.turn()
        return self._now

    def turn(self):
        self._now = self._passed + wall.ticks_diff(wall.ticks_ms(), self._since) * self.speed

    def time(self):
        return wall.time() + (self.ticks_ms() - wall.ticks_ms()) // 1000

    def go(self, speed):
        self.turn()
        self._passed, self._since, self.speed = self._now, wall.ticks_ms(), speed


fast = sys.modules["time"] = Time()

import asyncio  # noqa: E402
from asyncio import core  # noqa: E402

# A card is as slow as it is, whatever the time.
sys.modules["time"] = wall
from picopost.store import sd_bus, sd_card, sd_identify  # noqa: E402, F401

sys.modules["time"] = fast
from picopost import appliance, event_log  # noqa: E402

original_wait = core.IOQueue.wait_io_event


def wait(self, pause):
    original_wait(self, max(pause // fast.speed, 1) if pause > 0 else pause)
    fast.turn()


core.IOQueue.wait_io_event = wait


async def pace():
    while True:
        try:
            with open("speed") as file:
                speed = int(file.read())
        except (OSError, ValueError):
            speed = 1
        if speed != fast.speed:
            fast.go(speed)
            event_log.log("speed", speed=speed, at=fast.ticks_ms() // 1000)
        await asyncio.sleep_ms(20 * fast.speed)


original_run = appliance._run


async def run(*arguments):
    asyncio.create_task(pace())
    await original_run(*arguments)


appliance._run = run
appliance.main()
