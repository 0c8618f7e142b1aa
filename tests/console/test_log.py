"""`log`: what is kept of the last events."""

from __future__ import annotations

import subprocess
import threading

import pytest

from host_tools import firmware_build
from host_tools import vm as micropython_vm
from tests.support.vm import Vm


@pytest.fixture
def vm():
    with Vm(heap_kib=196) as vm:
        vm.exec("import gc; from picopost import event_log, limits")
        yield vm


def kept(vm) -> list[bytes]:
    return bytes(vm.eval("bytes(event_log.recent)")).lstrip(b"\0").split(b"\n")


def test_the_last_ones_whole_and_in_order(vm):
    for number in range(200):
        vm.exec(f"event_log.log('e{number}', octets={number})")
    lines = kept(vm)
    assert lines.pop() == b""
    numbers = [int(line.rpartition(b"=")[2]) for line in lines[1:]]
    assert numbers == list(range(200 - len(numbers), 200)) and len(numbers) > 50


def test_the_password_of_a_first_start_is_said_once_and_not_kept(vm):
    vm.exec("event_log.log('first_start', user='me', password='wm4k-9xtc-hb2e')")
    vm.exec("event_log.log('ready')")
    assert any("wm4k" in line for line in vm.printed)
    assert [line.split()[1] for line in kept(vm)[:-1]] == [b"ready"]


def test_one_that_is_longer_than_all_is_passed_over(vm):
    vm.exec("event_log.log('a')")
    vm.exec("event_log.log('b', why='x' * limits.LOG_KEPT)")
    assert [line.split()[1] for line in kept(vm)[:-1]] == [b"a"]


def test_keeping_one_takes_next_to_nothing_of_the_heap(vm):
    vm.exec("""
def cost():
    line = event_log.line("connected", {"peer": "192.168.1.20", "service": "smtp"})
    event_log._keep(line)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        event_log._keep(line)
    after = gc.mem_alloc()
    gc.enable()
    return after - before
""")
    assert vm.eval("cost()") <= 100 * 3 * 64


_TALKER = """
import sys
from picopost import event_log, limits
for number in range(5000):
    event_log.log("e", why="x" * 100, octets=number)
event_log.fault("fault", ValueError("x" * 20_000))
sys.stderr.write("done\\n")
sys.stdin.read(1)
event_log.log("again")
"""


def test_who_has_the_port_open_and_does_not_read_stops_nobody(tmp_path):
    """What there was room for came whole; who reads again hears what is said then."""
    script = tmp_path / "talker.py"
    script.write_text(_TALKER)
    tree = firmware_build.build_for_vm()
    board = micropython_vm.start(196, str(script), path=[tree, tree / "lib"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
    patience = threading.Timer(20, board.kill)
    patience.start()
    try:
        assert board.stderr.readline() == b"done\n"
        came = b"".join(board.stdout.readline() for _ in range(200))
        board.stdin.write(b"x")
        board.stdin.close()
        lines = (came + board.stdout.read()).splitlines()
    finally:
        patience.cancel()
        board.kill()
        board.wait()
    numbers = [int(line.split(b"octets=")[1].split()[0]) for line in lines[:-1]]
    assert numbers == list(range(len(numbers))) and 300 < len(numbers) < 5000
    assert lines[-1].endswith(b" again")
