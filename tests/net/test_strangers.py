"""lwIP's links in the VM: strangers' datagrams, and a heap that is full when there is something to
say.
"""

import socket
import threading

import pytest

from tests.support.vm import Vm


@pytest.fixture
def vm():
    with Vm() as vm:
        vm.exec("import asyncio\nfrom picopost import limits, net\nfrom picopost.net import lwip")
        yield vm


def test_who_sends_many_datagrams_keeps_nobody_waiting(vm):
    vm.exec("""
turns = 0
read = []
dotted = lwip._dotted
def counted(address):
    read.append(turns)
    return dotted(address)
lwip._dotted = counted
async def others():
    global turns
    while True:
        turns += 1
        await asyncio.sleep_ms(0)
async def ask(port):
    beside = asyncio.create_task(others())
    answer = await lwip.Link.exchange(None, "127.0.0.1", port, b"?", 10_000)
    beside.cancel()
    return answer
""")
    with (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
          socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger):
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        stranger.bind(("127.0.0.2", 0))

        def answer():
            _, asker = server.recvfrom(64)
            for _ in range(50):
                stranger.sendto(b"a lie", asker)
            server.sendto(b"the truth", asker)

        beside = threading.Thread(target=answer)
        beside.start()
        assert vm.eval(f"asyncio.run(ask({server.getsockname()[1]}))") == b"the truth"
        beside.join()
    assert vm.eval("len(read), len(set(read))") == (51, 51)


_LINK = """
class Interface:
    there = False
    def isconnected(self):
        return self.there
    def ifconfig(self):
        return ("10.0.0.2",) * 4

class Link(lwip.Link):
    tries = 0
    async def up(self):
        self.tries += 1
        if self.tries < 3:
            raise OSError(-1, "home")
        self._interface.there = True

limits.LINK_RETRY = 0
link = Link(Interface(), {})
moved = []
link.moved = moved.append
async def watch():
    task = asyncio.create_task(link.run())
    for _ in range(100):
        await asyncio.sleep_ms(0)
    ended = task.done()
    task.cancel()
    return ended, link.tries, moved
"""


def test_a_heap_without_room_for_the_reason_ends_nothing(vm):
    vm.exec(_LINK + """
def load(name):
    raise MemoryError
net.load = load
""")
    assert vm.eval("asyncio.run(watch())") == (False, 3, ["10.0.0.2"])


def test_a_heap_without_room_for_the_log_ends_nothing(vm):
    """And nobody misses the new address."""
    vm.exec(_LINK + """
from picopost import event_log
lines = []
def log(event, **fields):
    lines.append(event)
    if len(lines) in (1, 5):
        raise MemoryError
event_log.log = log
""")
    assert vm.eval("asyncio.run(watch())") == (False, 3, ["10.0.0.2"])
    assert vm.eval("lines[-1]") == "link_up"


def test_a_heap_without_room_to_tell_of_the_time_ends_nothing(vm):
    vm.exec("""
import sys
class Nothing:
    pass
sys.modules["machine"] = Nothing
for name in ("picopost.store.sd_card", "picopost.watchdog", "picopost.status_led"):
    sys.modules[name] = Nothing
    Nothing.SdCard = Nothing.Watchdog = Nothing
from picopost import appliance, event_log, status_led
told = []
def full(event=None, **fields):
    told.append(event)
    raise MemoryError
appliance.load = full
event_log.log = full
limits.TIME_RETRY = 0
async def watch():
    task = asyncio.create_task(appliance._keep_time(None, "10.0.0.1"))
    for _ in range(20):
        await asyncio.sleep_ms(0)
    ended = task.done()
    task.cancel()
    return ended, told.count("no_time") > 1
""")
    assert vm.eval("asyncio.run(watch())") == (False, True)
