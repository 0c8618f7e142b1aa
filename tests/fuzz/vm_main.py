# Runs in the VM in main.py's place: the same appliance, with short penalties, and an event `heap`
# each time that the last session has ended: what lives, and the largest piece that is free.
import gc

gc.threshold(16_384)  # as main.py

import asyncio

from picopost import appliance, event_log, limits
from picopost.net.identity import Identity
from picopost.net.server import Server

# A test has no time for what is to cost a client some: the code is the same with 1 ms.
limits.ERROR_DELAY = 1
limits.LOGIN_DELAY = 1
limits.MAX_LOGIN_DELAY = 2
limits.TLS_WAIT = 500
limits.MAILBOX_RETRY = 20

identity = None
ended = asyncio.Event()
sessions = 0


def log(event, **fields):
    global sessions
    original_log(event, **fields)
    if event == "closed":
        sessions += 1
        ended.set()


def largest_piece():
    # To 64 octets. What asks for too much collects, and leaves nothing.
    fits, too_much = 0, gc.mem_free() // 64 + 1
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        try:
            bytearray(64 * middle)
            fits = middle
        except MemoryError:
            too_much = middle
        gc.collect()
    return 64 * fits


async def report(server):
    while True:
        await ended.wait()
        ended.clear()
        # The tasks of the session and of its sweeps come to their end.
        await asyncio.sleep_ms(2)
        if not server.sessions and not ended.is_set():
            identity.keep_ready()
            if identity._session:
                gc.collect()
                octets = gc.mem_alloc()
                original_log("heap", octets=octets, largest=largest_piece(), sessions=sessions)


async def watch(server):
    asyncio.create_task(report(server))
    await original_watch(server)


def load():
    global identity
    identity = original_load()
    return identity


original_load, Identity.load = Identity.load, staticmethod(load)
original_log = event_log.log
event_log.log = log
original_watch = Server.watch
Server.watch = watch
appliance.main()
