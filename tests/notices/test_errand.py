"""The queue and the reading of a letter, in the VM: what happens to both in the midst of things."""

import pytest

from tests.support.vm import Vm

_SCENE = """
import asyncio
from picopost import event_log, limits
from picopost.notices import errand
from picopost.notices.queue import Entry, Notices
from picopost.store import index as index_file

logged = []
event_log.log = lambda event, **fields: logged.append((event, fields))

class Index:
    def __init__(self, records, uid_validity=7):
        self.records = records  # [state, uid, segment, offset, size, octets]
        self.slots = len(records)
        self.uid_validity = uid_validity
    def load(self, slot):
        state, uid, segment, offset, size, octets = self.records[slot]
        self._words = [state, uid, segment | 5 << 16, offset, size, octets]
        return 0
    checked = load
    def words(self):
        return self._words

class Mailbox:
    closed = False
    def __init__(self, name, path, index):
        self.name, self.path, self.index = name, path, index
    def check_open(self):
        if self.closed:
            raise OSError(5)

class Office:
    hostname = "xyz.com"
    def __init__(self, rules, mailbox=None):
        self.notice_rules = rules
        self.box = mailbox
        self.steps = 0
        self.meanwhile = None
    def mailbox(self, name):
        return self.box
    async def ready(self):
        self.steps += 1
        if self.meanwhile:
            self.meanwhile(self.steps)

class Led:
    mail = False

def read(index, path, meanwhile=None, uid=3):
    global box, office
    box = Mailbox("alice", path, index)
    entry = Entry(box, uid)
    office = Office([], box)
    office.meanwhile = meanwhile
    found = asyncio.run(errand._read(office, entry))
    return found and (found[0].subject, found[0].text, found[1])

LIVE, DELETED = index_file.LIVE, index_file.DELETED
"""


@pytest.fixture
def vm():
    with Vm() as machine:
        machine.exec(_SCENE)
        yield machine


def segment(folder, number: int, text: bytes) -> None:
    (folder / "00").mkdir(exist_ok=True)
    (folder / "00" / f"{number:04X}.MBX").write_bytes(b"From \n"[:5] + text)


def letter(name: str) -> bytes:
    return f"Subject: {name}\n\ntext of {name}\n".encode() + b"x" * 20_000


def record(name: str, uid: int, number: int, state: str = "LIVE") -> str:
    return f"[{state}, {uid}, {number}, 0, {len(letter(name)) + 5}, 99]"


def test_a_letter_is_read(vm, tmp_path):
    segment(tmp_path, 0, letter("one"))
    records = f"[{record('one', 3, 0)}, {record('one', 4, 9, 'DELETED')}]"
    assert vm.eval(f"read(Index({records}), {str(tmp_path)!r})") == ("one", "text of one", 99)
    assert 15 < vm.eval("office.steps") < 50  # others had as many turns
    assert vm.eval(f"read(Index({records}), {str(tmp_path)!r}, uid=4)") is None
    assert vm.eval(f"read(Index({records}), {str(tmp_path)!r}, uid=5)") is None


def test_of_a_large_letter_the_beginning_is_read(vm, tmp_path):
    text = letter("one") + b"x" * 1_000_000
    segment(tmp_path, 0, text)
    records = f"[[LIVE, 3, 0, 0, {len(text) + 5}, 99]]"
    assert vm.eval(f"read(Index({records}), {str(tmp_path)!r})") == ("one", "text of one", 99)
    assert 200 < vm.eval("office.steps") < 400


def test_a_letter_that_moves_in_the_midst(vm, tmp_path):
    """What was read before counts for nothing: its clusters may have been another's."""
    segment(tmp_path, 0, letter("somebody else's"))
    segment(tmp_path, 1, letter("one"))
    vm.exec(f"""
def move(step):
    if step == 5:
        box.index.records[0][2] = 1
        box.index.records[0][4] = {len(letter("one")) + 5}
index = Index([{record("somebody else's", 3, 0)}])
""")
    assert vm.eval(f"read(index, {str(tmp_path)!r}, move)") == ("one", "text of one", 99)


def test_a_letter_that_is_deleted_in_the_midst(vm, tmp_path):
    segment(tmp_path, 0, letter("one"))
    vm.exec(f"""
def delete(step):
    if step == 5:
        box.index.records[0][0] = DELETED
index = Index([{record("one", 3, 0)}])
""")
    assert vm.eval(f"read(index, {str(tmp_path)!r}, delete)") is None


def test_an_index_that_is_packed_while_it_is_walked(vm, tmp_path):
    segment(tmp_path, 0, letter("one"))
    vm.exec(f"""
def pack(step):
    if step == 1:
        box.index = Index([{record("one", 3, 0)}])
index = Index([{record("one", 3, 0)}] + [[LIVE, 100 + n, 1, 0, 50, 50] for n in range(300)])
""")
    assert vm.eval(f"read(index, {str(tmp_path)!r}, pack)") == ("one", "text of one", 99)


def test_another_card(vm, tmp_path):
    """Its mailbox has letters with the same numbers; and one that is out of service has none."""
    segment(tmp_path, 0, letter("one"))
    vm.exec(f"""
index = Index([{record("one", 3, 0)}])
entry = Entry(Mailbox("alice", {str(tmp_path)!r}, index), 3)
other = Office([], Mailbox("alice", {str(tmp_path)!r}, Index(index.records, 8)))
""")
    assert vm.eval("asyncio.run(errand._read(other, entry))") is None
    vm.exec(f"""
def pull(step):
    if step == 3:
        box.closed = True
try:
    got = read(index, {str(tmp_path)!r}, pull)
except OSError as error:
    got = error.errno
""")
    assert vm.eval("got") == 5


def test_the_queue_is_bounded_and_drops_the_oldest(vm):
    vm.exec("""
notices = Notices(Office([{"mailbox": "alice", "led": True}]), None, Led())
for uid in range(limits.NOTICE_QUEUE + 3):
    notices.put(Mailbox("alice", "", Index([])), uid)
notices.put(Mailbox("bob", "", Index([])), 1)
""")
    assert vm.eval("[entry.uid for entry in notices._queue], notices._dropped") == (
        list(range(3, 19)), 3)


def test_the_led_until_a_mailbox_is_read(vm):
    vm.exec("""
led = Led()
notices = Notices(Office([]), None, led)
notices.light("alice")
notices.light("alice")
notices.light("bob")
""")
    for seen, mail in (("carl", True), ("alice", True), ("alice", True), ("bob", False)):
        vm.exec(f"notices.seen({seen!r})")
        assert vm.eval("led.mail") == mail
    vm.exec("notices.light('alice')")
    assert vm.eval("led.mail")


@pytest.mark.parametrize("rule, sender, subject, bits", [
    ({}, ("", ""), "", 1), ({"mailbox": "alice"}, ("", ""), "", 1), ({"mailbox": "bob"}, ("", ""),
                                                                     "", 0),
    ({"from": "CAMERA"}, ("My camera", "x@y"), "", 1),
    ({"from": "cam@lan"}, ("", "Cam@LAN"), "", 1),
    ({"from": "camera"}, ("", "x@y"), "camera", 0), ({"subject": "Motion"}, ("", ""), "emotion", 1),
    ({"subject": "motion", "from": "cam"}, ("", "cam@lan"), "Test", 0)])
def test_who_wants_it(vm, rule, sender, subject, bits):
    rule = {**rule, "post": "http://10.0.0.1/"}
    vm.exec(f"""
from picopost.mime.summary import Summary
found = Summary()
found.sender, found.subject = {sender!r}, {subject!r}
notices = Notices(Office([{rule!r}]), None, Led())
""")
    assert vm.eval("errand._wanted(notices, 'alice', found)") == bits


def test_pauses_grow_up_to_a_bound(vm):
    vm.exec("""
import time
notices = Notices(Office([{"post": "http://10.0.0.1/"}, {"ntfy": "http://10.0.0.2:81/a"}]), None,
                  Led())
entry = Entry(Mailbox("alice", "", Index([])), 1)
entry.wanted = 3
pauses = []
for _ in range(30):
    notices.failed(entry, 0, "why")
    pauses.append((notices._failures["10.0.0.1:80"][1] - time.ticks_ms() + 500) // 1000)
""")
    pauses = vm.eval("pauses")
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, 300] and set(pauses[6:]) == {300}
    assert vm.eval("[notices.may_try(target) for target in notices.targets]") == [False, True]
    assert vm.eval("[event for event, _ in logged]") == ["notice_put_off"]
    vm.exec("notices.told(entry, 1); notices.told(entry, 0)")
    assert vm.eval("notices.may_try(notices.targets[0]), entry.wanted") == (True, 0)


def test_a_server_that_failed_long_ago_may_be_tried(vm):
    """The ticks go round: what lies half of their period back seems to be to come."""
    vm.exec("""
import time
notices = Notices(Office([{"post": "http://10.0.0.1/"}]), None, Led())
target = notices.targets[0]
def may_try(seconds):
    notices._failures[target.server] = [1, time.ticks_add(time.ticks_ms(), seconds * 1000), ""]
    return notices.may_try(target)
half = time.ticks_add(0, -1) // 2000
""")
    assert vm.eval("may_try(-1), may_try(299), may_try(302), may_try(half - 5), may_try(5 - half)"
                   ) == (True, False, True, True, True)


def test_a_heap_that_is_full_ends_nothing(vm):
    """Nor where there is no room for the line that says so."""
    vm.exec("""
limits.NOTICE_PAUSE = limits.NOTICE_RETRY = 0
notices = Notices(Office([{"led": True}]), None, Led())
tries = []
def full(event, **fields):
    tries.append(event)
    raise MemoryError
event_log.log = full
for uid in range(limits.NOTICE_QUEUE + 1):
    notices.put(Mailbox("alice", "", Index([])), uid)
async def watch():
    task = asyncio.create_task(notices.run())
    for _ in range(100):
        await asyncio.sleep_ms(0)
    ended = task.done()
    task.cancel()
    return ended
""")
    assert vm.eval("asyncio.run(watch()), len(tries) > 1") == (False, True)


def test_a_card_or_a_heap_that_fails_puts_it_off(vm):
    """Until the letter is old: then the log says why."""
    vm.exec("""
import time
from picopost.notices import queue
limits.NOTICE_RETRY = 0
class Failing:
    async def run(self, notices, entry):
        raise error
queue.load = lambda name: Failing()
notices = Notices(Office([{"led": True}]), None, Led())
notices.put(Mailbox("alice", "", Index([])), 1)
def work():
    logged.clear()
    asyncio.run(notices._work(list(notices._queue)))
    return len(notices._queue), [(event, fields["why"]) for event, fields in logged]
""")
    for error, why in (("OSError(5, 'x')", "[Errno 5] EIO: x"), ("MemoryError('y')", "y")):
        vm.exec(f"error = {error}; notices.put(Mailbox('alice', '', Index([])), 2)")
        assert vm.eval("work()")[1] == []
        vm.exec("""
for entry in notices._queue:
    entry.came = time.ticks_add(time.ticks_ms(), -limits.NOTICE_KEPT - 1)
""")
        left, told = vm.eval("work()")
        assert left == 0 and set(told) == {("notice_failed", why)}
    vm.exec("""
limits.NOTICE_HEAP = 1 << 28
notices.put(Mailbox("alice", "", Index([])), 3)
""")
    assert vm.eval("work()") == (1, [])


@pytest.mark.parametrize("status, ends", [
    (b"HTTP/1.1 200", "fine"), (b"HTTP/1.1 503", "OSError"), (b"HTTP/1.1 404", "Refused")])
def test_a_server_that_says_it_late_and_stays_is_believed(vm, status, ends):
    """It has taken the notice, and is not to get it once more."""
    vm.exec(f"""
from picopost.mime.summary import Summary
limits.NOTICE_TIME, limits.NOTICE_REST = 100, 200
class Connection:
    said = {status!r}
    def read_now(self, buffer):
        if not self.said:
            return None
        buffer[: len(self.said)] = self.said
        count, self.said = len(self.said), b""
        return count
    def wait_readable(self):
        return asyncio.sleep_ms(1)
    async def write(self, octets):
        await asyncio.sleep_ms(0)
    async def close(self):
        pass
    def abort(self):
        pass
class Link:
    async def connect(self, address, port, timeout):
        return Connection()
notices = Notices(Office([{{"post": "http://10.0.0.1/"}}]), Link(), Led())
entry = Entry(Mailbox("alice", "", Index([])), 1)
def tell():
    try:
        asyncio.run(errand._tell(notices, notices.targets[0], entry, Summary(), 9))
        return "fine"
    except Exception as error:
        return type(error).__name__
""")
    assert vm.eval("tell()") == ends


@pytest.mark.parametrize("error", ["OSError(5)", "MemoryError()"])
def test_a_letter_that_cannot_be_read_keeps_no_other_one_waiting(vm, error):
    """And its reader is gone from the heap before anybody waits."""
    vm.exec(f"""
import sys
from picopost.notices import queue
loaded = []
queue.unload = lambda name: loaded.append(name)
sys.modules["picopost.notices.there"] = queue  # as errand's
limits.NOTICE_RETRY = 1
class Failing:
    async def run(self, notices, entry):
        sys.modules["picopost.notices.more"] = queue
        if entry.uid == 1:
            raise {error}
        return True
queue.load = lambda name: Failing()
pause = asyncio.sleep_ms
def slept(milliseconds):
    loaded.append(milliseconds)
    return pause(milliseconds)
asyncio.sleep_ms = slept
notices = Notices(Office([{{"led": True}}]), None, Led())
for uid in (1, 2):
    notices.put(Mailbox("alice", "", Index([])), uid)
asyncio.run(notices._work(list(notices._queue)))
""")
    assert vm.eval("[entry.uid for entry in notices._queue]") == [1]
    assert vm.eval("loaded") == ["picopost.notices.more", 1]


def test_an_error_that_nobody_foresaw_is_one_letters(vm):
    vm.exec("""
from picopost.notices import queue
event_log.fault = lambda event, error, **fields: logged.append((event, fields))
class Failing:
    async def run(self, notices, entry):
        if entry.uid == 1:
            raise ValueError("as the test wants it")
        return True
queue.load = lambda name: Failing()
notices = Notices(Office([{"led": True}]), None, Led())
for uid in (1, 2):
    notices.put(Mailbox("alice", "", Index([])), uid)
asyncio.run(notices._work(list(notices._queue)))
""")
    assert vm.eval("logged, len(notices._queue)") == ([("fault", {"mailbox": "alice"})], 0)
