"""Time inside the VM: what mail says of it before anybody has set the clock."""

from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent


@pytest.fixture
def vm():
    with Vm(heap_kib=3000, extra_path=(HERE,)) as machine:
        machine.exec("from vm_store import *\nfrom picopost import clock\nimport time")
        # A board's time module, with a clock that a test sets; uptime is the VM's own.
        machine.exec("class Time:\n"
                     " now = 1609459200\n"  # 2021, where an RP2040 starts
                     " ticks_ms = staticmethod(lambda: 75_000)\n"
                     " def time(self): return self.now\n"
                     " def gmtime(self, at=None):\n"
                     "  return time.gmtime(self.now if at is None else at)")
        machine.exec("clock.time = Time(); open_box('a')")
        yield machine


def received(vm, number: int) -> str:
    """The date of our Received line."""
    head = vm.eval(f"text('a', {number})").split(b"\nSubject")[0].decode()
    return head.split(";\n\t")[1]


def test_letters_before_and_after_the_time_is_known(vm):
    wire = b"Subject: x\r\n\r\n.\r\n"
    vm.exec(f"deliver(['a'], {wire!r}); deliver(['a'], {wire!r})")
    vm.exec(f"Time.now = 1795455172; deliver(['a'], {wire!r})")
    early = received(vm, 1)
    assert early == "Thu, 1 Jan 1970 00:01:15 -0000 (time since start, no clock yet)"
    assert parsedate_to_datetime(early).year == 1970  # and the comment is one to a parser
    assert parsedate_to_datetime(received(vm, 3)).timestamp() == 1795455172
    assert vm.eval("[boxes['a'].index.words()[boxes['a'].index.load(s) + 6] for s in range(3)]") \
        == [0, 0, 1795455172]
    uids = [uid for _, uid in vm.eval("listing('a')")]
    assert uids == sorted(uids)
    assert vm.eval("clock.from_line_date()") == b"Mon Nov 23 17:32:52 2026"


def test_letters_without_a_date_do_not_grow_old(vm):
    """keep_days: the dated ones go when they are old; those from before the clock stay."""
    vm.exec("from picopost.store import retention\n"
            "class Rules:\n"
            " def rule(self, name, rule): return 2 if rule == 'keep_days' else None")
    wire = b"Subject: x\r\n\r\n.\r\n"
    for now in (1795000000, 1795100000, 1795400000):
        vm.exec(f"Time.now = {now}; deliver(['a'], {wire!r})")
    before = vm.eval("listing('a')")
    expire = "asyncio.run(retention.expire(boxes['a'], Rules(), nothing))"
    assert vm.eval(expire) == 2
    assert vm.eval("listing('a')") == before[2:]
    vm.exec(f"Time.now = 1609459200; deliver(['a'], {wire!r})")
    vm.exec("Time.now = 1795400000 + 86400")
    assert vm.eval(expire) == 0
    vm.exec("boxes['a'].take()")  # a POP3 session has it
    vm.exec("Time.now = 1795400000 + 9 * 86400")
    assert vm.eval(expire) == 0
    vm.exec("boxes['a'].in_use = False")
    assert vm.eval(expire) == 1
    assert len(vm.eval("listing('a')")) == 1
