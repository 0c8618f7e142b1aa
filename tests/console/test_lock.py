"""The lock of a mailbox (RFC 1939 3) comes back however a command at the console ends."""

import pytest

from tests.support.vm import Vm

_SCENE = """
import asyncio
from picopost.console import mail

class Index:
    uid_validity = 7

class Mailbox:
    in_use = False
    index = Index()
    def take(self):
        self.in_use = True
        return True

class Volume:
    failure = None

class Office:
    volume = Volume()
    accounts = {"girl": None}
    box = Mailbox()
    def mailbox(self, name):
        return self.box

class Failing:
    def __init__(self, mailbox):
        if at == "made":
            raise error
    async def open(self, pause):
        raise error
    def close(self):
        pass

Office.pause = None
mail.Maildrop = Failing

def ended():
    office = Office()
    try:
        asyncio.run(mail.answer(None, ["girl"], {"office": office}))
    except BaseException as raised:
        return raised is error, office.box.in_use
"""


@pytest.mark.parametrize("at", ["made", "opened"])
@pytest.mark.parametrize("error", ["MemoryError()", "asyncio.CancelledError()", "OSError(5)"])
def test_it_comes_back(at, error):
    with Vm() as vm:
        vm.exec(_SCENE)
        vm.exec(f"at, error = {at!r}, {error}")
        assert vm.eval("ended()") == (True, False)
