"""A transaction on a real store inside the VM: what its reply hangs on."""

from pathlib import Path

import pytest

from tests.support.vm import Vm

STORE = Path(__file__).parents[1] / "store"
STUB = '''
from vm_store import *
from picopost.net.channel import Channel
from picopost.net.server import Seat
from picopost.smtp import replies
from picopost.smtp.transaction import Transaction

open_box("a")
open_box("b")

class Connection:
    """Has `text`, then waits for ever."""
    peer = "10.0.0.1"
    def __init__(self, text):
        self.text = text
    def read_now(self, buf):
        count = min(len(buf), len(self.text))
        buf[:count] = self.text[:count]
        self.text = self.text[count:]
        return count or None

class Full:
    """Notices, where the heap has no room to go through them."""
    def __iter__(self):
        raise MemoryError

class Talk:
    helo, protocol, reverse_path = b"x", b"ESMTP", b"a@xyz.com"
    recipients, accepted, sender = [("a", b"a@xyz.com"), ("b", b"b@xyz.com")], 2, "a"
    envelope_id, notices = None, Full()

class Office:
    hostname, max_message_size, notices, refused = "xyz.com", 100_000, None, None
    def __init__(self):
        self.volume = vm_store.volume
    def mailbox(self, name):
        return boxes[name]
    def admit(self, name, size, messages=1, room=None):
        return replies.MAILBOX_FULL if name == self.refused else None

def no_room(*arguments):
    raise MemoryError

def settle(refused, talk=Talk, report=None):
    """(the reply, letters of a and b)"""
    office = Office()
    office.refused = refused
    channel = Channel(Connection(b"Subject: x\\r\\n\\r\\n.\\r\\n"), Seat(), None)
    async def run():
        transaction = Transaction(channel, talk, office, False, False)
        if report:
            transaction._report = report
        await transaction.intake.data()
        return await transaction.settle()
    return asyncio.run(run()), boxes["a"].index.live, boxes["b"].index.live
'''


@pytest.fixture
def vm():
    with Vm(heap_kib=3000, extra_path=(STORE,)) as machine:
        machine.exec("import vm_store\n" + STUB)
        yield machine


def test_a_letter_is_accepted_though_the_heap_has_no_room_for_its_reports(vm):
    """It is on the card: who hears anything else sends it again."""
    assert vm.eval("settle(None)") == (b"250 2.0.0 Mail accepted", 1, 1)


def test_somebody_does_not_get_it_and_the_heap_has_no_room_to_tell_of_that(vm):
    """Then the report is part of the promise."""
    vm.exec("Transaction._can_report = lambda self, full: True")
    assert vm.eval("settle('b')") == (b"451 4.3.0 Local error, try again later", 1, 0)


@pytest.mark.parametrize("refused, code", [(None, b"250"), ("b", b"451")])
def test_the_heap_has_no_room_to_begin_with_the_reports(vm, refused, code):
    """A stored letter's 250 is said; where somebody does not get it the sender comes again."""
    vm.exec("class Talk(Talk):\n    notices = [None]")
    vm.exec("Transaction._can_report = lambda self, full: True")
    assert vm.eval(f"settle({refused!r}, Talk, no_room)")[0].startswith(code)
