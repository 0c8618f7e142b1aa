"""The file system made for a board's flash: as it is read here, and as MicroPython mounts it."""

import os
from pathlib import Path

import pytest

from host_tools import firmware_build
from tests.support.vm import Vm

pytest.importorskip("littlefs", reason="pip install -r tests/requirements.txt")

from host_tools.emulator import littlefs_image

SIZE = 1408 * 1024
FILES = {"main.py": b"print(1)\n", "empty": b"", "a/b/c.mpy": bytes(range(256)) * 40,
         "a/small": b"x" * 500, "a/larger": b"y" * 1100, "accounts.txt": b"girl:x\n"}
# In the VM: all files of the image, as ((path, data), ...), with nothing but what the rp2 port
# uses.
MOUNT = '''
import os, vfs
class Flash:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
    def readblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        assert len(buf) % 256 == 0 and offset % 256 == 0
        at = block * 4096 + offset
        for i in range(len(buf)):
            self.data[at + i] &= buf[i]
    def ioctl(self, operation, argument):
        if operation == 6:
            self.data[argument * 4096 : argument * 4096 + 4096] = b"\\xff" * 4096
        return {4: len(self.data) // 4096, 5: 4096}.get(operation, 0)
def walk(folder):
    for name, kind, _, _ in os.ilistdir(folder):
        if kind == 0x4000:
            yield from walk(folder + "/" + name)
        else:
            with open(folder + "/" + name, "rb") as file:
                yield folder + "/" + name, file.read()
'''


def mounted(vm: Vm, path: Path) -> dict[str, bytes]:
    vm.exec(MOUNT)
    vm.exec(f"flash = Flash({str(path)!r})\n"
            "vfs.mount(vfs.VfsLfs2(flash, progsize=256), '/flash')")
    return {name.removeprefix("/flash/"): data for name, data in vm.eval("list(walk('/flash'))")}


def test_it_is_read_back():
    image = littlefs_image.make(FILES, SIZE)
    assert len(image) == SIZE
    assert littlefs_image.read(image) == FILES


def test_micropython_mounts_it(tmp_path):
    path = tmp_path / "flash"
    path.write_bytes(littlefs_image.make(FILES, SIZE))
    with Vm(heap_kib=4000) as vm:
        assert mounted(vm, path) == FILES


def test_what_micropython_writes_is_read(tmp_path):
    path = tmp_path / "flash"
    path.write_bytes(littlefs_image.make(FILES, SIZE))
    with Vm(heap_kib=4000) as vm:
        mounted(vm, path)
        vm.exec("with open('/flash/accounts.new', 'wb') as file: file.write(b'boy:y\\n' * 200)\n"
                "os.rename('/flash/accounts.new', '/flash/accounts.txt')\n"
                "os.remove('/flash/a/small')\n"
                "vfs.umount('/flash')\n"
                f"with open({str(path)!r}, 'wb') as file: file.write(flash.data)")
    expected = {**FILES, "accounts.txt": b"boy:y\n" * 200}
    del expected["a/small"]
    assert littlefs_image.read(path.read_bytes()) == expected


def test_the_whole_firmware_fits_and_is_whole(tmp_path):
    tree = firmware_build.build(firmware_build.BUILD / "firmware" / "rp2040",
                                firmware_build.ARCHITECTURES["RP2040"])
    files = {file.relative_to(tree).as_posix(): file.read_bytes()
             for file in tree.rglob("*") if file.is_file()}
    path = tmp_path / "flash"
    path.write_bytes(littlefs_image.make(files, SIZE))
    with Vm(heap_kib=4000) as vm:
        assert mounted(vm, path) == files
    assert os.path.getsize(path) == SIZE


def test_no_room_is_said():
    with pytest.raises(littlefs_image.NoRoom, match="78 KiB.*64 KiB"):
        littlefs_image.make({"large": bytes(80_000)}, 64 * 1024)


@pytest.mark.parametrize("image", [b"\xff" * 65536, bytes(65536)])
def test_what_is_no_file_system_is_said(image):
    with pytest.raises(ValueError):
        littlefs_image.read(image)
