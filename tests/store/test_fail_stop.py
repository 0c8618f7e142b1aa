"""The card behind its fail-stop: what a read raises, and what comes after it."""

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


@pytest.mark.parametrize("operation", ["readblocks(1, bytearray(512))",
                                       "writeblocks(1, bytearray(512))"])
@pytest.mark.parametrize("error", ["MemoryError()", "MemoryError('heap is locked')"])
def test_a_full_heap_in_the_midst_of_it_is_an_error_too(vm, operation, error):
    """FatFs is cut short by it as by the card."""
    vm.exec(f"card.raises = {error}")
    with pytest.raises(VmError, match="MemoryError"):
        vm.exec(f"device.{operation}")
    vm.exec("card.raises = None")
    assert vm.eval("read(2)") in ("OSError(12,)", "OSError('heap is locked',)")


def test_a_read_allocates_nothing(vm):
    assert vm.eval("allocated()") == 0
