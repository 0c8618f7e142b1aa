"""The guard in the VM: FatFs on a volume in RAM, and the power cut at every write."""

from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent
ENODEV, ENOSPC, EIO, EROFS = 19, 28, 5, 30
# The cluster numbers that are given out pass 256 on FAT16 and 65536 on FAT32, so that both halves
# of a number change, and a block of the FAT ends there.
VOLUMES = {"FAT16": "16, 4200", "FAT32 in a partition": "32, 66000, 63, 65536 - 300"}


@pytest.fixture
def vm():
    with Vm(heap_kib=60_000, extra_path=(HERE,)) as machine:
        machine.exec("from vm_guard import *\nfrom vm_guard_blocks import *")
        yield machine


@pytest.fixture
def blocks(vm):
    """`on` is a guard on an empty FAT16 volume; F, C, D: blocks of its FATs and of its data."""
    vm.exec("on = Blocks(16, 4200)\n"
            "F = on.volume.fat\nC = F + on.volume.fat_size\nD = on.volume.data + 100")
    return vm


@pytest.mark.parametrize("volume", VOLUMES)
def test_no_cut_breaks_the_volume(vm, volume):
    vm.exec(f"campaign = Campaign(Script(formatted({VOLUMES[volume]}), True))\ncampaign.run()")
    assert vm.eval("campaign.damages[:9]") == []
    cuts, repaired, again = vm.eval("campaign.cuts, campaign.repaired, campaign.again")
    assert cuts > 8_500 and repaired > 3_000 and again > 2_000


@pytest.mark.parametrize("volume", VOLUMES)
def test_without_the_guard_the_same_cuts_break_it(vm, volume):
    vm.exec(f"campaign = Campaign(Script(formatted({VOLUMES[volume]}), False))\n"
            "campaign.run(8, False)")
    damages = [damage for _, _, damage in vm.eval("campaign.damages")]
    for kind in ("is free", "is also of", "does not exist", "an entry is called"):
        assert any(kind in damage for damage in damages), kind


@pytest.mark.parametrize("volume", VOLUMES)
def test_a_cut_while_the_journal_is_made_harms_nobody(vm, volume):
    vm.exec(f"cuts, wrong = first_mount({VOLUMES[volume]})")
    assert vm.eval("wrong[:9]") == []
    assert vm.eval("cuts") > 50


# --- what is guarded, and what it costs -----------------------------------------------------------

def test_a_guarded_write_is_a_read_a_journal_write_and_the_write(blocks):
    for write in ("on.change(F, 40, b'\\x15\\0\\xff\\xff')", "on.change(0, 3, b'DOS')",
                  "on.change(on.volume.root, 0, b'NAME')", "on.change(D, 64, b'NAME', 1)"):
        blocks.exec(f"on.reset()\n{write}")
        block = blocks.eval("on.disk.writes[-1][0]")
        assert blocks.eval("on.written()") == ["J", block], write
        assert blocks.eval("on.disk.reads") == 1


def test_what_is_not_guarded_costs_nothing(blocks):
    for write, count in (("on.write(D, b'x' * 512)", 1), ("on.write(D, b'x' * 4096)", 8),
                         ("on.write(D, b'x' * 4096, 1)", 8), ("on.write(D, ZEROS, 1)", 1),
                         ("on.change(C, 40, b'\\x15\\0\\xff\\xff', 1)", 1)):
        blocks.exec(f"on.reset()\n{write}")
        assert blocks.eval("len(on.written())") == count, write
        assert blocks.eval("on.disk.reads") == 0


def test_what_changes_nothing_is_not_written(blocks):
    blocks.exec("on.change(F, 40, b'')\non.change(D, 0, b'', 1)")
    assert blocks.eval("on.written()") == []


def test_a_large_change_goes_to_the_journal_whole(blocks):
    """Also a FAT block of which more than fits changes, as when a large file is flushed."""
    for at in range(0, 512, 64):
        blocks.exec(f"on.reset()\nnew = on.change(F + 1, 0, bytes([{at} // 64 + 1] * ({at} + 1)))")
        journal = 1 if at < 192 else 3
        assert blocks.eval("on.written()") == [*["J"] * journal, blocks.eval("F + 1")], at
        blocks.exec("on.disk.base[F + 1] = new[:250] + on.disk.writes[-1][1][250:]")
        blocks.exec("on.write(C + 1, new)\nrepaired = on.start()")
        assert blocks.eval("repaired") == (at >= 250)
        assert blocks.eval("on.disk.get(F + 1) == new == on.disk.get(C + 1)")


# --- what the journal must not do -----------------------------------------------------------------

def test_the_journal_is_void_before_its_block_is_written_unguarded(blocks):
    """Otherwise content that happens to be the older one again would be taken for a cut."""
    for write in ("on.write(D, before)", "on.write(D - 3, ZEROS + ZEROS + ZEROS + before)",
                  "on.write(D, ZEROS, 1)"):
        blocks.exec("before = on.disk.get(D)\non.change(D, 64, b'NAME', 1)\non.reset()\n" + write)
        assert blocks.eval("on.written()[0]") == "J", write
        blocks.exec("after = on.disk.get(D)")
        assert blocks.eval("on.start()") is False
        assert blocks.eval("on.disk.get(D) == after")
        blocks.exec(f"on.reset()\n{write}")  # once is enough
        assert "J" not in blocks.eval("on.written()")
        blocks.exec("on.write(D, before)")


def test_a_structural_write_of_the_fat_is_taken_back_until_something_builds_on_it(blocks):
    """FatFs links a new cluster to a directory first and clears it then."""
    follows = {
        "pass": "old", "on.write(D, ZEROS)": "old", "on.write(D, ZEROS, 1)": "old",
        "on.write(D, b'x' * 512)": "new", "on.write(D, ZEROS * 2)": "new",
        "on.change(D, 64, b'NAME', 1)": "new", "on.guard.ioctl(3, 0)": "new",
        "on.write(D, ZEROS, 1)\non.change(D, 64, b'.', 1)": "new",
    }
    for following, stays in follows.items():
        blocks.exec("on = Blocks(16, 4200)\nold = on.disk.get(F)\n"
                    "new = on.change(F, 40, b'\\x15\\0\\xff\\xff', 1)\non.write(C, new)\n"
                    + following)
        blocks.exec("on.start()")
        assert blocks.eval(f"on.disk.get(F) == on.disk.get(C) == {stays}"), following
    blocks.exec("on = Blocks(16, 4200)\non.change(F, 40, b'\\x15\\0\\xff\\xff', 1)\non.reset()\n"
                "on.write(D, b'x' * 512)")
    assert blocks.eval("on.written()") == ["J", blocks.eval("D")]


def test_other_writes_of_the_fat_stay(blocks):
    blocks.exec("new = on.change(F, 40, b'\\x15\\0\\xff\\xff')")
    assert blocks.eval("on.start()") is True  # its copy was still to come
    assert blocks.eval("on.disk.get(F) == on.disk.get(C) == new")


def test_what_a_computer_changed_stays(blocks):
    """The journal is older then than the block that it names."""
    for change in ("new[:70] + b'!' + new[71:]", "old[:70] + b'!' + old[71:]",
                   "old[:300] + b'!' + old[301:]", "new[:0] + b'!' + new[1:]"):
        blocks.exec("on = Blocks(16, 4200)\nold = on.disk.get(D)\n"
                    "new = on.change(D, 64, b'NAMEOFFILE', 1)")
        blocks.exec(f"on.disk.base[D] = theirs = {change}")
        assert blocks.eval("on.start()") is False
        assert blocks.eval("on.disk.get(D) == theirs"), change


def test_a_write_that_never_came_is_done_at_the_next_start(blocks):
    blocks.exec("new = on.change(D, 64, b'NAMEOFFILE', 1)\non.lose(1)")
    assert blocks.eval("on.start()") is True
    assert blocks.eval("on.disk.get(D) == new")
    blocks.exec("on.reset()")
    assert blocks.eval("on.start()") is False
    assert blocks.eval("on.written()") == []


# --- mounting -------------------------------------------------------------------------------------

def why_not(vm, setup: str):
    """(errno, text) of the OSError that mounting raises."""
    vm.exec(f"{setup}\ntry:\n  Guard(disk).mount(PLACE)\n  vfs.umount(PLACE)\n  why = ()\n"
            "except OSError as error:\n  why = error.args")
    return vm.eval("why")


def test_a_journal_that_is_not_one_is_left_alone(vm):
    spoil = "\n".join(["on = Blocks(16, 4200)", "disk = on.disk", "for block in on.journal:",
                       "  disk.base[block] = b'mail' * 128"])
    assert why_not(vm, spoil) == ()
    assert vm.eval("[disk.get(block) for block in on.journal] == [b'mail' * 128] * 3")
    assert sorted(vm.eval("list(FatVolume(disk.get).tree())")) == ["/PICOPOST.JN2", "/PICOPOST.JNL"]
    more = "for block in range(on.volume.data, on.volume.data + 9): disk.base[block] = b'x' * 512"
    assert why_not(vm, more) == ()
    errno, text = why_not(vm, more)
    assert errno == EIO and "computer" in text


def test_no_room_for_the_journal(vm):
    full = """disk = formatted(16, 4200)
vfs.mount(vfs.VfsFat(disk), PLACE)
with open(PLACE + "/FULL.BIN", "wb") as file:
  for _ in range(4198): file.write(b"x" * 512)
vfs.umount(PLACE)
files = list(FatVolume(disk.get).tree())"""
    errno, text = why_not(vm, full)
    assert errno == ENOSPC and "PICOPOST.JNL" in text
    assert vm.eval("list(FatVolume(disk.get).tree()) == files")
    crowded = """disk = formatted(16, 4200)
vfs.mount(vfs.VfsFat(disk), PLACE)
for n in range(512): open(PLACE + "/%d" % n, "wb").close()
vfs.umount(PLACE)"""
    errno, text = why_not(vm, crowded)
    assert errno == ENOSPC and "PICOPOST.JNL" in text


def test_a_card_that_cannot_be_written(vm):
    protect = "disk = formatted(16, 4200)\ndisk.error = OSError(30, 'write protected')"
    assert why_not(vm, protect) == (EROFS, "write protected")
    assert why_not(vm, "disk = Blocks(16, 4200).disk\ndisk.error = OSError(30, 'no')") == ()


def test_a_card_without_a_fat_volume(vm):
    errno, text = why_not(vm, "from vm_fat_disk import Disk\ndisk = Disk(100)")
    assert errno == ENODEV and "FAT" in text
    errno, _ = why_not(vm, "disk = formatted(16, 4200, 63)\ndisk.base[63] = ZEROS")
    assert errno == ENODEV
