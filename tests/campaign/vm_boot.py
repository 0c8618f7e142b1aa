# Runs in the VM for replay.py: the firmware's own start on a card that a power cut has left, what
# it finds there, and new mail. Each start imports the firmware afresh, as a reboot does.
import gc
import hashlib
import sys

import vfs

BLOCK = 512
USERS = ()  # set by replay.py: account names, and for each the texts of new letters
PROBES = {}
changed = {}  # how the latest run left the card, where that is not as in the file


class PowerCut(Exception):
    pass


class Disk:
    """The card in SdCard's place: a file that is only read, and a dict of what differs from it.

    With `cut` = (n, octets) the power goes at the nth block write, of which so many octets are
    kept; what the firmware still does then counts for nothing (`off`). A card that is `gone` takes
    and gives nothing: finalisers may still call it.
    """

    def __init__(self, file, changed, cut=None):
        self.file = file
        self.changed = changed
        self.cut = cut
        self.blocks = file.seek(0, 2) // BLOCK
        self.written = 0
        self.off = False
        self.gone = False

    def readblocks(self, block, buf, offset=0):
        if self.gone:
            return
        if offset or len(buf) % BLOCK or block + len(buf) // BLOCK > self.blocks:
            raise OSError(22)
        self.file.seek(block * BLOCK)
        self.file.readinto(buf)
        for at in range(len(buf) // BLOCK):
            if block + at in self.changed:
                buf[at * BLOCK : (at + 1) * BLOCK] = self.changed[block + at]

    def writeblocks(self, block, buf, offset=0):
        if self.gone:
            return
        if offset or len(buf) % BLOCK or block + len(buf) // BLOCK > self.blocks:
            raise OSError(22)
        for at in range(len(buf) // BLOCK):
            new = bytes(buf[at * BLOCK : (at + 1) * BLOCK])
            if self.cut and self.written + 1 >= self.cut[0]:
                if self.written + 1 == self.cut[0]:
                    kept = self.cut[1]
                    self.changed[block + at] = new[:kept] + self._old(block + at)[kept:]
                    self.written += 1
                self.off = True
                raise PowerCut
            self.changed[block + at] = new
            self.written += 1

    def _old(self, block):
        if block in self.changed:
            return self.changed[block]
        self.file.seek(block * BLOCK)
        return self.file.read(BLOCK)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return BLOCK
        return 0

    def open(self):
        pass

    def close(self):
        pass

    def sync(self):
        pass

    def ready(self):
        return True

    async def wait_ready(self):
        pass


class Machine:
    """What the start asks of `machine` before it has a card."""

    def __getattr__(self, name):
        return lambda *arguments, **more: None

    class Pin:
        OUT = IN = 0

        def __init__(self, *arguments, **more):
            pass


sys.modules["machine"] = Machine()
_BOARD = {"sd_card": {"spi": 1, "sck": 10, "mosi": 11, "miso": 12, "cs": 13, "baudrate": 1}}


def now(coroutine):
    """The result of a coroutine; OSError when it has to wait, as it does without a card."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise OSError("it waits")


async def pause():
    pass


class _Led:
    code = 0


async def _no_waiting(milliseconds):
    raise OSError("it waits")


class _NoLoop:
    sleep_ms = staticmethod(_no_waiting)


def boot(disk):
    """Import the firmware and start it as far as its mailboxes: a PostOffice."""
    for name in list(sys.modules):
        if name == "picopost" or name.startswith("picopost."):
            del sys.modules[name]
    from picopost import appliance, settings
    from picopost.post_office import PostOffice

    appliance.SdCard = lambda spi, chip_select, baudrate: disk
    appliance.asyncio = _NoLoop
    office = PostOffice(settings.check({"hostname": "xyz.com", "passports": True}),
                        {name: None for name in USERS}, "/sd")
    now(appliance._take_card(_BOARD, office, _Led()))
    return office


def shut(office):
    from picopost import appliance

    appliance._let_card_go(office)


def unmount():
    try:
        vfs.umount("/sd")
    except OSError:
        pass  # it was not mounted


def trace_end(block):
    """Where our own lines end: behind Received and what continues it."""
    at = block.find(b"\nReceived: ") + 1
    while True:
        at = block.find(b"\n", at) + 1
        if block[at] != 9:
            return at


def letter(maildrop, number):
    """(octets that RETR sends, digest of those behind our lines) through the firmware's reader."""
    from picopost.pop3 import session
    from picopost.store import mboxrd_state as mboxrd

    file, rest = maildrop.open_message(number)
    block = bytearray(4096)
    out = bytearray(8300)
    state = session.new_sending()
    digest = hashlib.sha256()
    trace = 0
    while rest:
        count = file.readinto(memoryview(block)[: min(rest, len(block))])
        if not count:
            raise OSError(5)
        rest -= count
        if not trace:
            state[mboxrd.SOURCE] = trace_end(block)
            trace = state[mboxrd.SOURCE] + block[: state[mboxrd.SOURCE]].count(b"\n")
        else:
            state[mboxrd.SOURCE] = 0
        while state[mboxrd.SOURCE] < count:
            state[mboxrd.TARGET] = 0
            session.send(state, block, count, out, len(out))
            digest.update(memoryview(out)[: state[mboxrd.TARGET]])
    maildrop.close()
    state[mboxrd.TARGET] = 0
    digest.update(memoryview(out)[: session.finish_send(state, out)])
    return trace + state[mboxrd.OCTETS], digest.digest().hex()[:16]


def listing(office):
    """{mailbox: [(unique-id, octets that LIST tells, octets that RETR sends, digest)]}.

    None stands for a mailbox that is out of order; what cannot be read has 0 octets, and for its
    digest the reason.
    """
    from picopost.store.maildrop import Maildrop

    found = {}
    for name in USERS:
        try:
            maildrop = Maildrop(office.mailbox(name))
            now(maildrop.open(pause))
        except OSError as error:
            found[name] = None
            print("no mailbox", name, error)
            continue
        uid_buffer = bytearray(17)
        rows = found[name] = []
        for number in range(1, maildrop.count + 1):
            uid = ""
            try:
                maildrop.put_uid(number, uid_buffer, 0)
                uid = uid_buffer.decode()
                rows.append((uid, maildrop.octets_of(number)) + letter(maildrop, number))
            except OSError as error:
                rows.append((uid, 0, 0, str(error)))
    return found


def deliver(office, name, text):
    """One letter as DATA brings it; raises OSError when it is not taken."""
    from picopost import limits
    from picopost.store.delivery import Delivery

    refusal = office.admit(name, len(text))
    if refusal is not None:
        raise OSError(str(refusal))
    delivery = Delivery(bytearray(limits.CARD_BLOCK + 8), [office.mailbox(name)], b"boy@abc.com",
                        b"abc.com ([192.0.2.1])", b"ESMTP", b"xyz.com", None)
    at = 0
    while True:
        at = delivery.feed(text, at, len(text))
        if delivery.ended:
            break
        delivery.spill()
    delivery.commit()


def new_mail(office, taken):
    """Offer each mailbox its new letters; `taken` gets (mailbox, number) of those acknowledged."""
    for name in USERS:
        for number in range(len(PROBES[name])):
            try:
                deliver(office, name, PROBES[name][number])
                taken.append((name, number))
            except OSError as error:
                print("not taken", name, number, error)


def sweep(office):
    """What the appliance does in the background after a session's deletions."""
    for name in USERS:
        try:
            for _ in office.mailbox(name).sweep():
                pass
        except OSError as error:
            print("not swept", name, error)


def run(path, differing, cut):
    """Start, list, take new mail, sweep, start again, list: what the host's judge looks at.

    `differing` is what is not as in the file: block -> data; it comes to hold the rest too. With
    `cut` the first start and the new mail are cut off by another power cut.
    """
    global changed
    changed = differing
    gc.collect()
    result = {"first": None, "second": None, "taken": [], "recovery": 0, "written": 0}
    disk = None
    with open(path, "rb") as file:
        try:
            disk = Disk(file, changed, cut)
            try:
                office = boot(disk)
                recovery = disk.written
                first = listing(office)
                if disk.off:
                    raise PowerCut
                result["recovery"] = recovery
                result["first"] = first
                new_mail(office, result["taken"])
                sweep(office)
                shut(office)
            except (PowerCut, OSError):
                if not disk.off:
                    raise
                unmount()
            result["written"] = disk.written
            disk.gone = True
            disk = Disk(file, changed)
            office = boot(disk)
            result["second"] = listing(office)
            shut(office)
        finally:
            if disk:
                disk.gone = True
            unmount()
            office = None
            gc.collect()  # finalisers, while the file is open
    return result
