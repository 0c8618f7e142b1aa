"""A heap that is full in the midst of what FatFs does: no letter is lost by it."""

from pathlib import Path

from tests.support.vm import Vm

HERE = Path(__file__).parent


def test_nothing_acknowledged_is_lost_where_the_heap_was_full():
    """From each operation of the card on, one after the other."""
    wrong = {}
    with Vm(heap_kib=6000, extra_path=(HERE,)) as vm:
        vm.exec("from vm_heap_lock import *")
        at = 1
        while (losses := vm.eval(f"losses({at})")) is not None:
            if losses:
                wrong[at] = losses
            at += 1
    assert at > 300
    assert wrong == {}


def test_a_record_that_was_not_moved_is_as_it_was():
    """Its sector is written by the next deletion, and the CRC was not made yet."""
    with Vm(heap_kib=3000, extra_path=(HERE,)) as vm:
        vm.exec("from vm_store import *\nopen_box('a')")
        for number in range(3):
            vm.exec(f"deliver(['a'], b'Subject: {number}\\r\\n\\r\\n.\\r\\n')")
        before = vm.eval("listing('a')")
        vm.exec("""
index = boxes["a"].index
right = index._crc
def full(base):
    raise MemoryError
index._crc = full
moved = failed(lambda: index.relocate(1, 7, 4096))
index._crc = right
delete("a", [1])
""")
        assert vm.eval("moved") == "MemoryError"
        assert vm.eval("listing('a')") == before[1:]
        vm.exec("reopen('a')")
        assert vm.eval("listing('a')") == before[1:]
