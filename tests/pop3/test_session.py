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
