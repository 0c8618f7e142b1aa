# Runs inside the MicroPython VM: logins whose cost is counted in SHA-256 calls, and sessions of
# the real services over connections in memory. See test_logins.py.
import asyncio
import hashlib
import os
import time

from picopost import accounts, limits  # noqa: F401 (for the tests' expressions)
from picopost.net.failures import Failures
from picopost.net.server import Server
from picopost.policy import Policies
from picopost.pop3.service import Pop3Service
from picopost.post_office import PostOffice
from picopost.settings import check
from picopost.smtp.service import SmtpService

hashes = 0
at_hash = {}  # number of a hash -> what happens in the midst of it


class CountingHashlib:
    """In hashlib's place: counts, and lets octets arrive while the processor is busy."""

    def sha256(self, *octets):
        global hashes
        hashes += 1
        if hashes in at_hash:
            at_hash.pop(hashes)()
        return hashlib.sha256(*octets)


accounts.hashlib = CountingHashlib()


def made(passwords, iterations):
    """Accounts for {name: password}, with `iterations` in turn."""
    known = {}
    for i, name in enumerate(passwords):
        salt = os.urandom(16)
        count = iterations[i % len(iterations)]
        known[name] = (count, salt, asyncio.run(accounts.derive(passwords[name], salt, count)))
    return known


def cost(known, name, password):
    """(whether it is right, hashes, turns of the loop) of one login."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(0)

    async def measure():
        task = asyncio.create_task(other())
        await asyncio.sleep_ms(0)
        before = hashes, turns
        right = await accounts.verify(known, name, password)
        task.cancel()
        return right, hashes - before[0], turns - before[1]

    return asyncio.run(measure())


def cancelled(known, after):
    """What four logins get, of which the first, or the one behind it, is cancelled when the first
    has done `after` slices; and whether the turn is free then.
    """
    async def login(password):
        return await accounts.verify(known, "girl", password)

    async def play(number):
        tasks = [asyncio.create_task(login(password)) for password in (b"x", b"pw", b"y", b"pw")]
        for _ in range(after):
            await asyncio.sleep_ms(0)
        tasks[number].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return ([type(each) if isinstance(each, BaseException) else each for each in found],
                accounts._turn.locked())

    def shown(result):
        found, locked = result
        return ["cancelled" if each is asyncio.CancelledError else each for each in found], locked

    return shown(asyncio.run(play(0))), shown(asyncio.run(play(1)))


def order_of(known, logins):
    """The order in which logins are done that came in the order of their numbers, each in a
    millisecond of its own, while somebody else had the turn.
    """
    done = []

    async def login(number):
        await accounts.verify(known, "girl", b"x")
        done.append(number)

    async def play():
        tasks = []
        async with accounts._turn:
            for number in range(logins):
                tasks.append(asyncio.create_task(login(number)))
                came = time.ticks_ms()
                while time.ticks_ms() == came:
                    await asyncio.sleep_ms(0)
        await asyncio.gather(*tasks)

    asyncio.run(play())
    return done


# --- sessions -------------------------------------------------------------------------------------

class Link:
    """Connections by hand: `connect` starts the handler of a port."""

    def __init__(self, seats):
        self.max_sessions = seats
        self.max_waiting = 0
        self.likes_bulk = False
        self._handlers = {}

    def serve(self, port, handler):
        self._handlers[port] = handler

    def connect(self, port, peer):
        connection = Connection(port, peer)
        connection.task = asyncio.create_task(self._handlers[port](connection))
        return connection


class Connection:
    """One end in memory. What arrives is seen when the loop polls, as with a socket.

    `answers` has (hashes done, octets) of each write.
    """

    def __init__(self, port, peer):
        self.local_port = port
        self.peer = peer
        self.answers = []
        self._octets = b""
        self._ended = False
        self._arrived = asyncio.ThreadSafeFlag()

    def arrive(self, octets):
        self._octets += octets
        self._arrived.set()

    def end(self):
        self._ended = True
        self._arrived.set()

    def read_now(self, buf):
        if not self._octets:
            return 0 if self._ended else None
        count = min(len(self._octets), len(buf))
        buf[:count] = self._octets[:count]
        self._octets = self._octets[count:]
        return count

    def wait_readable(self):
        return self._arrived.wait()

    async def write(self, octets):
        self.answers.append((hashes, bytes(octets)))

    async def close(self):
        pass

    def abort(self):
        self._ended = True


def office_of(known):
    settings = check({"hostname": "xyz.com"})
    office = PostOffice(settings, known, "/nowhere")
    listeners = {"25": {}, "110": {}}
    return office, Policies(listeners, settings["clients"], False), Failures()


async def until(condition):
    while not condition():
        await asyncio.sleep_ms(0)


def crowd(known, logins, port, command, every):
    """`logins` at once, the wrong half of them, while one more session sends `command` after each
    `every` hashes.

    (hashes between each command's arrival and its answer, hashes in all, the last answer to each
    login, the last one to a command)
    """
    office, policies, failures = office_of(known)
    link = Link(logins + 1)
    server = Server(link)
    server.serve(25, SmtpService(25, office, policies, failures, None))
    server.serve(110, Pop3Service(110, office, policies, failures, None))
    arrivals = []

    async def play():
        other = link.connect(port, "10.0.0.99")
        # An address each: one that fails often has to wait.
        crowd = [link.connect(110, "10.0.0.%d" % (i + 1)) for i in range(logins)]
        await until(lambda: all([each.answers for each in crowd + [other]]))
        before = hashes
        del other.answers[:]

        def send():
            if len(arrivals) == len(other.answers):  # one at a time, or two get one answer
                arrivals.append(hashes)
                other.arrive(command)
            at_hash[hashes + every] = send

        at_hash[hashes + every] = send
        for i, each in enumerate(crowd):
            each.arrive(b"USER girl\r\nPASS %s\r\n" % (b"pw" if i % 2 else b"wrong"))
        await until(lambda: all([len(each.answers) > 1 for each in crowd]))
        at_hash.clear()
        await until(lambda: len(other.answers) == len(arrivals))
        total = hashes - before
        for each in crowd + [other]:
            each.end()
        await asyncio.gather(*[each.task for each in crowd + [other]])
        waits = [other.answers[i][0] - arrivals[i] for i in range(len(arrivals))]
        return waits, total, [each.answers[-1][1] for each in crowd], other.answers[-1][1]

    return asyncio.run(play())
