"""`boards/manifest.py`: MicroPython's build freezes exactly the firmware."""

import os
from pathlib import Path

import pytest

from host_tools import firmware_build
from tests.support.vm import Vm

_MANIFEST = Path(__file__).parents[2] / "boards" / "manifest.py"
_BOARD = "$(BOARD_DIR)/manifest.py"


class Manifest:
    """MicroPython's functions of a manifest (docs/reference/manifest.rst), as far as ours calls
    them: `frozen` is [(file, name on the device)], `included` other manifests."""

    def __init__(self, text: str):
        self.frozen: list[tuple[Path, str]] = []
        self.included: list[str] = []
        exec(text, {"include": self.included.append, "package": self._package,
                    "module": self._module})

    def _add(self, base_path: str, inside: Path) -> None:
        # Paths are the manifest's.
        file = Path(os.path.abspath(_MANIFEST.parent / base_path)) / inside
        assert file.is_file(), file
        self.frozen.append((file, inside.as_posix()))

    def _package(self, name: str, files=None, base_path: str = ".") -> None:
        root = Path(os.path.abspath(_MANIFEST.parent / base_path))
        for inside in (sorted((root / name).rglob("*.py")) if files is None else
                       [root / name / file for file in files]):
            self._add(base_path, inside.relative_to(root))

    def _module(self, file: str, base_path: str = ".") -> None:
        self._add(base_path, Path(file))


@pytest.fixture
def manifest(monkeypatch):
    monkeypatch.chdir(_MANIFEST.parent)  # where MicroPython's build runs it
    return Manifest(_MANIFEST.read_text())


def test_it_freezes_the_firmware_and_nothing_else(manifest):
    wanted = sorted((inside.removeprefix("lib/") + ".py", os.path.realpath(source))
                    for source, inside in firmware_build.device_files())
    found = {name: file for file, name in manifest.frozen}
    # And beside it what says which it is.
    assert firmware_build.stamp() in found.pop("picopost_stamp.py").read_text()
    assert sorted((name, os.path.realpath(file)) for name, file in found.items()) == wanted
    # And what the board's own image has: its file system, asyncio, and the networking bundle.
    assert manifest.included == [_BOARD]


def test_main_is_not_frozen(manifest):
    """A frozen main.py would run in the place of the one on the flash, which nobody could mend."""
    names = [name for _, name in manifest.frozen]
    assert "main.py" not in names and "boot.py" not in names


def test_main_finds_what_is_frozen(tmp_path):
    """Without files.txt nothing is put before what is in the image, and board.json is the flash's.
    """
    main = (firmware_build.FIRMWARE / "main.py").read_text()
    with Vm() as vm:
        vm.exec(f"import os, sys; os.chdir({str(tmp_path)!r}); path = sys.path[:]")
        vm.exec("class Machine:\n WDT_RESET = 3\n reset_cause = lambda self: 1\n"
                "sys.modules['machine'] = Machine()")
        vm.exec("from picopost import appliance\nstarted = []\n"
                "appliance.main = lambda *arguments: started.append(arguments[0])")
        vm.exec(main)
        assert vm.eval("started") == ["board.json"]
        assert vm.eval("sys.path == path")
