"""What is written to lwIP always finds room there, whoever reads slowly; on a heap that is kept as
lwIP keeps it."""

import errno
from pathlib import Path

import pytest

from tests.support.bench import DEVICE_MODULES
from tests.support.vm import Vm

SOURCE = Path(__file__).with_name("vm_lwip_memory.py").read_text()
STEPS = 3_000


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=400, extra_path=(DEVICE_MODULES,)) as vm:
        vm.exec(SOURCE)
        yield vm


@pytest.mark.parametrize("seed", range(6))
def test_no_write_waits_in_c(vm, seed):
    failed, taken = vm.eval(f"crowd({seed}, {STEPS})")
    assert failed == 0 and taken > 100_000


def test_without_asking_writes_would_wait(vm):
    """The check above can fail."""
    assert vm.eval(f"crowd(1, {STEPS}, False)")[0] > 0


def run(vm, readers, milliseconds=10_000):
    taken, answers = vm.eval(f"run({readers}, {milliseconds})")
    assert vm.eval("Tcp.failed") == 0
    assert answers == [300, 300]
    return taken


@pytest.mark.parametrize("readers", [1, 2, 3, 4, 5])
def test_who_does_not_read_leaves_room_for_answers(vm, readers):
    taken = run(vm, (False,) * readers)
    assert 4_000 <= sum(taken) <= 4_800 + 3 * 210
    assert taken == run(vm, (False,) * readers, 100_000)


@pytest.mark.parametrize("readers", [(True,), (True, True), (True,) * 5])
def test_readers_share(vm, readers):
    taken = run(vm, readers)
    assert min(taken) > 400_000


@pytest.mark.parametrize("readers", [(False, True), (True, False), (False, True, False),
                                     (False, False, True), (True, True, False)])
def test_messages_go_on_beside_those_who_do_not_read(vm, readers):
    """In morsels, one each 10 ms here; whoever came first."""
    for reads, octets in zip(readers, run(vm, readers), strict=True):
        assert octets > 80_000 if reads else octets <= 4_800 + 210


def test_answers_are_not_asked_for_one_by_one(vm):
    assert vm.eval("questions(100)") <= 7


def test_no_write_behind_a_reset(vm):
    assert vm.eval("after_a_reset()") == ([errno.ECONNRESET, errno.ENOTCONN], 0)


def test_sockets_that_are_not_lwips_are_not_asked(vm):
    assert vm.eval("lwip_memory.find()") is None


def test_what_those_left_who_did_not_read_is_used_again(vm):
    assert vm.eval("leavers(5)") > 80_000
