"""`card repair`: the firmware's own recovery, run on an image, and the check that follows."""

import struct

import pytest

from tests.card.conftest import LETTERS, run_card, wire
from tests.card.test_check import GIRL, SHARED, flip, record
from tests.support.vm import VmError


def repair(card, *options):
    """What the firmware logged; the card must be clean afterwards."""
    done = run_card("repair", card.path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(": 0 errors, 0 notes")
    return done.stdout


def listed(card):
    return [line.split()[0] for line in run_card("list", card.path, "girl").stdout.splitlines()]


def torn_tail(card):
    """A small letter that is on the card, and its record is not."""
    with card.firmware("girl", cut=True) as vm:
        vm.exec("boxes['girl'].index.append = None")
        with pytest.raises(VmError):
            card.deliver(vm, "girl", b"Subject: never acknowledged\r\n")


def orphan(card):
    """A large one, cut before its end."""
    with card.firmware("girl", cut=True) as vm:
        vm.eval(f"deliver(['girl'], {wire(LETTERS[6])!r}, 0, True)")


def flipped_bit(card):
    flip(card, GIRL, record(2, 3))


def torn_size(card):
    card.patch(card.directory_slot(SHARED) + 28, struct.pack("<I", 512))


@pytest.mark.parametrize("damage, event", [
    (torn_tail, "torn_tail"), (orphan, "discarded"), (flipped_bit, "rebuilding"),
    (torn_size, None)])
def test_recovery(card, damage, event):
    before = listed(card)
    damage(card)
    assert card.check()
    printed = repair(card)
    assert event is None or f" {event} mailbox=girl " in printed
    assert listed(card) == before == [unique_id for unique_id, _ in card.letters["girl"]]


def test_sound_card_stays_as_it_is(card):
    before = card.path.read_bytes()
    repair(card)
    assert listed(card)
    with open(card.path.with_name("card.img.bak"), "rb") as copy:
        assert copy.read() == before


def test_copy_is_sparse_and_never_overwritten(card):
    copy = card.path.with_name("card.img.bak")
    assert f"copy: {copy}\n" in repair(card)
    assert copy.stat().st_size == card.path.stat().st_size
    assert copy.stat().st_blocks * 512 < card.path.stat().st_size // 8
    kept = copy.read_bytes()
    torn_tail(card)
    done = run_card("repair", card.path)
    assert done.returncode == 1 and str(copy) in done.stderr and "--no-backup" in done.stderr
    assert card.check() and copy.read_bytes() == kept
    assert "copy: " not in repair(card, "--no-backup")
    assert copy.read_bytes() == kept


def test_what_the_firmware_cannot_mend_is_an_error(card):
    """A cross-linked cluster: FAT is believed."""
    cluster = card.entry("mail/girl/00/0002.MBX").cluster
    card.patch(card.directory_slot("mail/girl/00/0001.MBX") + 26, struct.pack("<H", cluster))
    done = run_card("repair", card.path)
    assert done.returncode == 1
    assert "cross-linked" in done.stdout


def test_firmware_that_gives_up(card, tmp_path):
    """A card whose blocks cannot be had: one line, not a clean bill."""
    with open(card.path, "r+b") as file:
        file.truncate(card.place("mail/girl"))
    done = run_card("repair", card.path)
    assert done.returncode in (1, 2) and "0 errors" not in done.stdout


def test_mail_goes_on_after_a_repair(card):
    flipped_bit(card)
    repair(card)
    with card.firmware("girl") as vm:
        card.deliver(vm, "girl", LETTERS[0])
    assert card.check() == []
    assert len(set(listed(card))) == len(LETTERS) + 1
