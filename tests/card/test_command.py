"""`python -m host_tools card` at the command line: what it prints, and how it ends."""

import json
import subprocess
import sys

import pytest

from host_tools.firmware_build import ROOT
from tests.card.conftest import LETTERS, run_card
from tests.card.test_check import GIRL, OWN, flip, record

BOY = "long-name.of_a-boy"


def test_clean_card(filled):
    done = run_card("check", filled.path)
    assert done.returncode == 0 and done.stderr == ""
    octets = sum(int(line.split()[3]) for line in run_card("list", filled.path).stdout.splitlines()
                 if not line.endswith(":"))
    assert done.stdout == (f"2 mailboxes, {2 * len(LETTERS) + 96} messages of {octets} octets, "
                           "4 deleted: 0 errors, 0 notes\n")


def test_findings_as_text_and_as_json(card):
    flip(card, GIRL, record(2, 3))
    done = run_card("check", card.path)
    *lines, summary = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == f"error  {GIRL}  record 2 has a bad CRC"
    assert summary.endswith(": 1 errors, 1 notes")
    done = run_card("check", card.path, "--json")
    *findings, summary = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert findings[0] == {"severity": "error", "where": GIRL, "what": "record 2 has a bad CRC"}
    assert summary["errors"] == 1 and summary["notes"] == 1 and summary["mailboxes"] == 2
    assert summary["messages"] == 2 * len(LETTERS) + 96 - 1


def test_notes_alone_are_no_failure(card):
    with card.firmware() as vm:
        vm.exec("f = open('/sd/mail/girl/00/0077.MBX', 'wb'); f.close()")
    done = run_card("check", card.path)
    assert done.returncode == 0 and "0 errors, 1 notes" in done.stdout


@pytest.mark.parametrize("action", [["check"], ["list"], ["repair"], ["export", "girl"]])
@pytest.mark.parametrize("make", [
    lambda path: None, lambda path: path.write_bytes(bytes(100_000)), lambda path: path.mkdir()])
def test_not_readable(tmp_path, action, make):
    """One line, and status 2; 1 for a repair of a folder, which the user can mend."""
    path = tmp_path / "card.img"
    make(path)
    to = ["--to", tmp_path / "out"] if action[0] == "export" else []
    done = run_card(action[0], path, *action[1:], *to)
    assert done.stdout == ""
    assert done.returncode == (1 if path.is_dir() and action[0] == "repair" else 2)
    [line] = done.stderr.splitlines()
    assert str(path) in line
    assert not path.with_name("card.img.bak").exists()


def test_list(filled):
    done = run_card("list", filled.path, "girl")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(LETTERS)
    for line, (unique_id, _), minute in zip(lines, filled.letters["girl"], range(13, 99),
                                            strict=False):
        assert line.startswith(f"  {unique_id}  2023-11-14 22:{minute}  ")
    assert lines[0].endswith("  boy@abc.com                     dots")
    assert lines[2].endswith("  André <andre@abc.com>           été é")
    assert lines[5].endswith("  boy@abc.com")
    assert "\x1b" not in done.stdout and lines[7].endswith("  ?[2Jé raw")


def test_list_of_all(filled):
    lines = run_card("list", filled.path).stdout.splitlines()
    assert lines[0] == "girl:" and lines[1 + len(LETTERS)] == f"{BOY}:"
    assert len(lines) == 2 + 2 * len(LETTERS) + 96
    lines = run_card("list", filled.path, BOY, "--all").stdout.splitlines()
    assert [number for number, line in enumerate(lines, 1) if line.startswith("D ")] == [
        2, 3, 20, 108]


def test_list_of_a_letter_that_is_gone(card):
    card.patch(card.directory_slot(OWN), b"\xe5")
    line = run_card("list", card.path, "girl").stdout.splitlines()[3]
    assert line.endswith("(its segment is missing)")


def test_list_of_a_deleted_letter_whose_place_another_has(card):
    with card.firmware("girl") as vm:
        vm.eval("delete('girl', [7])")
        vm.exec("f = open('/sd/mail/girl/00/0002.MBX', 'r+b'); head = f.read(1000); f.seek(0); "
                "f.write(head.replace(b'.00000007;', b'.00000009;')); f.close()")
    line = run_card("list", card.path, "girl", "--all").stdout.splitlines()[6]
    assert line.startswith("D ") and line.endswith("(gone)")


def test_unknown_mailbox(filled):
    done = run_card("list", filled.path, "nobody")
    assert done.returncode == 1
    assert done.stderr == ("python -m host_tools card: no mailbox nobody; there are "
                           f"girl, {BOY}\n")


def test_listing_into_a_closed_pipe(filled):
    done = subprocess.run(f"{sys.executable} -m host_tools card list {filled.path} | head -1",
                          shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "girl:\n" and done.stderr == ""
