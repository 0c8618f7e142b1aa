"""The accounts file on the board's own file system, LittleFS, with the power cut at each write."""

from pathlib import Path

from tests.support.vm import Vm


def test_power_cut_at_each_write_of_the_flash():
    """The old accounts or the new ones; which, changes once."""
    with Vm(heap_kib=4000) as vm:
        vm.exec(Path(__file__).with_name("vm_littlefs.py").read_text())
        vm.exec("old = {'girl': (400, bytes(16), bytes(32))}\n"
                "new = {'girl': (400, bytes(16), b'1' * 32), 'boy': (400, bytes(16), bytes(32))}\n"
                "cuts, found = campaign(old, new)")
        cuts, found = vm.eval("(cuts, found)")
    print(cuts, found)
    assert set(found) == {"old", "new"}
    half = found.index("new") + 1
    assert found[:half] == ["old"] * (half - 1) + ["new"]
    assert found[half:] == ["old"] * (len(found) - half - 1) + ["new"]
    assert cuts >= 4
