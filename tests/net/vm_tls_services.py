# Runs inside the MicroPython VM after vm_services.py: its services behind TLS. See tls_bench.py.
# ruff: noqa: F821 (names of vm_services.py)
import os
import ssl  # noqa: F401 (for the tests' expressions)
import time

from picopost.net import tls
from picopost.net.identity import Busy, Identity, TlsError

tls_identity = None
opened = []  # the sessions of `stuck`
steps = []  # (start, end) of the steps of handshakes, ms


def load_identity(folder):
    """Load key and certificate from `folder`; the fingerprint."""
    global tls_identity
    os.chdir(folder)
    tls_identity = Identity.load()
    return tls_identity and tls_identity.fingerprint


def behind_tls(name):
    service = globals()[name]

    async def handle(connection):
        try:
            secured = tls_identity.wrap(connection)
        except Busy as error:
            events.append(("busy", str(error)))
            await connection.write(b"454 busy\r\n")
            await connection.close()
            return
        try:
            await secured.handshake()
            events.append((secured.version, secured.cipher))
            await service(secured)
        except OSError as error:
            events.append(("tls", str(error), error.errno in (103, 104)))
        finally:
            secured.abort()

    return handle


async def stuck(connection, words=b"421 bye"):
    """Write until cancelled, which the gate does; then say good-bye."""
    opened.append(connection)
    asyncio.create_task(cancel(asyncio.current_task()))
    block = bytes([n * 7 & 0xFF for n in range(5000)])  # two records
    try:
        while True:
            await connection.write(block)
    except asyncio.CancelledError:
        events.append(("stuck", "cancelled"))
        if words:
            await connection.write(words)
        await connection.close()
    try:
        await connection.write(b"more")
    except OSError as error:
        met("stuck", error)


async def stuck_mute(connection):
    """As `stuck`, without a word."""
    await stuck(connection, b"")


for name in ("echo", "source", "sink", "stuck", "stuck_mute"):
    globals()["tls_" + name] = behind_tls(name)


async def tls_impatient(connection):
    """A handshake with a deadline, which ends when the gate opens."""
    secured = tls_identity.wrap(connection)
    asyncio.create_task(cancel(asyncio.current_task()))
    try:
        await secured.handshake()
    except asyncio.CancelledError:
        events.append(("cancelled", tls_identity.sessions))
        secured.abort()
        secured.abort()
        events.append(("aborted", tls_identity.sessions))


async def tls_aborted(connection):
    """One session and another task that aborts it when the gate opens."""
    secured = tls_identity.wrap(connection)

    async def abort():
        await gate.wait()
        secured.abort()

    asyncio.create_task(abort())
    try:
        await secured.handshake()
    except OSError as error:
        events.append(("aborted", error.errno, tls_identity.sessions))


def watch_steps():
    """From now on `steps` grows."""
    original = tls.Connection._handshake_step

    def step(self):
        start = time.ticks_ms()
        try:
            return original(self)
        finally:
            steps.append((start, time.ticks_ms()))

    tls.Connection._handshake_step = step


def fill_heap(octets):
    """Leave about so many octets; what takes the rest."""
    gc.collect()
    hold = []
    while gc.mem_free() > octets + 1100:
        hold.append(bytearray(1000))
    return hold


class NoConnection:
    """For what needs one and never uses it."""

    peer = ""
    local_port = 465

    def abort(self):
        pass


class Script(NoConnection):
    """Octets that come, at most `piece` at once, and so many writes until the peer has gone."""

    def __init__(self, octets, writes, piece):
        self._octets = octets
        self._writes = writes
        self._piece = piece

    def read_now(self, buf):
        count = min(len(buf), self._piece)
        octets, self._octets = self._octets[:count], self._octets[count:]
        buf[: len(octets)] = octets
        return len(octets)

    def write_now(self, buf):
        self._writes -= 1
        if self._writes < 0:
            raise OSError(104)
        return len(buf)


def cause_of(octets, writes, piece=1000):
    """What a handshake with such a peer ends with."""
    try:
        asyncio.run(tls_identity.wrap(Script(octets, writes, piece)).handshake())
    except TlsError as error:
        return str(error)


def wrapped():
    """How many sessions there is room for, up to five, and why no more."""
    opened = []
    try:
        while len(opened) < 5:
            opened.append(tls_identity.wrap(NoConnection()))
        why = ""
    except Busy as error:
        why = str(error)
    count = len(opened)
    for secured in opened:
        secured.abort()
    return count, why


def churned(sessions, state):
    """How many sessions of so many there was room for, in a heap that is nearly full, while others
    make things of all sizes and drop them, in and between the sessions: other sizes for each
    `state` at the start.
    """
    others = [None] * 40
    count = 0
    for _ in range(sessions):
        for half in range(2):
            for _ in range(16):
                state = state * 75 % 65537  # a generator of its own: the same each time
                try:
                    others[state % 40] = bytearray(state % 700)
                except MemoryError:
                    others[state % 40] = None
            if half:
                break
            try:
                secured = tls_identity.wrap(NoConnection())
                count += 1
            except Busy:
                secured = None
        if secured:
            secured.abort()
    return count


def memory():
    gc.collect()
    return gc.mem_alloc()


def turns(rests):
    """How long a step waits, in ms, when the one before took so long; one after another."""
    async def measure():
        waits = []
        for rest in rests:
            tls_identity.rest(rest)
            before = time.ticks_ms()
            await tls_identity.turn()
            waits.append(time.ticks_diff(time.ticks_ms(), before))
        return waits

    return asyncio.run(measure())


def turn_after_long_silence():
    """The wait when the ticks have come round since the last step."""
    tls_identity.rest(50)
    tls_identity._resume = time.ticks_add(time.ticks_ms(), 100_000)

    async def measure():
        before = time.ticks_ms()
        await tls_identity.turn()
        return time.ticks_diff(time.ticks_ms(), before)

    return asyncio.run(measure())


def unsent():
    """Whether a record of `stuck` is half sent."""
    return bool(opened and opened[-1]._unsent)
