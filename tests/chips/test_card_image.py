"""The file behind a card: sparse, lasting, formatted, and what a power cut takes from it."""

import os
import shutil
import subprocess

import pytest

from host_tools import vm as micropython_vm
from host_tools.emulator.card_image import BLOCK, DEFAULT_SIZE, JOURNAL_DEPTH, CardImage
from host_tools.emulator.fat_format import format_fat
from tests.chips.sd_host import block

MIB = 1 << 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "card.img"


def on_disk(path) -> int:
    return os.stat(path).st_blocks * 512


def test_blocks_last_and_cost_nothing_unwritten(path):
    with CardImage.create(path, DEFAULT_SIZE, formatted=False) as image:
        assert image.block_count == DEFAULT_SIZE // BLOCK
        assert image.read_blocks(image.block_count - 1) == bytes(BLOCK)
        image.write_block(image.block_count - 1, block(1))
        assert on_disk(path) < MIB
        with CardImage(path) as twin:  # written through: another reader sees it at once
            assert twin.read_blocks(twin.block_count - 1) == block(1)
    with pytest.raises(FileExistsError):
        CardImage.create(path)


def test_what_is_not_a_block_is_refused(path):
    with pytest.raises(ValueError):
        CardImage.create(path, 1000)
    with CardImage.create(path, MIB, formatted=False) as image:
        for first, count in ((-1, 1), (2048, 1), (2047, 2), (0, 0)):
            with pytest.raises(IndexError):
                image.read_blocks(first, count)
        with pytest.raises(IndexError):
            image.write_block(2048, block(0))
        with pytest.raises(ValueError):
            image.write_block(0, b"short")


def test_copy_has_the_same_content_and_holes(path, tmp_path):
    with CardImage.create(path, formatted=False) as image:
        image.write_block(5_000_000, block(1))
        with image.copy(tmp_path / "copy.img") as copy:
            assert copy.block_count == image.block_count
            assert copy.read_blocks(5_000_000) == block(1)
            assert copy.read_blocks(0, 20_000) == image.read_blocks(0, 20_000)
            copy.write_block(5_000_000, block(2))
        assert image.read_blocks(5_000_000) == block(1)
    assert on_disk(tmp_path / "copy.img") < MIB


def test_erase_zeroes_its_blocks_only(path):
    with CardImage.create(path, 8 * MIB, formatted=False) as image:
        for number in (0, 1, 2, 4097, 4098):
            image.write_block(number, block(number + 1))
        image.erase(1, 4097)
        assert image.read_blocks(0, 3) == block(1) + bytes(1024)
        assert image.read_blocks(4097, 2) == bytes(512) + block(4099)
        image.power_cut(torn=0)
        assert image.read_blocks(4097, 2) == bytes(512) + block(4099)


def test_power_cut_takes_back_in_order(path):
    with CardImage.create(path, MIB, formatted=False) as image:
        for number, content in ((1, 11), (2, 12), (1, 13), (2, 14), (1, 15)):
            image.write_block(number, block(content))
        # The last write tears over what stood there before the writes that are lost.
        image.power_cut(lose_last=3, torn=100)
        assert image.read_blocks(1) == block(15)[:100] + block(11)[100:]
        assert image.read_blocks(2) == bytes(512)
        image.power_cut(lose_last=9, torn=0)  # what survived a power cut is not lost in the next
        assert image.read_blocks(1)[100:] == block(11)[100:]


def test_power_cut_reaches_back_so_far(path):
    with CardImage.create(path, MIB, formatted=False) as image:
        for number in range(JOURNAL_DEPTH + 10):
            image.write_block(number, block(number + 1))
        for lose_last, torn in ((JOURNAL_DEPTH, None), (-1, None), (0, 513), (0, -1)):
            with pytest.raises(ValueError):
                image.power_cut(lose_last, torn)
        image.power_cut(JOURNAL_DEPTH - 1, torn=0)
        assert image.read_blocks(9, 2) == block(10) + bytes(512)


SIZES = [4 * MIB, 64 * MIB, 1024 * MIB, 2048 * MIB, DEFAULT_SIZE]


@pytest.mark.parametrize("size", SIZES)
def test_the_format_is_sparse_and_sound(path, tmp_path, size):
    with CardImage.create(path, size) as image:
        image.power_cut(JOURNAL_DEPTH - 1, torn=0)  # takes nothing back: it came formatted
        table = image.read_blocks(0)
        start, sectors = (int.from_bytes(table[at : at + 4], "little") for at in (454, 458))
        boot = image.read_blocks(start)
        if boot[82:87] == b"FAT32":
            assert image.read_blocks(start + 6, 2) == boot + image.read_blocks(start + 1)
            tables = 2 * int.from_bytes(boot[36:40], "little")
        else:
            tables = 2 * int.from_bytes(boot[22:24], "little") + 32
    first_cluster = start + int.from_bytes(boot[14:16], "little") + tables
    assert first_cluster % 64 == 0
    assert table[510:] == boot[510:] == b"\x55\xaa"
    assert start + sectors == size // BLOCK
    assert on_disk(path) < 128 * 1024
    if size == DEFAULT_SIZE:
        assert boot[82:90] == b"FAT32   " and boot[13] == 64  # 32 KB clusters
    fsck = shutil.which("fsck.vfat") or shutil.which("fsck.vfat", path="/sbin:/usr/sbin")
    if fsck:
        partition = tmp_path / "partition.img"
        with open(path, "rb") as card, open(partition, "wb") as part:
            card.seek(start * BLOCK)
            part.write(card.read(8 * MIB))
            part.truncate(sectors * BLOCK)
        done = subprocess.run([fsck, "-n", partition], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_too_small_for_fat():
    with pytest.raises(ValueError, match="no FAT fits"):
        format_fat(lambda sector, data: None, 2 * MIB // BLOCK)


MOUNT = """
import os, vfs
class Device:
    def __init__(self, path, blocks):
        self.file, self.blocks = open(path, "r+b"), blocks
    def readblocks(self, block, buffer):
        self.file.seek(block * 512)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer):
        self.file.seek(block * 512)
        self.file.write(buffer)
    def ioctl(self, request, argument):
        if request == 3:
            self.file.flush()
        return self.blocks if request == 4 else 512 if request == 5 else 0
vfs.mount(vfs.VfsFat(Device({path!r}, {blocks})), "/sd")
status = os.statvfs("/sd")
assert os.listdir("/sd") == [], os.listdir("/sd")
with open("/sd/A.TXT", "w") as file:
    file.write("x" * 100000)
vfs.umount("/sd")
print(status[0], status[2], status[3])
"""


@pytest.mark.parametrize("size", SIZES)
def test_micropython_mounts_it_and_writes(path, size):
    with CardImage.create(path, size) as image:
        blocks = image.block_count
    script = MOUNT.format(path=str(path), blocks=blocks)
    with micropython_vm.start(196, "-c", script, path=[], stdout=subprocess.PIPE, text=True) as vm:
        printed = vm.communicate(timeout=60)[0]
    assert vm.returncode == 0
    cluster, total, free = map(int, printed.split())
    assert 0.95 < cluster * total / size <= 1
    assert total - free in (0, 1)  # FAT32 keeps its root directory in a cluster
    with open(path, "rb") as file:
        assert b"x" * 1000 in file.read(16 * MIB)
