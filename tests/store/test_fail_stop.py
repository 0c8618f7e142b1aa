"""The card behind its fail-stop: what a read raises, and what comes after it."""

from contextlib import nullcontext

import pytest

from tests.support.vm import Vm, VmError

STUB = '''
import micropython
from picopost.store.fail_stop import FailStop

class Card:
    raises = None
    read = 0
    def ready(self):
        return True
    def readblocks(self, block, buf):
        self.read += 1
        if self.raises:
            raise self.raises
        buf[0] = block
    def writeblocks(self, block, buf):
        if self.raises:
            raise self.raises
    ioctl = writeblocks

def write(block):
    device.writeblocks(block, bytearray(512))

def read(block):
    """The first octet, or what was raised."""
    buf = bytearray(512)
    try:
        device.readblocks(block, buf)
    except Exception as error:
        return repr(error)
    return buf[0]

def allocated():
    buf = bytearray(512)
    device.readblocks(1, buf)
    before = micropython.mem_total()
    for _ in range(10):
        device.readblocks(1, buf)
    return micropython.mem_total() - before
'''


@pytest.fixture
def vm():
    with Vm() as machine:
        machine.exec(STUB + "card = Card(); device = FailStop(card)")
        yield machine


def test_the_first_error_of_the_card_is_the_last(vm):
    assert vm.eval("read(3)") == 3
    vm.exec("card.raises = OSError(5, 'SD: block 4')")
    assert vm.eval("read(4)") == "OSError(5, 'SD: block 4')"
    vm.exec("card.raises = None")
    assert vm.eval("(read(5), device.failure)") == ("OSError(5, 'SD: block 4')",
                                                    (5, "SD: block 4"))
    assert vm.eval("card.read") == 2, "nothing is asked of it any more"


@pytest.mark.parametrize("call", ["read(1)", "write(1)", "device.ioctl(3, 0)"])
def test_a_full_heap_unwinds_the_file_system_like_an_error_of_the_card(vm, call):
    vm.exec("card.raises = MemoryError('no room')")
    with pytest.raises(VmError, match="no room") if call != "read(1)" else nullcontext():
        assert vm.eval(call) == "MemoryError('no room',)"
    vm.exec("card.raises = None")
    number, why = vm.eval("device.failure")
    assert number == 12 and "heap" in why
    assert vm.eval("read(2)") == f"OSError(12, '{why}')"
    assert vm.eval("card.read") <= 1, "nothing is asked of it any more"


def test_a_full_heap_does_not_end_who_looks_after_the_card(vm):
    vm.exec("card.raises = MemoryError('no room'); device.probe()")
    assert vm.eval("device.failure[0]") == 12


def test_a_file_is_shut_for_good_though_the_heap_is_full(vm):
    vm.exec("""
class File:
    closed = 0
    def close(self):
        self.closed += 1
        device.writeblocks(1, bytearray(512))
file = File()
card.raises = MemoryError('no room')
device.shut(file)
""")
    assert vm.eval("(file.closed, device.failure[0])") == (2, 12), "the second time in silence"


def test_a_read_allocates_nothing(vm):
    assert vm.eval("allocated()") == 0
