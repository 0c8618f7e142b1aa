"""Damage on a card is found and named, and a sound card has no finding."""

import os
import struct
import zlib

import pytest

from host_tools.card.finding import ERROR, NOTE, Finding
from host_tools.card.source import ImageCard
from tests.card.conftest import LETTERS, Card, fill, findings, new_image

GIRL = "mail/girl/INDEX1.PIX"
SHARED = "mail/girl/00/0000.MBX"
OWN = "mail/girl/00/0001.MBX"  # of uid 4, the first large letter


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def flip(card: Card, path: str, offset: int, mask: int = 1) -> None:
    at = card.place(path, offset)
    card.patch(at, bytes([card.peek(at, 1)[0] ^ mask]))


def record(slot: int, word: int = 0) -> int:
    """Where in an index a word of a record is."""
    return 512 + 32 * slot + 4 * word


def rewrite(card: Card, slot: int, word: int, value: int) -> None:
    """Change one word of a record and make its CRC right again."""
    at = card.place(GIRL)
    validity = struct.unpack("<I", card.peek(at + 8, 4))[0]
    card.patch(at + record(slot, word), struct.pack("<I", value))
    crc = zlib.crc32(card.peek(at + record(slot, 1), 24), validity)
    card.patch(at + record(slot, 7), struct.pack("<I", crc))


def read(card: Card, slot: int) -> tuple:
    return struct.unpack("<8I", card.peek(card.place(GIRL, record(slot)), 32))


@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32"])
def test_what_the_firmware_wrote_is_sound(tmp_path, kind):
    card = new_image(tmp_path / "card.img", kind)
    assert only(card.check()) == Finding(NOTE, "mail", "no mailbox on this card")
    fill(card)
    assert card.check() == []


# --- the index ----------------------------------------------------------------------------------

@pytest.mark.parametrize("word", range(1, 8))
def test_flipped_bit_in_a_record(card, word):
    flip(card, GIRL, record(2, word))
    assert Finding(ERROR, GIRL, "record 2 has a bad CRC") in card.check()


def test_flipped_bit_in_the_last_record(card):
    """It is whole, so it is no commit that the power cut."""
    flip(card, GIRL, record(len(LETTERS) - 1, 4))
    assert Finding(ERROR, GIRL, f"record {len(LETTERS) - 1} has a bad CRC") in card.check()


def test_half_written_last_record(card):
    card.patch(card.place(GIRL, record(len(LETTERS) - 1, 5)), bytes(12))
    what = f"record {len(LETTERS) - 1} is half written: a commit that never was"
    found = card.check()
    assert Finding(NOTE, GIRL, what) in found
    assert all(finding.severity == NOTE for finding in found), found


def test_swapped_records(card):
    first, second = (card.peek(card.place(GIRL, record(slot)), 32) for slot in (3, 4))
    card.patch(card.place(GIRL, record(3)), second + first)
    assert only(card.check()) == Finding(ERROR, GIRL, "record 4 has uid 4 after uid 5")


def test_record_of_another_mailbox(card):
    foreign = card.peek(card.place("mail/long-name.of_a-boy/INDEX1.PIX", record(2)), 32)
    card.patch(card.place(GIRL, record(2)), foreign)
    assert Finding(ERROR, GIRL, "record 2 has a bad CRC") in card.check()


def test_unknown_state(card):
    card.patch(card.place(GIRL, record(2)), b"\x4d")
    assert only(card.check()) == Finding(ERROR, GIRL, "record 2 has the unknown state 0x4d")


def test_state_that_hides_what_follows(card):
    card.patch(card.place(GIRL, record(2)), b"\0")
    assert Finding(ERROR, GIRL, f"{len(LETTERS) - 3} records behind the free record 2 are hidden, "
                   f"{len(LETTERS) - 3} of them sound") in card.check()


def test_commit_that_was_taken_back(card):
    card.patch(card.place(GIRL, record(len(LETTERS) - 1)), b"\0")
    what = f"record {len(LETTERS) - 1} was taken back before it was acknowledged"
    assert Finding(NOTE, GIRL, what) in card.check()


@pytest.mark.parametrize("offset, what", [
    (0, "the header's magic number is wrong"),
    (12, "the header's CRC is wrong"),
    (508, "the header's CRC is wrong"),
])
def test_damaged_header(card, offset, what):
    flip(card, GIRL, offset)
    assert only(card.check()) == Finding(ERROR, GIRL, what)


def test_all_of_an_index_damaged(card):
    flip(card, GIRL, 8)
    found = card.check()
    assert Finding(ERROR, GIRL, f"records 0 to {len(LETTERS) - 1} have bad CRCs") in found


def test_index_of_an_odd_size(card):
    at = card.directory_slot(GIRL) + 28
    card.patch(at, struct.pack("<I", 600))
    assert Finding(ERROR, GIRL, "600 octets are not whole sectors") in card.check()


def test_index_of_zeros(card):
    card.patch(card.place(GIRL), bytes(4096))
    assert Finding(ERROR, GIRL, "has no header") in card.check()


def test_missing_index(card):
    card.patch(card.directory_slot(GIRL), b"\xe5")
    found = card.check()
    assert any(finding.severity == ERROR and finding.where == "mail/girl"
               and finding.what.startswith("no index, ") for finding in found), found


def test_index_that_is_not_in_force(card):
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/girl/INDEX0.PIX', 'wb'); f.write(bytes(1024)); f.close()")
    assert only(card.check()) == Finding(NOTE, "mail/girl/INDEX0.PIX",
                                         "not in force: has no header")


def test_mailbox_that_was_just_made(card):
    """Cut before its index had a header: nothing was ever stored there."""
    with card.firmware() as vm:
        vm.exec("os.mkdir('/sd/mail/new')")
    assert only(card.check()) == Finding(NOTE, "mail/new", "no index, no mail")
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/new/INDEX1.PIX', 'wb'); f.write(bytes(1024)); f.close()")
    assert only(card.check()) == Finding(NOTE, "mail/new/INDEX1.PIX", "has no header")


@pytest.mark.parametrize("header", [bytes(508) + b"x", b"picp\1\0\0\0" + b"\xff" * 504])
def test_index_without_a_sound_header_never_wins(card, header):
    """Whatever generation it claims."""
    with card.firmware() as vm:
        vm.exec(f"f = open('/sd/mail/girl/INDEX0.PIX', 'wb'); f.write({header!r}); f.close()")
    assert only(card.check()).where == "mail/girl/INDEX0.PIX"


def test_newer_index_wins(card):
    """The firmware writes it beside the old one, and a cut can leave both."""
    data = bytearray(card.peek(card.place(GIRL), 4096))
    struct.pack_into("<I", data, 16, 2)
    struct.pack_into("<I", data, 508, zlib.crc32(data[:508]))
    with card.firmware() as vm:
        vm.exec(f"f = open('/sd/mail/girl/INDEX0.PIX', 'wb'); f.write({bytes(data)!r}); f.close()")
    assert only(card.check()) == Finding(NOTE, GIRL, "not in force: generation 1")


# --- records and segments ------------------------------------------------------------------------

@pytest.mark.parametrize("word, by, what", [
    (5, 1, "on the wire, the record says"),
    (4, 1, "does not end with a blank line"),
    (3, 1, "does not begin with a From_ line"),
    (2, 1 << 16, "its From_ line has"),
])
def test_record_that_tells_another_story(card, word, by, what):
    rewrite(card, 0, word, read(card, 0)[word] + by)
    assert any(finding.severity == ERROR and finding.where == SHARED
               and finding.what.startswith("uid 1 ") and what in finding.what
               for finding in card.check())


def test_overlapping_records(card):
    rewrite(card, 1, 3, read(card, 1)[3] - 20)
    assert Finding(ERROR, SHARED, "uid 2 overlaps uid 1") in card.check()


def test_record_within_another(card):
    """The next message overlaps neither its neighbour in the list nor the one before that."""
    rewrite(card, 0, 4, read(card, 0)[4] + read(card, 1)[4] + 10)
    found = card.check()
    assert Finding(ERROR, SHARED, "uid 2 overlaps uid 1") in found
    assert Finding(ERROR, SHARED, "uid 3 overlaps uid 1") in found


def test_letter_damaged(card):
    at = read(card, 1)[3] + 200
    flip(card, SHARED, at, ord(card.peek(card.place(SHARED, at), 1)) ^ 10)
    assert any(finding.where == SHARED and finding.what.startswith("uid 2 has ")
               for finding in card.check())


def test_from_line_inside_a_letter(card):
    at = card.place(SHARED)
    text = card.peek(at, 4096)
    quoted = text.index(b"\n>From me")
    card.patch(at + quoted, b"\nFrom me,")
    assert Finding(ERROR, SHARED, "uid 2 has a From_ line inside") in card.check()


def test_received_line_with_another_unique_id(card):
    at = card.place(SHARED)
    digit = card.peek(at, 4096).index(b" id ") + 4 + 16
    card.patch(at + digit, b"9")
    finding = only(card.check())
    assert finding.severity == NOTE and finding.where == SHARED
    assert finding.what.startswith("uid 1 is called ") and "00000009" in finding.what


def test_missing_segment(card):
    card.patch(card.directory_slot(OWN), b"\xe5")
    found = card.check()
    assert Finding(ERROR, OWN, "missing, with 1 message, uid 4") in found
    assert all(finding.severity == NOTE for finding in found if finding.where == "FAT")


def test_size_cut_short(card):
    card.patch(card.directory_slot(OWN) + 28, struct.pack("<I", 1000))
    assert any(finding.severity == ERROR and finding.where == OWN
               and finding.what.startswith("uid 4 cannot be read: it ends at octet ")
               for finding in card.check())


def test_orphan(card):
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/girl/00/0077.MBX', 'wb'); f.write(bytes(700)); f.close()")
    assert only(card.check()) == Finding(NOTE, "mail/girl/00/0077.MBX",
                                         "orphan: 700 octets, no record knows it")


def test_segment_where_it_does_not_belong(card):
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/girl/00/0177.MBX', 'wb'); f.write(bytes(700)); f.close()")
    assert only(card.check()) == Finding(ERROR, "mail/girl/00/0177.MBX",
                                         "a segment where none of that number belongs")


@pytest.mark.parametrize("tail, found", [(b"From half a letter\n", 1), (b"\n" * 300, 0)])
def test_tail(card, tail, found):
    with card.firmware() as vm:
        vm.exec(f"f = open('/sd/{SHARED}', 'ab'); f.write({tail!r}); f.close()")
    assert card.check() == [Finding(NOTE, SHARED, "tail: 19 octets behind the last record")][:found]


def test_what_a_person_put_there_is_left_alone(card):
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/girl/00/inbox.mbox', 'wb'); f.write(b'x'); f.close()\n"
                "f = open('/sd/mail/readme.txt', 'wb'); f.write(b'x'); f.close()\n"
                "os.mkdir('/sd/mail/.Trash-1000')")
    assert card.check() == []


def test_folder(card, tmp_path):
    """A mounted card: the same without the file system, and with the same findings."""
    flip(card, GIRL, record(2, 3))
    unpack(card, tmp_path / "mnt")
    found = findings(tmp_path / "mnt")
    assert found and found == [finding._replace(where=finding.where.lower())
                               for finding in card.check()]


def unpack(card, to):
    """Copy all files out, in lower case as some systems show them."""
    with ImageCard(card.path) as source:
        pending = [None]
        while pending:
            directory = pending.pop()
            inside = to / (directory.path.lower() if directory else "")
            os.mkdir(inside)
            for entry in source.listing(directory).values():
                if entry.is_directory:
                    pending.append(entry)
                else:
                    (to / entry.path.lower()).write_bytes(source.read(entry, 0, entry.size))
