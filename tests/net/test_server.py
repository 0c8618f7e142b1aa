"""The server's seats, whatever a session does: inside the VM, without a link."""

import pytest

from tests.support.vm import Vm

STUB = '''
import asyncio
from picopost import limits
from picopost.net.server import Server, Service

class Link:
    max_sessions = 2
    def serve(self, port, handler):
        self.handler = handler

class Connection:
    peer = "10.0.0.1"
    local_port = 25
    def __init__(self, write=None):
        self.open = True
        self.words = b""
        self._write = write
    async def write(self, octets):
        if self._write:
            raise self._write
        self.words += bytes(octets)
    async def readinto(self, buf):
        return 0
    async def close(self):
        self.open = False
    def abort(self):
        self.open = False

class Session:
    def __init__(self, run, release):
        self._run = run
        self._release = release
    async def run(self):
        if self._run:
            raise self._run
    def release(self):
        if self._release:
            raise self._release
    def farewell(self, timed_out):
        return b"bye"

class Stub(Service):
    name = "stub"
    busy = b"busy"
    run = release = made = None
    def start(self, channel):
        if self.made:
            raise self.made
        return Session(self.run, self.release)

link = Link()
server = Server(link)
service = Stub()
server.serve(25, service)

def serve(connection):
    """(open, free seats, taken seats) after one connection."""
    try:
        asyncio.run(link.handler(connection))
    except BaseException as error:
        print("escaped", repr(error))
    return connection.open, len(server._free), len(server._taken)
'''


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


@pytest.mark.parametrize("where", ["made", "run", "release"])
@pytest.mark.parametrize("error", ["MemoryError()", "OSError(5)", "OSError(104)", "ValueError()",
                                   "asyncio.CancelledError()"])
@pytest.mark.parametrize("write", ["None", "MemoryError()", "OSError(104)"])
def test_a_seat_comes_back_whatever_fails(vm, where, error, write):
    vm.exec(f"service.made = service.run = service.release = None; service.{where} = {error}")
    for _ in range(3):
        assert vm.eval(f"serve(Connection({write}))") == (False, 2, 0)


def test_one_address_may_not_have_all_seats(vm):
    vm.exec("""
service.made = service.run = service.release = None
service.sessions = lambda peer: 1
service.crowded = b"crowded"
seat = server._free.pop()
seat.peer = "10.0.0.1"
server._taken.append(seat)
ours, other = Connection(), Connection()
other.peer = "10.0.0.2"
""")
    assert vm.eval("serve(ours), serve(other)") == ((False, 1, 1), (False, 1, 1))
    assert vm.eval("(ours.words, other.words)") == (b"crowded", b"")
    vm.exec("server._free.append(server._taken.pop())")


def test_so_many_are_told_why_and_no_more(vm):
    vm.exec("""
async def crowd(count):
    gate = asyncio.Event()
    class Slow(Connection):
        async def write(self, octets):
            await gate.wait()
            await super().write(octets)
    service.sessions = lambda peer: 0
    service.crowded = b"crowded"
    connections = [Slow() for _ in range(count)]
    tasks = [asyncio.create_task(link.handler(each)) for each in connections]
    await asyncio.sleep_ms(10)
    gate.set()
    await asyncio.gather(*tasks)
    return [each.words for each in connections], [each.open for each in connections]

words, still = asyncio.run(crowd(7))
""")
    bound = vm.eval("limits.MAX_REFUSALS")
    assert vm.eval("words") == [b"crowded"] * bound + [b""] * (7 - bound)
    assert not any(vm.eval("still"))
