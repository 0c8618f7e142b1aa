"""Images as UF2 files, and where they say that their file system is."""

import struct

import pytest

from host_tools.emulator import uf2
from tests.rp2040 import images

PROGRAM = bytes(range(256)) * 4


def test_the_flash_is_what_the_blocks_say(tmp_path):
    path = images.uf2(tmp_path / "a.uf2", PROGRAM + b"end")
    assert uf2.read(path) == PROGRAM + b"end" + b"\xff" * 253


def test_what_no_block_names_is_erased(tmp_path):
    path = images.uf2(tmp_path / "a.uf2", PROGRAM, base=uf2.FLASH_BASE + 512)
    assert uf2.read(path) == b"\xff" * 512 + PROGRAM


def _changed(data: bytes, *, at: int, word: int) -> bytes:
    return data[:at] + struct.pack("<I", word) + data[at + 4 :]


@pytest.mark.parametrize("change, words", [
    (lambda data: b"", ["no UF2"]),
    (lambda data: b"MZ" + data[2:], ["no UF2"]),
    (lambda data: data[:700], ["cut off in block 1"]),
    (lambda data: data[:-512], ["cut off", "3 of 4"]),
    (lambda data: _changed(data, at=512, word=0), ["no UF2 file from block 1 on"]),
    (lambda data: _changed(data, at=512 + 508, word=0), ["no UF2 file from block 1 on"]),
    (lambda data: _changed(data, at=512 + 16, word=477), ["no UF2 file from block 1 on"]),
    (lambda data: _changed(data, at=512 + 12, word=0x2000_0000), ["0x20000000", "not in"]),
    (lambda data: _changed(data, at=512 + 12, word=0x1020_0000), ["0x10200000", "2 MB"]),
    (lambda data: _changed(data, at=512 + 12, word=0x0FFF_FF00), ["0xfffff00", "not in"]),
    (lambda data: _changed(data, at=8, word=0x2001), ["cut off", "3 of 4"]),  # not main flash
])
def test_what_is_no_image_is_said(tmp_path, change, words):
    path = images.uf2(tmp_path / "a.uf2", PROGRAM)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(uf2.ImageError) as refused:
        uf2.read(path)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize("family, word", [(0xE48B_FF59, "0xe48bff59"), (None, "does not name")])
def test_another_chips_image_is_refused(tmp_path, family, word):
    path = images.uf2(tmp_path / "a.uf2", PROGRAM, family=family)
    with pytest.raises(uf2.ImageError, match=f"another chip.*{word}.*0xe48bff56"):
        uf2.read(path)


def test_blocks_for_another_chip_beside_ours_are_passed_over(tmp_path):
    ours = images.uf2(tmp_path / "a.uf2", PROGRAM).read_bytes()
    other = images.uf2(tmp_path / "b.uf2", b"other", family=0xE48B_FF57).read_bytes()
    (tmp_path / "both.uf2").write_bytes(other + ours)
    assert uf2.read(tmp_path / "both.uf2") == PROGRAM


@pytest.mark.parametrize("in_ram", [False, True])
def test_the_file_system_is_where_the_image_says(in_ram):
    flash = bytearray(b"\xff" * 0x1000)
    images.binary_info(flash, in_ram=in_ram)
    assert uf2.file_system(bytes(flash)) == (0xA_0000, 1408 * 1024)
    images.binary_info(flash, size=1 << 20, in_ram=in_ram)
    assert uf2.file_system(bytes(flash)) == (1 << 20, 1 << 20)


@pytest.mark.parametrize("change, words", [
    ({"tag": b"CP"}, "no MicroPython"),
    ({"address": 0x1000_0800}, "does not fit"),  # over the program
    ({"address": 0x101F_0000}, "does not fit"),  # over the end
])
def test_an_image_without_a_file_system_of_ours_is_refused(change, words):
    flash = bytearray(b"\xff" * 0x1000)
    images.binary_info(flash, **change)
    with pytest.raises(uf2.ImageError, match=words):
        uf2.file_system(bytes(flash))


@pytest.mark.parametrize("flash", [b"", b"\xff" * 256, b"\xff" * 0x1000])
def test_an_image_that_tells_nothing_is_refused(flash):
    with pytest.raises(uf2.ImageError, match="no MicroPython"):
        uf2.file_system(flash)


def test_a_pointer_to_nowhere_is_no_file_system():
    flash = bytearray(b"\xff" * 0x1000)
    images.binary_info(flash)
    struct.pack_into("<2I", flash, 0x200, 0x3000_0000, 0x3000_0000)
    with pytest.raises(uf2.ImageError, match="no MicroPython"):
        uf2.file_system(bytes(flash))
