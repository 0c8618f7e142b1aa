"""What a POP3 session does beside its dialogue, inside the VM and without a link."""

import pytest

from tests.support.vm import Vm

STUB = '''
import asyncio
from picopost import limits
from picopost.pop3.session import Session

limits.MAILBOX_RETRY = 1

class Mailbox:
    """Another session has it for so many looks."""
    def __init__(self, looks):
        self.left = looks
        self.looks = 0
    def take(self):
        self.looks += 1
        self.left -= 1
        return self.left < 0

class Waiting:
    """As much of a session as `_take` needs."""
    def __init__(self):
        self._channel = self
    def expect(self, milliseconds):
        pass

class Office:
    def __init__(self):
        self.swept = []
    def sweep(self, mailbox):
        self.swept.append((mailbox, mailbox.in_use))

class Ending:
    """As much of a session as `release` needs."""
    def __init__(self, deleted):
        self._mailbox = Mailbox(0)
        self._mailbox.in_use = True
        self._deleted = deleted
        self._office = Office()
    def _close_file(self):
        pass

def swept(deleted):
    """Whether the mailbox was in use when it was swept, for each time."""
    session = Ending(deleted)
    for _ in range(2):
        Session.release(session)
    return [in_use for _, in_use in session._office.swept]

def take(looks):
    """(taken, looks that it took)"""
    mailbox = Mailbox(looks)
    return asyncio.run(Session._take(Waiting(), mailbox)), mailbox.looks
'''


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def test_a_login_waits_for_a_mailbox_that_is_just_given_back(vm):
    most = vm.eval("limits.MAILBOX_TRIES")
    assert vm.eval("take(0)") == (True, 1)
    assert vm.eval("take(3)") == (True, 4)
    assert vm.eval(f"take({most})") == (True, most + 1)
    assert vm.eval("take(1000)") == (False, most + 1)


def test_a_mailbox_is_swept_once_it_is_free(vm):
    """A sweep packs nothing that a session has."""
    assert vm.eval("swept(True)") == [False]
    assert vm.eval("swept(False)") == []
