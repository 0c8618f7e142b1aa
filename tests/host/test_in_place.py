"""`run --in-place`: the firmware runs where it lies, and the heap is the board's beside it."""

import subprocess
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from host_tools import firmware_build, vm
from host_tools.emulator import board
from host_tools.errors import UserError
from host_tools.run import asked

_MAIN = """
import gc, sys
gc.collect()
free = gc.mem_free()
from picopost import limits
import adafruit_wiznet5k
gc.collect()
print(__name__, limits.__file__, free, free - gc.mem_free())
"""
_HEAP = 64
_BLOCK = 32


def _run(folder, in_place: bool) -> tuple[str, str, int, int]:
    """__name__ of main.py, where a module came from, octets free before the firmware, and what a
    part of it took."""
    tree = firmware_build.build_for_vm()
    main = folder / "main.py"
    main.write_text(_MAIN)
    script, heap_kib, path, env = main, _HEAP, [tree, tree / "lib"], {}
    if in_place:
        script, more, env = board.in_place(tree, main)
        heap_kib, path = heap_kib + more, []
    process = vm.start(heap_kib, str(script), path=path, env=env, stdout=subprocess.PIPE, text=True)
    name, file, free, took = process.communicate(timeout=60)[0].split()
    return name, file, int(free), int(took)


def test_code_takes_less_and_the_heap_is_as_large(tmp_path):
    name, file, free, took = _run(tmp_path, True)
    loose_name, _, loose_free, loose = _run(tmp_path, False)
    assert name == loose_name == "__main__"
    assert file == "/rom/picopost/limits.mpy"
    assert took < 0.9 * loose
    # Its mounting takes 1 KB and the image's last 2 KB may; no more room is given than a board has.
    assert loose_free - 4096 < free <= loose_free + _BLOCK


@pytest.mark.parametrize("options, refused", [
    ({"usb": "folder"}, False), ({"engine": "rp2040"}, True), ({}, False)])
def test_where_it_is_for(options, refused):
    given = SimpleNamespace(**{"in_place": True, "engine": "vm", "usb": None, "user": [],
                               "settings": [], "main": None, "image": None, **options})
    with pytest.raises(UserError, match="--in-place") if refused else nullcontext():
        asked.check_engine(given, {"link": "wiznet"})
