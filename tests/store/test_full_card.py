"""The power goes at each block write of a letter that finds no room on the card, in the VM.

The card's clusters are of one block, so its end may come anywhere in a letter's first piece.
"""

from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent
SOME = "deliver(['a'], letter(300)); deliver(['a'], letter(9000))"
MANY = "[deliver(['a'], letter(0)) for _ in range(128)]"
# What is on the card before, the letter's octets, numbers of free clusters.
SCENES = {"the first letter": ("", 3000, (1, 4)), "the first large one": ("", 9000, (2,)),
          "a large one": (SOME, 9000, (1, 4)), "an index that grows": (MANY, 300, (2,))}


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=12000, extra_path=(HERE,)) as machine:
        machine.exec("from vm_full_heap import *\nimport vm_full_card")
        yield machine


@pytest.mark.parametrize("scene", SCENES)
def test_a_cut_where_there_is_no_room_loses_nothing(vm, scene):
    before, octets, free = SCENES[scene]
    for left in free:
        vm.exec(f"fresh(['a'])\n{before}\nvm_full_card.fill({left})\nsave()")
        cuts, findings = vm.eval(f"vm_full_card.cuts(Sending(['a'], letter({octets}, b'n')))")
        assert not findings, left
        assert cuts > 50
