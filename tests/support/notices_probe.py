# Runs in the VM in main.py's place: the same appliance, and after each round of notices an event
# `round` tells what lives in the heap then, and the most that did while letters were read for them.
import gc

gc.threshold(16_384)  # as main.py

import asyncio  # noqa: E402

import picopost  # noqa: E402
from picopost import limits  # noqa: E402

limits.NOTICE_PAUSE = 50
peak = 0


def load(name):
    module = original_load(name)
    if name == "picopost.notices.errand" and not hasattr(module, "watched"):
        module.watched = readinto = module._Text.readinto

        def watched(self, buffer):
            global peak
            gc.collect()
            peak = max(peak, gc.mem_alloc())
            return readinto(self, buffer)

        module._Text.readinto = watched
    return module


original_load = picopost.load
picopost.load = load

from picopost import appliance, event_log  # noqa: E402
from picopost.notices.queue import Notices  # noqa: E402

original_work = Notices._work


async def tell():
    """Once the queue's task waits again: its frame still refers to what it called last."""
    global peak
    for _ in range(3):
        await asyncio.sleep_ms(0)
    gc.collect()
    gc.collect()
    event_log.log("round", live=gc.mem_alloc(), peak=peak)
    peak = 0


async def work(self, due):
    await original_work(self, due)
    asyncio.create_task(tell())


Notices._work = work
appliance.main()
