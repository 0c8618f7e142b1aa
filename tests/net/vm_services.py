# Runs inside the MicroPython VM: a link, and services for its tests. See wiznet_bench.py.
import gc

gc.threshold(16_384)  # as main.py

import asyncio
import binascii
import sys  # noqa: F401 (this and the next: for the tests' expressions)

import machine  # noqa: F401
from micropython import mem_total
from picopost import limits
from picopost.net import trouble, w5500, wiznet
from picopost.net.w5500_socket import Connection

PATTERN = bytes([n * 7 & 0xFF for n in range(251)]) * 4  # 1004 octets: no power of two

# It would hide a wake-up that got lost. Tests of what only the patrol can see set it to 1.
limits.PATROL = 1_000_000_000

link = None
events = []  # (service, what it met), in order
written = 0  # octets that `source` has got rid of
gate = None  # what `sink` and `hold` wait for
polls = 0
quit = None


def make_link(board, settings):
    global link
    link = wiznet.Link(board, settings)


def up():
    """0, or the text of the OSError."""
    try:
        asyncio.run(link.up())
        return 0
    except OSError as error:
        return trouble.words(error)[0]


def met(service, error):
    events.append((service, error.errno))


async def read(connection, buf):
    """One to len(buf) octets; 0 at the end of the stream. As a session reads."""
    while True:
        count = connection.read_now(buf)
        if count is not None:
            await asyncio.sleep_ms(0)
            return count
        await connection.wait_readable()


async def echo(connection):
    """Give everything back, until the client's end of stream."""
    buf = bytearray(2048)
    view = memoryview(buf)
    try:
        count = await read(connection, buf)
        while count:
            await connection.write(view[:count])
            count = await read(connection, buf)
        await connection.close()
        events.append(("echo", "closed"))
    except OSError as error:
        met("echo", error)


async def source(connection):
    """Send 300 patterns, then close."""
    global written
    written = 0
    try:
        for _ in range(300):
            await connection.write(PATTERN)
            written += len(PATTERN)
        await connection.close()
    except OSError as error:
        met("source", error)


async def sink(connection):
    """Wait for the gate, then read to the end of stream, tell its CRC and close."""
    await gate.wait()
    buf = bytearray(2048)
    view = memoryview(buf)
    check = octets = 0
    try:
        count = await read(connection, buf)
        while count:
            check = binascii.crc32(view[:count], check)
            octets += count
            count = await read(connection, buf)
        await connection.write(b"%d %d" % (octets, check))
        await connection.close()
    except OSError as error:
        met("sink", error)


async def hold(connection):
    """Be cancelled: while reading first, or while writing if the client sends a `w`."""
    buf = bytearray(1)
    try:
        if await read(connection, buf) and buf == b"w":
            asyncio.create_task(cancel(asyncio.current_task()))
            await connection.write(PATTERN * 100)
        else:
            asyncio.create_task(cancel(asyncio.current_task()))
            await read(connection, buf)
        events.append(("hold", "not cancelled"))
    except asyncio.CancelledError:
        events.append(("hold", "cancelled"))
        await connection.write(b"421 bye")
        await connection.close()
        events.append(("hold", "closed"))
        try:
            await connection.write(b"more")
        except OSError as error:
            met("hold", error)


async def cancel(task):
    await gate.wait()
    task.cancel()


async def forget(connection):
    """Leave without close()."""
    await read(connection, bytearray(1))


async def fail(connection):
    """Go wrong with an error that nobody expects."""
    await read(connection, bytearray(1))
    raise ValueError("as the test wants it")


async def leave(connection):
    """Vanish at the first octet."""
    await read(connection, bytearray(1))
    connection.abort()


async def control(connection):
    """Answer each line, an expression, with its value; the end of stream ends the job."""
    buf = bytearray(512)
    view = memoryview(buf)
    try:
        count = await read(connection, buf)
        while count:
            await connection.write(repr(eval(bytes(view[:count]).decode())).encode() + b"\n")
            count = await read(connection, buf)
        await connection.close()
        quit.set()
    except OSError as error:
        met("control", error)


def serve(services):
    for port, service in services:
        link.serve(port, globals()[service])


def count_polls():
    """From now on `polls` counts the rounds of the link's loop."""
    original = link._poll

    def counted():
        global polls
        polls += 1
        return original()

    link._poll = counted


class Wire:
    """An SPI bus and a chip select that do nothing; the former remembers commands to socket 1."""

    def __init__(self):
        self.commands = []

    def __call__(self, level):
        pass

    def write(self, buf):
        if buf[1] == 0x01 and buf[2] == 0x2C:
            self.commands.append(buf[3])

    def readinto(self, buf):
        pass

    def write_readinto(self, out, into):
        pass


class Forgetful:
    """A list of commands that does not grow."""

    def append(self, command):
        pass


class StillLink:
    """A link whose chip stands still: always as many octets there, and as much room."""

    def __init__(self, octets=2048, room=2048):
        self.wire = Wire()
        self.chip = w5500.W5500(self.wire, Wire())
        self.chip.registers.status = w5500.ESTABLISHED
        self.chip.registers.rx_size = octets
        self.chip.registers.tx_free = room
        self.quiet = 1000
        self.clients = self
        self.connection = Connection(self, 1, "", 25)

    def release(self, number):
        pass


def heap_of_streams():
    """Octets of heap that calls take which need not wait: one of 2 KB, and what the link polls."""
    whole, part = StillLink(), StillLink(1000, 1500)
    whole.wire.commands = part.wire.commands = Forgetful()
    connection, short = whole.connection, part.connection
    buf = bytearray(2048)
    view = memoryview(buf)
    polling = wiznet.Link({"wiznet": {}}, {})
    polling.chip = StillLink().chip
    taken = {}

    def measure(name, call):
        call()
        before = mem_total()
        for _ in range(100):
            call()
        taken[name] = (mem_total() - before) // 100

    async def measure_task(name, call):
        before = mem_total()
        for _ in range(100):
            await call(buf)
        taken[name] = (mem_total() - before) // 100

    measure("read_now", lambda: connection.read_now(buf))
    measure("write_now", lambda: connection.write_now(buf))
    measure("short read_now", lambda: short.read_now(view))
    measure("short write_now", lambda: short.write_now(view))
    measure("poll", lambda: polling._poll())
    asyncio.run(measure_task("write", connection.write))
    return taken


def quiet_after_a_write():
    """What is left of a long silence when a writer gets on."""
    link = StillLink()
    asyncio.run(link.connection.write(PATTERN))
    return link.quiet


def turns_of_another_task():
    """How often another task runs while one writes ten blocks that have room."""
    connection = StillLink().connection
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(0)

    async def measure(call):
        task = asyncio.create_task(other())
        before = turns
        for _ in range(10):
            await call(bytearray(2048))
        task.cancel()
        return turns - before

    return asyncio.run(measure(connection.write))


def commands_of_close(room):
    """What close() orders of a chip whose TX memory has `room` of 2,048 octets."""
    link = StillLink(0, room)
    asyncio.run(link.connection.close())
    return link.wire.commands


def sent_into(room, octets):
    """How many of `octets` go out when the chip has `room` for so many."""
    return StillLink(0, room).chip.send(1, memoryview(bytes(octets)), 0)


def job():
    """Run the link until control's client leaves."""
    asyncio.run(_job())


async def _job():
    global gate, quit
    gate, quit = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(link.run())
    await quit.wait()
    task.cancel()
