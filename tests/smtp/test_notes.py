"""The one line about a session that did not go well: inside the VM."""

import pytest

from host_tools import events
from tests.support.vm import Vm

STUB = '''
import sys
from picopost.smtp import notes, replies

def line(steps, ending, letters=0, device="", said=b""):
    n = notes.Notes()
    n.letters = letters
    n.ending = ending
    for command, reply, detail in steps:
        if reply:
            n.refused(command, getattr(replies, reply), detail)
        else:
            n.remark(detail)
    n.write("192.168.1.20", "smtp", device, b"cam", said)
'''


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def written(vm, steps, *arguments, **more):
    """The event that the session leaves, or None."""
    del vm.printed[:]
    vm.exec(f"line({steps!r}, *{arguments!r}, **{more!r})")
    assert len(vm.printed) <= 1
    return events.parse(vm.printed[0]) if vm.printed else None


LOGIN = (b"AUTH LOGIN", "AUTH_WRONG", "no such user 'cam'")
PROBE = (b"XADR", "NOT_RECOGNIZED", "")


def test_the_camera_of_the_log(vm):
    event = written(vm, [LOGIN], "quit", device="camera")
    assert event["event"] == "refused" and event["device"] == "camera"
    assert event["why"] == "quit after AUTH LOGIN was refused: no such user 'cam'"
    assert "name and password" in event["advice"]
    assert list(event)[-2:] == ["why", "advice"]


@pytest.mark.parametrize("steps, ending, letters, why", [
    ([], "quit", 0, None),
    ([], "quit", 1, None),
    ([], "hung up", 1, None),
    ([], "hung up", 0, "hung up after EHLO cam, no letter sent"),
    ([PROBE], "quit", 1, None),  # a probe that hurt nobody
    ([PROBE], "quit", 0, "quit after XADR was refused: Command not recognized"),
    # What matters stays, whatever follows from it.
    ([PROBE, LOGIN], "quit", 0, "quit after AUTH LOGIN was refused: no such user 'cam'"),
    ([LOGIN, PROBE, (b"DATA", "NO_RECIPIENTS", "")], "timed out", 0,
     "timed out after AUTH LOGIN was refused: no such user 'cam'"),
    ([(b"RCPT TO:<a>", "UNKNOWN_MAILBOX", ""), (b"DATA", "NO_RECIPIENTS", "")], "quit", 0,
     "quit after RCPT TO:<a> was refused: No such mailbox here"),
    ([(b"RCPT TO:<a>", "UNKNOWN_MAILBOX", "")], "quit", 1,
     "went on after RCPT TO:<a> was refused: No such mailbox here"),
    ([(b"", "", "talks early")], "quit", 1, "talks early"),
])
def test_what_is_said_and_what_is_not(vm, steps, ending, letters, why):
    event = written(vm, steps, ending, letters, said=b"EHLO cam")
    assert (event and event["why"]) == why


def test_advice_is_for_replies_that_exist_and_leaves_the_heap(vm):
    vm.exec("from picopost.smtp import advice")
    hints = vm.eval("advice._HINTS")
    names = vm.eval("[getattr(replies, name) for name in dir(replies) if name.isupper()]")
    assert len(hints) > 25 and set(hints) <= set(names)
    written(vm, [LOGIN], "quit")
    assert not vm.eval("'picopost.smtp.advice' in sys.modules")
