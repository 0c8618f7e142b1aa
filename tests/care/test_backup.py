"""`backup` over USB: the card's mail, octet by octet, or none of it under its name."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from contextlib import suppress

import pytest

from host_tools import backup_command
from host_tools.device.prompt import Talk
from host_tools.errors import UserError
from tests.care.boards import (
    ANSWERS,
    PATIENCE,
    Board,
    BoardHere,
    command,
    done,
    image,
    mail_on,
    refused,
    tree,
)
from tests.care.conftest import LETTERS
from tests.support.appliance import ROOT
from tests.support.wire import Pop3, send


def test_all_of_it(board, tmp_path):
    with Pop3(board.offset + 110, "girl", "s3cret word") as session:
        session.command(b"DELE 1")
        session.quit()
    said = done("backup", *board.at, "--to", tmp_path / "copy")
    assert re.search(r"\d+ files \(\d+ KB\) are in .*copy", said)
    board.ready()
    assert tree(tmp_path / "copy") == mail_on(board.card)
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0  # mail is its owner's alone
    assert f"1 mailboxes, {len(LETTERS) - 1} messages" in done("card", "check", tmp_path / "copy")
    listed = done("card", "list", tmp_path / "copy", "girl")
    assert "large" in listed and "small" not in listed
    done("card", "export", tmp_path / "copy", "girl", "--to", tmp_path / "mbox")
    assert b"\nline 59999 of it\n" in (tmp_path / "mbox").read_bytes()


def test_it_reads_only(folder, tmp_path):
    with BoardHere(folder) as board:
        board.ready()
        board.sd_card.faults.pull(1, on="write")  # the firmware's own orderly end writes nothing
        done("backup", *board.at, "--to", tmp_path / "copy")
        assert not board.sd_card.faults.fired
        board.ready()


@pytest.mark.parametrize("there", ["copy", "copy.part"])
def test_never_over_anything(board, tmp_path, there):
    (tmp_path / there).mkdir()
    (tmp_path / there / "mine").write_text("x")
    said = refused("backup", *board.at, "--to", tmp_path / "copy")
    assert there in said and "is there" in said
    assert tree(tmp_path / there) == {"mine": b"x"}
    assert board.console.seen[-1]["event"] != "stopped"


def test_a_folder_that_cannot_be_made(board, tmp_path):
    assert "is no folder" in refused("backup", *board.at, "--to", tmp_path / "none" / "copy")


def test_no_card(folder, tmp_path):
    with BoardHere(folder) as board:
        board.ready()
        board.sd_card.remove()
        said = refused("backup", *board.at, "--to", tmp_path / "copy")
        assert "its card cannot be read" in said and "SD: " in said
        board.console.wait_for("no_card")  # it has started again
    assert list(tmp_path.glob("copy*")) == []


def test_a_card_that_fails(folder, tmp_path):
    with BoardHere(folder) as board:
        board.ready()
        board.sd_card.faults.no_read_token(400, sticky=True)
        said = refused("backup", *board.at, "--to", tmp_path / "copy")
        assert "mail/girl/00/" in said and "could not be read" in said and "SD: block" in said
        board.sd_card.faults.clear()
    assert not (tmp_path / "copy").exists()
    whole = mail_on(folder / "card.img")
    for name, octets in tree(tmp_path / "copy.part").items():
        assert whole[name] == octets


def test_what_comes_wrong_over_the_wire(board, tmp_path, monkeypatch):
    def flip(talk, count):
        octets = receive(talk, count)
        return bytes([octets[0] ^ 1]) + octets[1:] if count == 4096 else octets

    receive = Talk.receive
    monkeypatch.setattr(Talk, "receive", flip)
    with pytest.raises(UserError, match="SHA-256"):
        backup_command.run(argparse.Namespace(port=None, usb=board.usb, to=tmp_path / "copy",
                                              host=None, user=None))
    board.ready()
    assert not (tmp_path / "copy").exists()


def test_a_cable_that_is_pulled(folder, tmp_path):
    with Board(folder) as board:
        board.ready()
        backup = subprocess.Popen(command("backup", *board.at, "--to", tmp_path / "copy"), cwd=ROOT,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + PATIENCE
        while octets_in(tmp_path / "copy.part") < 300_000:
            assert time.monotonic() < deadline and backup.poll() is None
        board.kill()
        _, error = backup.communicate(timeout=PATIENCE)
    assert backup.returncode == 1 and len(error.splitlines()) == 1
    assert "could not be read" in error and "unplug it" in error
    assert not (tmp_path / "copy").exists()
    whole = mail_on(folder / "card.img")
    for name, octets in tree(tmp_path / "copy.part").items():
        assert whole[name] == octets
    with Board(folder) as board:
        board.ready()
        done("backup", *board.at, "--to", tmp_path / "another")
    assert tree(tmp_path / "another") == mail_on(folder / "card.img")


def octets_in(folder) -> int:
    """What has come so far, of which a name may go meanwhile."""
    octets = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            octets += path.stat().st_size
    return octets


@pytest.mark.parametrize("name", ["pico_w5500", "w5500_evb_pico"])
def test_other_boards(home, tmp_path, name):
    with Board(tmp_path, name) as board:
        answers = tmp_path / "answers.json"
        answers.write_text(json.dumps(ANSWERS))
        board.waits()
        done("flash", *board.at, "--yes", "--uf2", image(tmp_path))
        done("deploy", *board.at, "--reach", f"127.0.0.1:{board.offset}", "--answers", answers,
             "--board", name)
        assert send(board.offset + 25, LETTERS[0]).startswith(b"250")
        done("backup", *board.at, "--to", tmp_path / "copy")
        board.console.wait_for("stopped")
        board.ready()
    assert tree(tmp_path / "copy") == mail_on(board.card)
    assert "1 messages" in done("card", "check", tmp_path / "copy")
