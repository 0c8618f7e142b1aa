"""Runs in the VM in main.py's place: the appliance, whose heap can be asked for.

An event `stages` comes with `ready`: octets by what took them when no module was loaded. When the
flash has a file `ask` it goes, and an event `heap` tells `level`, the octets that live.
"""

import gc

gc.threshold(16_384)  # as main.py
gc.collect()
bare = gc.mem_alloc()

import asyncio  # noqa: E402

_ = asyncio.StreamReader  # loaded when it is asked for
gc.collect()
of_asyncio = gc.mem_alloc() - bare

import json  # noqa: E402
import os  # noqa: E402

# What a board has in its image, and the emulator in the heap.
import machine  # noqa: E402, F401
import network  # noqa: E402, F401
import socket  # noqa: E402, F401
import ssl  # noqa: E402, F401

from picopost import accounts_file, appliance, event_log, settings  # noqa: E402, F401
from picopost.net.identity import Identity  # noqa: E402
from picopost.net.server import Server  # noqa: E402
from picopost.pop3 import service as pop3_service  # noqa: E402, F401
from picopost.post_office import PostOffice  # noqa: E402
from picopost.smtp import service as smtp_service  # noqa: E402, F401
from picopost.store import compaction, recovery, retention  # noqa: E402, F401

with open("board.json") as file:
    for module in {"wiznet": ("wiznet", "dhcp", "mdns"), "wiznet5k": ("wiznet5k",),
                   "wifi": ("wifi",)}[json.load(file)["link"]]:
        __import__("picopost.net." + module)

stages = {"": 0, "asyncio": of_asyncio, "settings": 0, "tls": 0, "card": 0, "mailboxes": 0,
          "seats": 0, "services": 0}
last = 0


def level():
    gc.collect()
    return gc.mem_alloc()


def note(stage):
    global last
    now = level()
    stages[stage] += now - last
    last = now


def staged(owner, name, stage):
    original = getattr(owner, name)

    def function(*arguments):
        note("")
        result = original(*arguments)
        note(stage)
        return result

    setattr(owner, name, function)


def log(event, **fields):
    original_log(event, **fields)
    if event == "ready":
        note("")
        original_log("stages", of=" ".join(["%s=%d" % (name or "others", octets)
                                            for name, octets in stages.items()]))


async def answer():
    while True:
        try:
            os.remove("ask")
        except OSError:
            pass
        else:
            event_log.log("heap", level=level())
        await asyncio.sleep_ms(20)


async def watch(server):
    asyncio.create_task(answer())
    await original_watch(server)


def load():
    note("")
    identity = original_load()
    note("tls")
    return identity


staged(appliance, "_configuration", "settings")
staged(appliance, "_open_card", "card")
staged(PostOffice, "open", "mailboxes")
staged(Server, "__init__", "seats")
staged(appliance, "_services", "services")
original_load, Identity.load = Identity.load, staticmethod(load)
original_watch, Server.watch = Server.watch, watch
original_log, event_log.log = event_log.log, log
last = level()
appliance.main()
