"""Runs in the VM in main.py's place: file_card.py, whose heap can be asked for.

When the flash has a file `ask` it goes, and an event `heap` tells `level`, the octets that live
now, and `peak`, the most that lived at any look since the last time: every 20 ms, and in the data
paths.
"""

import asyncio
import gc
import os

gc.threshold(16_384)  # as main.py

from picopost import appliance, event_log  # noqa: E402
from picopost.net.channel import Channel  # noqa: E402
from picopost.store.delivery import Delivery  # noqa: E402

_EVERY = 64  # a collection takes time
peak = 0
turn = 0


def sample():
    global peak
    gc.collect()
    level = gc.mem_alloc()
    peak = max(peak, level)
    return level


def watched(owner, name):
    original = getattr(owner, name)

    def method(*arguments):
        global turn
        turn += 1
        if turn % _EVERY == 0:
            sample()
        return original(*arguments)

    setattr(owner, name, method)


async def watch():
    global peak
    while True:
        level = sample()
        try:
            os.remove("ask")
        except OSError:
            pass
        else:
            event_log.log("heap", level=level, peak=peak)
            peak = 0
        await asyncio.sleep_ms(20)


async def keep_card(*arguments):
    asyncio.create_task(watch())
    await original_keep_card(*arguments)


original_keep_card, appliance._keep_card = appliance._keep_card, keep_card
watched(Delivery, "spill")
watched(Channel, "write_now")
watched(Channel, "write")

import file_card  # noqa: E402, F401  (runs the appliance)
