"""The heap ends at each allocation of a delivery, and of the sweeping behind a deletion, in the VM.

No letter that was promised may be lost or changed by that, now, after more letters and after a
restart; nothing may be shown that nobody was promised, nothing may stay counted, and the card's
FAT has to be in order. What is done again at each number of free blocks goes through all places
where the heap can be full, for nothing is collected meanwhile.
"""

from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent
SOME = "deliver(['a', 'b'], letter(300)); deliver(['a'], letter(9000))"
# What is on the card before; what is done; of so many free blocks one number is tried.
SCENES = {
    "a small letter": (SOME, "Sending(['a', 'b'], letter(300, b'new'))", 3),
    "the first letter": ("", "Sending(['a', 'b'], letter(300, b'new'))", 5),
    "a large letter": (SOME, "Sending(['a', 'b'], letter(9000, b'new'))", 17),
    "an index that grows": ("[deliver(['a'], letter(0)) for _ in range(128)]",
                            "Sending(['a'], letter(300, b'new'))", 5),
    "a sparse segment": ("[deliver(['a'], letter(3000)) for _ in range(90)]; "
                         "delete('a', range(2, 86))", "Sweeping('a')", 13),
    "a sparse index": ("[deliver(['a'], letter(0)) for _ in range(150)]; "
                       "delete('a', range(2, 145))", "Sweeping('a')", 13),
}


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=7000, extra_path=(HERE,)) as machine:
        machine.exec("from vm_full_heap import *")
        yield machine


@pytest.mark.parametrize("scene", SCENES)
def test_a_full_heap_loses_nothing(vm, scene):
    before, thing, step = SCENES[scene]
    vm.exec(f"fresh(['a', 'b'])\n{before}\nsave()")
    tried, findings = vm.eval(f"play({thing}, {step})")
    assert tried > 10, "it went through at once"
    assert not findings


def test_a_module_that_found_no_room_is_loaded_the_next_time(vm):
    """MicroPython enters its name before it asks for its room: then the name has a pointer to
    nothing (here None), seen in this VM at one allocation of an import.
    """
    vm.exec("""
import sys
from picopost import load, unload
unload("picopost.store.compaction")
for name in ("picopost.store.compaction", "picopost.store.segment_scan"):
    sys.modules[name] = None
load("picopost.store.compaction")
""")
    assert vm.eval("sys.modules['picopost.store.compaction'].__name__")
    assert vm.eval("sys.modules.get('picopost.store.segment_scan') or "
                   "'picopost.store.segment_scan' not in sys.modules")
    vm.exec("unload('picopost.store.compaction'); unload('picopost.store.compaction')")
