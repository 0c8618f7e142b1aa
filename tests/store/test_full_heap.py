"""A heap that is full in the midst of what FatFs does: no letter is lost by it."""

from pathlib import Path

from tests.support.vm import Vm

HERE = Path(__file__).parent


def test_nothing_acknowledged_is_lost_where_the_heap_was_full():
    """From each operation of the card on, one after the other."""
    wrong = {}
    with Vm(heap_kib=6000, extra_path=(HERE,)) as vm:
        vm.exec("from vm_full_heap import *")
        at = 1
        while (losses := vm.eval(f"losses({at})")) is not None:
            if losses:
                wrong[at] = losses
            at += 1
    assert at > 300
    assert wrong == {}
