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


def test_copy_is_what_the_card_was(card):
    flipped_bit(card)
    before = card.path.read_bytes()
    repair(card)
    assert card.path.with_name("card.img.bak").read_bytes() == before != card.path.read_bytes()


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


def test_mailbox_that_the_firmware_gives_up(card):
    """The file system is sound, and yet one account would get no mail: no room for an index."""
    with card.firmware() as vm:
        vm.exec("os.mkdir('/sd/mail/new')\n"
                "with open('/sd/FILLER.BIN', 'wb') as file:\n"
                " try:\n"
                "  while True: file.write(bytes(4096))\n"
                " except OSError: pass")
    done = run_card("repair", card.path)
    assert done.returncode == 1, done.stdout
    assert " mailbox_closed mailbox=new " in done.stdout and ": 0 errors, " in done.stdout


def test_card_that_the_firmware_cannot_use(card):
    """Blocks that are not there: one line, and no clean bill."""
    with open(card.path, "r+b") as file:
        file.truncate(card.place("mail"))
    done = run_card("repair", card.path)
    assert done.returncode == 2 and "the firmware could not finish" in done.stderr


def test_letters_from_a_pc(card, tmp_path):
    """Another program's mbox, without a blank line at its end, becomes a part of the mailbox."""
    letter = b"Subject: from a PC\n\nhello\n>From me\nthe end\n"
    with card.firmware() as vm:
        mbox = b"From pc@abc.com Mon Jan  1 00:00:00 2024\n" + letter
        vm.exec(f"f = open('/sd/mail/girl/00/0077.MBX', 'wb'); f.write({mbox!r}); f.close()")
    repair(card)
    assert len(listed(card)) == len(LETTERS) + 1
    run_card("export", card.path, "girl", "--to", tmp_path / "out", "--format", "eml")
    *_, last = sorted((tmp_path / "out").iterdir())
    assert last.read_bytes() == letter.replace(b">From", b"From").replace(b"\n", b"\r\n")


def test_mail_goes_on_after_a_repair(card):
    flipped_bit(card)
    repair(card)
    with card.firmware("girl") as vm:
        card.deliver(vm, "girl", LETTERS[0])
    assert card.check() == []
    assert len(set(listed(card))) == len(LETTERS) + 1
