# Runs inside the VM, for test_full_heap.py: whole sessions where the heap is full.
import asyncio
import errno

import vm_full_heap
import vm_store
from picopost import event_log
from picopost.net import server as net_server
from picopost.net.failures import Failures
from picopost.net.server import Server
from picopost.policy import Policies
from picopost.smtp import replies
from picopost.smtp.service import SmtpService
from vm_full_heap import boxes, fresh, letters, relieve, restore, save, starve  # noqa: F401

event_log.log = lambda event, **fields: None  # lines that nobody reads


def failed(error, channel, service):
    """The session has failed: from now on its garbage can be collected."""
    vm_full_heap.gc.enable()


net_server._tell_of = failed


_LEAST = 4  # blocks: with less not even the task begins
_END = b"221 2.0.0 xyz.com closing\r\n"


class Link:
    max_sessions = 2
    max_waiting = 1
    likes_bulk = False

    def serve(self, port, handler):
        self.handler = handler


class Connection:
    """A client that says `text`, then hangs up; the answers' first octets go to `answers`."""

    peer = "10.0.0.1"
    local_port = 25

    def __init__(self, text):
        self.text = memoryview(text)
        self.at = 0
        self.answers = bytearray(4096)
        self.end = 0
        self.open = True

    def read_now(self, buf):
        count = min(len(buf), len(self.text) - self.at)
        for i in range(count):
            buf[i] = self.text[self.at + i]
        self.at += count
        return count

    async def wait_readable(self):
        raise OSError(errno.ECONNRESET)

    async def write(self, octets):
        if not self.open:
            raise OSError(errno.ECONNRESET)
        for octet in octets:
            self.answers[self.end] = octet
            self.end += 1

    async def close(self):
        self.open = False

    def abort(self):
        self.open = False


class Office:
    hostname, max_message_size, sessions_per_address = "xyz.com", 100_000, 2
    notices = visits = None

    def resolve(self, local_part, domain):
        return (local_part.decode(),) if local_part.decode() in boxes else ()

    def owner(self, local_part, domain):
        return local_part.decode() if local_part.decode() in boxes else None

    def admit(self, name, size, messages=1, room=None):
        return None

    def mailbox(self, name):
        return boxes[name]

    @property
    def volume(self):
        return vm_store.volume

    async def ready(self):
        await self.volume.wait_ready()

    def expire(self, name):
        pass


link = Link()
server = Server(link)
server.serve(25, SmtpService(25, Office(), Policies({"25": {}}, {}, False, False), Failures(),
                             None))


def sessions(text, step):
    """A session with ever more of the heap, until it comes to its end: (how many there were,
    [(blocks, what is wrong)]).
    """
    report = []
    tries = 0
    said = b""
    while not said.endswith(_END):
        restore()
        before = {name: letters(name) for name in boxes}
        connection = Connection(text)
        starve(_LEAST + tries * step)
        try:
            asyncio.run(link.handler(connection))
        except MemoryError:
            pass  # all that it had is given back, see below
        relieve()
        asyncio.new_event_loop()
        said = bytes(connection.answers[: connection.end])
        found = wrong(before, said.count(replies.MAIL_ACCEPTED), connection)
        if found:
            report.append((_LEAST + tries * step, found, said[-60:]))
        tries += 1
    return tries, report


def wrong(before, accepted, connection):
    """What stays that must not, and letters that are missing."""
    found = []
    if len(server._free) != link.max_sessions or server._taken or server._waiting:
        found.append("a seat is lost")
    if connection.open:
        found.append("the connection stays open")
    for name in boxes:
        if boxes[name].writing or vm_store.volume.structural:
            found.append(name + " is still being written")
    if vm_store.volume.failure:
        vm_store.start_again()
    for name in boxes:
        now = letters(name)
        if len(now) - len(before[name]) < accepted:
            found.append("%s: %d accepted, %d there" % (name, accepted,
                                                        len(now) - len(before[name])))
        for key in before[name]:
            if now.get(key) != before[name][key]:
                found.append("%s: %s is lost" % (name, key))
    return found
