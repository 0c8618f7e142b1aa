"""What was delivered comes off the card octet for octet, in every format."""

import mailbox
import re
import struct

import pytest

from tests.card.conftest import LETTERS, Card, run_card
from tests.card.test_check import GIRL, OWN, SHARED, flip, read, record, rewrite, unpack

BOY = "long-name.of_a-boy"
DELETED = {2, 3, 20, 108}


def export(card, name, to, form, *options):
    done = run_card("export", card.path, name, "--to", to, "--format", form, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(to, form):
    """The messages with CRLF line ends, in the order of the export."""
    if form == "eml":
        return [path.read_bytes() for path in sorted(to.iterdir())]
    if form == "maildir":
        # Python's names end in a counter, Q1, Q2, ...
        box = mailbox.Maildir(to, create=False)
        keys = sorted(box.keys(), key=lambda key: int(re.search(r"Q(\d+)", key)[1]))
        return [box.get_bytes(key).replace(b"\n", b"\r\n") for key in keys]
    box = mailbox.mbox(to, create=False)
    texts = [box.get_bytes(key, from_=False) for key in sorted(box.keys())]
    return [re.sub(rb"(?m)^>(>*From )", rb"\1", text).replace(b"\n", b"\r\n") for text in texts]


def split(message):
    """Our trace lines and what the client sent."""
    trace, _, content = message.partition(b" +0000\r\n")
    assert trace.startswith(b"Return-Path: <boy@abc.com>\r\nReceived: from abc.com ([192.0.2.1])")
    return trace, content


@pytest.mark.parametrize("form", ["mbox", "maildir", "eml"])
@pytest.mark.parametrize("name, deleted", [("girl", set()), (BOY, DELETED)])
def test_every_octet(filled, tmp_path, form, name, deleted):
    letters = filled.letters[name]
    printed = export(filled, name, tmp_path / "out", form)
    kept = [letter for number, letter in enumerate(letters, 1) if number not in deleted]
    assert printed == f"{len(kept)} messages\n"
    messages = [split(message) for message in contents(tmp_path / "out", form)]
    assert [content for _, content in messages] == [content for _, content in kept]
    for (trace, _), (unique_id, _) in zip(messages, kept, strict=True):
        assert f" id {unique_id};".encode() in trace


@pytest.mark.parametrize("form", ["mbox", "maildir", "eml"])
def test_deleted_ones_too(filled, tmp_path, form):
    """All of them, until the space is given back."""
    letters = filled.letters[BOY]
    assert export(filled, BOY, tmp_path / "out", form, "--all") == f"{len(letters)} messages\n"
    found = [split(message)[1] for message in contents(tmp_path / "out", form)]
    assert found == [content for _, content in letters]


def test_deleted_one_whose_segment_is_gone(card, tmp_path):
    """Nothing is wrong with that, and a segment of that number may be another message by now."""
    with card.firmware("girl") as vm:
        vm.eval("delete('girl', [4, 7])")
        vm.exec(f"os.remove('/sd/{OWN}')")
        path = "/sd/mail/girl/00/0002.MBX"
        vm.exec(f"f = open('{path}', 'r+b'); head = f.read(1000); f.seek(0); "
                "f.write(head.replace(b'.00000007;', b'.00000009;')); f.close()")
    printed = export(card, "girl", tmp_path / "out", "eml", "--all")
    assert printed == f"{len(LETTERS) - 2} messages, 2 deleted ones are gone\n"


def test_from_a_folder(filled, tmp_path):
    unpack(filled, tmp_path / "mnt")
    export(filled, "girl", tmp_path / "image", "mbox")
    export(Card(tmp_path / "mnt", {}), "girl", tmp_path / "folder", "mbox")
    assert (tmp_path / "folder").read_bytes() == (tmp_path / "image").read_bytes()


def test_times_in_a_maildir_are_the_arrivals(filled, tmp_path):
    export(filled, "girl", tmp_path / "out", "maildir")
    times = sorted(int(path.stat().st_mtime) for path in (tmp_path / "out" / "new").iterdir())
    assert times == [1_700_000_000 + 60 * number for number in range(len(LETTERS))]


@pytest.mark.parametrize("form", ["mbox", "maildir", "eml"])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_nothing_is_overwritten(filled, tmp_path, form, kind):
    to = tmp_path / "out"
    if kind == "file":
        to.write_bytes(b"mine")
    elif kind == "folder":
        to.mkdir()
    else:
        to.symlink_to(tmp_path / "elsewhere")
    done = run_card("export", filled.path, "girl", "--to", to, "--format", form)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"python -m host_tools card: {to}: File exists\n"
    assert kind != "file" or to.read_bytes() == b"mine"
    assert kind != "folder" or not list(to.iterdir())
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_letters_are_told_and_saved(card, tmp_path):
    """As much as there is: a changed letter, one whose end is lost, one that is not there."""
    at = card.peek(card.place(SHARED), 8000).index(b"J'ai")
    flip(card, SHARED, at, ord("J") ^ 10)
    rewrite(card, 4, 4, read(card, 4)[4] - 5)
    flip(card, GIRL, record(5, 6))
    card.patch(card.directory_slot(OWN) + 28, struct.pack("<I", 100))
    done = run_card("export", card.path, "girl", "--to", tmp_path / "out")
    assert done.returncode == 1 and done.stdout == f"{len(LETTERS) - 2} messages\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "mailbox girl: 1 bad records, see `card check`"
    assert lines[1].startswith("damaged: uid 3: has ")
    assert lines[2].startswith("damaged: uid 4 skipped: it ends at octet ")
    assert lines[3] == "damaged: uid 5: does not end with a blank line"
    found = contents(tmp_path / "out", "mbox")
    assert len(found) == len(LETTERS) - 2
    assert split(found[2])[1] == LETTERS[2].replace(b"J'ai", b"\r\n'ai")
    assert split(found[3])[1] == LETTERS[4][:-5] + b"\r\n"
    assert split(found[4])[1] == LETTERS[6]


def test_mailbox_without_an_index(card, tmp_path):
    card.patch(card.directory_slot(GIRL), b"\xe5")
    done = run_card("export", card.path, "girl", "--to", tmp_path / "out")
    assert done.returncode == 1 and "repair" in done.stderr
    assert not (tmp_path / "out").exists()
