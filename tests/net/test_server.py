"""The server's seats, whatever a session does: inside the VM, without a link."""

import pytest

from tests.support.vm import Vm

STUB = '''
import asyncio
import time
from picopost import event_log, limits
from picopost.net.channel import Channel
from picopost.net.server import Server

class Link:
    max_sessions = 2
    max_waiting = 1
    likes_bulk = False
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
    def read_now(self, buf):
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

class Stub:
    name = "stub"
    busy = b"busy"
    run = release = made = None
    def refusal(self, connection):
        return None
    def sessions(self, peer):
        return limits.SESSIONS_PER_ADDRESS
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


@pytest.mark.parametrize("step", ["_refusal", "_seat", "_refuse"])
def test_no_connection_is_forgotten_when_the_heap_is_full(vm, step):
    """Nobody but its task knows of it: a client would wait for ever."""
    vm.exec(f"""
def full(*arguments):
    raise MemoryError
service.made = service.run = service.release = None
service.refusal = lambda connection: (b"no", "why") if {step!r} == "_refuse" else None
server.{step} = full
result = serve(Connection())
del server.{step}, service.refusal
""")
    assert vm.eval("result") == (False, 2, 0)
    assert vm.eval("serve(Connection())") == (False, 2, 0)


def test_a_seat_is_not_lost_where_the_heap_has_no_room_to_note_it(vm):
    vm.exec("""
class Full(list):
    def append(self, seat):
        raise MemoryError
service.made = service.run = service.release = None
server._taken = Full()
result = serve(Connection())
server._taken = []
""")
    assert vm.eval("result") == (False, 2, 0)
    assert vm.eval("serve(Connection())") == (False, 2, 0)


@pytest.mark.parametrize("broken", ["fault", "farewell", "last words"])
def test_what_a_session_holds_is_freed_whatever_else_fails(vm, broken):
    """The heap is full: the session fails, and so does telling of it."""
    vm.exec(f"""
service.made = service.release = None
service.run = MemoryError()
released = []
class Holding(Session):
    def release(self):
        released.append(self)
    def farewell(self, timed_out):
        if {broken!r} == "farewell":
            raise MemoryError
        return b"bye"
service.start = lambda channel: Holding(service.run, None)
original = event_log.fault
def fault(*arguments, **fields):
    if {broken!r} == "fault":
        raise MemoryError
event_log.fault = fault
def no_room(*arguments):
    raise MemoryError
if {broken!r} == "last words":  # their coroutine is made in the heap
    server._last_words = no_room
result = serve(Connection())
event_log.fault = original
if {broken!r} == "last words":
    del server._last_words
del service.start
""")
    assert vm.eval("result") == (False, 2, 0)
    assert vm.eval("len(released)") == 1


def test_who_idles_in_tls_has_to_go_when_others_wait(vm):
    """Soon who is not known; not in the middle of something."""
    vm.exec("""
class Secured:
    wanted = True
    def is_wanted(self):
        return self.wanted

def due(idle, **more):
    now = time.ticks_ms()
    seat = server._free[0]
    seat.task = True
    seat.deadline = time.ticks_add(now, 100_000)
    seat.worked = time.ticks_add(now, -idle)
    seat.secured, seat.listening, seat.known = Secured(), True, False
    for name in more:
        setattr(seat, name, more[name])
    try:
        return seat.is_due(now)
    finally:
        seat.free()
others = Secured()
others.wanted = False
""")
    soon, late = vm.eval("(limits.TLS_STRANGER_IDLE + 1, limits.TLS_IDLE + 1)")
    assert soon < vm.eval("limits.TLS_WAIT") < late
    assert vm.eval(f"due({soon})") and not vm.eval(f"due({soon - 2})")
    assert not vm.eval(f"due({soon}, known=True)") and vm.eval(f"due({late}, known=True)")
    for more in ("listening=False", "secured=None", "secured=others"):
        assert not vm.eval(f"due({late}, {more})"), more


def test_who_reads_too_slowly_has_to_go(vm):
    vm.exec("""
async def written(octets):
    seat = server._free[0]
    channel = Channel(Connection(), seat, None)
    channel.write_within(octets)
    deadlines = []
    for _ in range(3):
        await channel.write(b"x")
        deadlines.append(seat.deadline)
        await asyncio.sleep_ms(2)
    await channel.readline(10, 1000)  # the next command
    await channel.write(b"x")
    deadlines.append(seat.deadline)
    seat.free()
    return [time.ticks_diff(each, deadlines[0]) for each in deadlines]
""")
    # No octets earn no time: one deadline for all of it, up to the next command.
    *moved, after = vm.eval("asyncio.run(written(0))")
    assert moved == [0, 0, 0] and after > 0
    # With many each piece has its own.
    moved = vm.eval("asyncio.run(written(0x3FFFFFFF))")
    assert 0 < moved[1] < moved[2] < moved[3]


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


def test_who_finds_no_seat_waits_for_one(vm):
    """The first to come first; no more than there is room for, and not for ever."""
    vm.exec("""
service.made = service.run = service.release = None
service.sessions = lambda peer: 9
waited = []
class Slow(Session):
    async def run(self):
        waited.append(len(server._waiting))
        await turn.wait()
service.start = lambda channel: Slow(None, None)
turn = None

async def crowd(wait):
    global turn
    turn = asyncio.Event()
    limits.SEAT_WAIT = wait
    connections = [Connection() for _ in range(4)]
    tasks = [asyncio.create_task(link.handler(each)) for each in connections]
    while len(server._taken) < 2 or server._waiting and wait < 0:
        await asyncio.sleep_ms(0)
    await tasks[3]
    words = [each.words for each in connections]
    turn.set()
    for task in tasks:
        await task
    return words, [each.open for each in connections]
most = limits.SEAT_WAIT
""")
    refused = [b"", b"", b"", b"busy"]
    assert vm.eval("asyncio.run(crowd(most))") == (refused, [False] * 4)
    assert vm.eval("waited") == [0, 0, 0]
    vm.exec("waited.clear()")
    assert vm.eval("asyncio.run(crowd(-1))") == ([b"", b"", b"busy", b"busy"], [False] * 4)
    assert vm.eval("(len(waited), len(server._free), len(server._waiting))") == (2, 2, 0)
    vm.exec("limits.SEAT_WAIT = most\ndel service.start")
