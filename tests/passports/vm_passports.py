# Runs inside the VM: passports on a card in RAM, with the clock in the test's hands.
import asyncio

import vfs
from picopost import clock, event_log, limits, settings
from picopost.passports import visits
from picopost.post_office import PostOffice
from picopost.smtp import notes, replies
from picopost.store.volume import Volume
from vm_store import RamDisk  # which has its own card in the slot

vfs.umount("/sd")

ROOT = "/sd"
now = 0
clock.now = lambda: now
office = disk = None
events = []


def log(event, **fields):
    events.append((event, {name: bytes(value).decode() if isinstance(value, bytes) else value
                           for name, value in fields.items()}))


event_log.log = log


def insert(card):
    """Put a card in, as the appliance takes it."""
    global disk
    disk = card
    office.volume = Volume(disk)
    office.volume.mount(ROOT)
    office.open()


def pull():
    """As the appliance lets go of it."""
    office.close()
    office.volume.unmount()


def new_card():
    card = RamDisk(4096)
    vfs.VfsFat.mkfs(card)
    return card


def begin(card=None, **given):
    """A board that has just started, with one account."""
    global office
    if office and office.volume and office.volume._root:
        pull()
    del events[:]
    given["hostname"] = "xyz.com"
    if not given.get("silence_alarm"):
        given["passports"] = True
    office = PostOffice(settings.check(given), {"girl": None}, ROOT)
    insert(card or new_card())


class Talk:
    """A session's Dialogue, as far as passports look at it."""

    extended = True
    odd = tls = False
    account = None

    def __init__(self, helo):
        self.helo = helo


def session(peer, helo, letters=1, octets=1000, reply=None, detail="", ending="quit", port=25,
            quirks=0, **talk):
    """One is over."""
    said = notes.Notes()
    said.letters, said.octets, said.ending, said.quirks = letters, octets * letters, ending, quirks
    if reply:
        said.refused(b"", getattr(replies, reply), detail)
    dialogue = Talk(helo)
    for name in talk:
        setattr(dialogue, name, talk[name])
    office.visits.visit(peer, port, dialogue, said)


class Server:
    at_work = False


server = Server()


def serve(seconds, serving=True):
    """So long; the clock goes on with it where it is set. What is due is entered."""
    global now
    for _ in range(seconds):
        if now:
            now += 1
        office.visits.tick(serving)
        if office.visits.due(server):
            asyncio.run(office.visits.enter(office))


def enter():
    asyncio.run(office.visits.enter(office))


def passports():
    """{(peer, helo): {attribute: value}} of all on the card, by slot."""
    from picopost.passports import table

    found = {}
    for slot, passport in table.passports(office.visits):
        if passport:
            one = dict(passport.__dict__)
            one.update({"slot": slot, "every": passport.every, "regular": passport.regular})
            found[passport.peer, passport.helo] = one
    return found


def shown():
    """What show() says of each device."""
    from picopost.passports import show

    said = []

    async def say(**fields):
        said.append(fields)

    asyncio.run(show.show(office, say))
    visits.unload_all()
    return said


def letters():
    """How many letters girl has, and the last one's text."""
    from picopost.store.maildrop import Maildrop

    async def nothing():
        pass

    maildrop = Maildrop(office.mailbox("girl"))
    asyncio.run(maildrop.open(nothing))
    if not maildrop.count:
        return 0, b""
    file, size = maildrop.open_message(maildrop.count)
    with file:
        text = file.read(size)
    count = maildrop.count
    maildrop.close()
    return count, text


# --- power cuts -------------------------------------------------------------------------------


class PowerCut(Exception):
    pass


class CutDisk(RamDisk):
    """A card on a copy of `data` whose power goes at the `cut`th block write: so many octets of it
    are `kept`.
    """

    def __init__(self, data, cut=0, kept=0):
        self.data = bytearray(data)
        self.written = self.read = 0
        self.fail_after = -1
        self.cut = cut
        self.kept = kept
        self.gone = False

    def readblocks(self, block, buf):
        if not self.gone:  # finalisers may still ask
            super().readblocks(block, buf)

    def writeblocks(self, block, buf):
        if self.gone:
            return
        for at in range(len(buf) // 512):
            data = bytes(buf[at * 512 : (at + 1) * 512])
            if self.cut and self.written + 1 == self.cut:
                start = (block + at) * 512
                self.data[start : start + self.kept] = data[: self.kept]
                self.gone = True
                raise PowerCut
            super().writeblocks(block + at, data)


def deliver(text):
    """A letter to girl's mailbox."""
    from picopost.store.delivery import Delivery

    delivery = Delivery(bytearray(limits.CARD_BLOCK + 8), [office.mailbox("girl")], b"a@b", b"b",
                        b"ESMTP", b"xyz.com", None)
    delivery.feed(text, 0, len(text))
    delivery.commit()


def cut_entering(data, cut, kept, sessions, given, later=0):
    """The power goes while `sessions` are entered on a copy of `data`, so many seconds `later`;
    then a new start. False where there were fewer block writes.
    """
    global office
    office = None
    begin(CutDisk(data), **given)
    for each in sessions:
        session(*each)
    office.visits.served += later
    disk.cut, disk.kept = disk.written + cut, kept
    try:
        asyncio.run(office.visits.enter(office))
    except PowerCut:
        pass
    went = disk.gone
    disk.gone = True
    office.visits.used = 0
    pull()  # or finalisers would close the files, who knows when
    office = None
    if went:
        begin(CutDisk(disk.data), **given)
    return went


async def nothing():
    pass


def office_served():
    return office.visits.served
