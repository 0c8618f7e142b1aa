"""`restore`: what `backup` made, onto another card, all of it or nothing."""

from __future__ import annotations

import argparse
import subprocess
import time

import pytest

from host_tools import restore_command
from host_tools.device.prompt import Talk
from host_tools.emulator.card_image import CardImage
from host_tools.errors import UserError
from tests.care.boards import (
    PATIENCE,
    Board,
    BoardHere,
    command,
    copy,
    done,
    mail_on,
    on_card,
    refused,
    tree,
)
from tests.support.appliance import ROOT
from tests.support.wire import Pop3


@pytest.fixture(scope="module")
def copy_of(deployed, tmp_path_factory):
    """A backup of the board's mail; the unique-ids and letters that POP3 shows of it."""
    folder = copy(deployed, tmp_path_factory.mktemp("source") / "board")
    with Board(folder) as board:
        board.ready()
        shown = mailbox(board)
        done("backup", *board.at, "--to", folder / "copy")
    return folder / "copy", shown


def mailbox(board) -> tuple[list[bytes], list[bytes]]:
    with Pop3(board.offset + 110, "girl", "s3cret word") as session:
        uids = session.uids()
        return list(uids.values()), [session.text(number) for number in uids]


def assert_no_mail(folder) -> None:
    """But what the firmware makes of an account."""
    assert {name[:-5] for name in mail_on(folder / "card.img")} == {"mail/girl/INDEX"}


@pytest.fixture
def blank(folder):
    """The folder of a board whose card is a new one, that has been in it once."""
    (folder / "card.img").unlink()
    with Board(folder) as board:
        board.ready()
    return folder


def test_onto_a_new_card(blank, copy_of):
    with Board(blank) as board:
        board.ready()
        said = done("restore", *board.at, "--from", copy_of[0])
        assert "read back and compared" in said
        board.ready()
        assert mailbox(board) == copy_of[1]
    assert done("card", "check", blank / "card.img").endswith("0 errors, 0 notes\n")
    assert {name.split("/")[0] for name in on_card(blank / "card.img")} == {"mail", "PICOPOST.JNL"}


def test_octet_by_octet(blank, copy_of):
    """What recovery has not touched: seen before the board starts again."""
    with BoardHere(blank) as board:
        board.ready()
        board.console.seen.clear()
        done("restore", *board.at, "--from", copy_of[0])
        board.ready()
    restored, kept = mail_on(blank / "card.img"), tree(copy_of[0])
    assert {name: octets for name, octets in restored.items() if name.endswith(".MBX")} == \
        {name: octets for name, octets in kept.items() if name.endswith(".MBX")}


def test_never_over_mail(board, copy_of):
    before = on_card(board.card)
    said = refused("restore", *board.at, "--from", copy_of[0])
    assert "the card has mail: mail/girl/00/0000.MBX" in said and "never overwritten" in said
    board.ready()
    assert on_card(board.card) == before


def test_what_is_no_backup(board, tmp_path):
    assert "no folder `mail`" in refused("restore", *board.at, "--from", tmp_path)
    (tmp_path / "mail").mkdir()
    assert "nothing in it" in refused("restore", *board.at, "--from", tmp_path)
    (tmp_path / "mail" / "link").symlink_to("/etc/passwd")
    assert "is no file" in refused("restore", *board.at, "--from", tmp_path)
    assert board.console.seen[-1]["event"] != "stopped"


def test_no_card(blank, copy_of):
    with BoardHere(blank) as board:
        board.ready()
        board.sd_card.remove()
        assert "its card cannot be read" in refused("restore", *board.at, "--from", copy_of[0])
        board.console.wait_for("no_card")


def test_a_card_that_fails(blank, copy_of):
    with BoardHere(blank) as board:
        board.ready()
        board.sd_card.faults.reject_write(300, sticky=True)
        said = refused("restore", *board.at, "--from", copy_of[0])
        assert "could not be written" in said and "SD: block" in said
        board.sd_card.faults.clear()
        board.ready()
        assert_no_mail(blank)
        done("restore", *board.at, "--from", copy_of[0])
        board.ready()
    assert "PICOPOST.NEW" not in str(list(on_card(blank / "card.img")))


def test_what_goes_wrong_over_the_wire(blank, copy_of, monkeypatch):
    def flip(talk, octets):
        send(talk, octets.replace(b"b", b"c"))

    send = Talk.send
    monkeypatch.setattr(Talk, "send", flip)
    with Board(blank) as board:
        board.ready()
        with pytest.raises(UserError, match="reads back differently"):
            restore_command.run(argparse.Namespace(port=None, usb=board.usb, folder=copy_of[0]))
        board.ready()
        assert mailbox(board) == ([], [])
    assert_no_mail(blank)


def test_a_card_that_is_too_small(folder, copy_of, tmp_path):
    (folder / "card.img").unlink()
    CardImage.create(folder / "card.img", 128 << 20).close()
    large = tmp_path / "large" / "mail" / "girl" / "00"
    large.mkdir(parents=True)
    with open(large / "0000.MBX", "wb") as file:
        file.truncate(130 << 20)
    with Board(folder) as board:
        board.ready()
        said = refused("restore", *board.at, "--from", tmp_path / "large")
        assert "are wanted on the card" in said and "are free" in said


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cable_that_is_pulled(blank, copy_of, share, monkeypatch):
    with Board(blank) as board:
        board.ready()
        size = board.card.stat().st_blocks
        restore = subprocess.Popen(command("restore", *board.at, "--from", copy_of[0]), cwd=ROOT,
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        whole = sum(map(len, tree(copy_of[0]).values())) // 512
        deadline = time.monotonic() + PATIENCE
        while board.card.stat().st_blocks - size < share * whole:
            assert time.monotonic() < deadline and restore.poll() is None
        board.kill()
        _, error = restore.communicate(timeout=PATIENCE)
    assert restore.returncode == 1 and len(error.splitlines()) == 1 and "unplug it" in error
    assert_no_mail(blank)
    with Board(blank) as board:
        board.ready()
        assert mailbox(board) == ([], [])
        done("restore", *board.at, "--from", copy_of[0])
        board.ready()
        assert mailbox(board) == copy_of[1]
