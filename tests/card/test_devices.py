"""`card devices`: what a card tells of the devices that wrote to it; and what `card check` says."""

import json

import pytest

from host_tools.firmware_build import ROOT
from tests.card.conftest import findings, new_image, run_card
from tests.passports.vm import open_vm


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A card with two passports, which the firmware has written."""
    card = new_image(tmp_path_factory.mktemp("devices") / "card.img", "fat16")
    with open_vm() as vm:
        vm.exec(f"""
import sys
sys.path.append({str(ROOT / "host_tools" / "card")!r})
import vm_repair
v.now = 1_800_000_000
begin(vm_repair.ImageDevice({str(card.path)!r}))
v.office.volume.wait_ready = nothing
for _ in range(10):
    session('192.168.1.20', b'cam-3', octets=2_000_000)
    serve(1200)
session('192.168.1.21', b'', 0, reply='AUTH_WRONG', detail="no such user 'cam\\x1b'", odd=True)
pull()
v.office.volume.sync()
v.office.volume = None
""")
    return card


@pytest.fixture
def card(known, tmp_path):
    return known.copy(tmp_path / "card.img")


def test_as_a_table(known):
    done = run_card("devices", known.path)
    assert done.returncode == 0 and done.stderr == ""
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["address", "HELO", "letters", "in", "all", "each", "last", "letter"]
    assert lines[0].split()[:2] == ["192.168.1.21", "0"] and lines[0].endswith("none")
    assert "no such user 'cam?'" in lines[1] and "\x1b" not in done.stdout
    assert "MAIL FROM with blanks" in lines[2]
    assert lines[3] == ("    what to do: give the device an account's name and password; port 25 "
                        "needs none, as it comes")
    assert lines[4].split()[:8] == ["192.168.1.20", "cam-3", "10", "20", "MB", "20", "min", "0"]


def test_as_json(known):
    nas, camera = map(json.loads, run_card("devices", known.path, "--json").stdout.splitlines())
    assert camera["letters"] == 10 and camera["octets"] == 20_000_000 and camera["regular"]
    assert camera["every"] == pytest.approx(1200, abs=5) and camera["first"] == 1_800_000_000
    assert camera["quirks"] == [] and camera["why"] == camera["advice"] == ""
    assert nas["refusals"] == 1 and nas["quirks"] == ["odd-path", "login-fails"]


def test_from_where_it_is_mounted(known, tmp_path):
    (tmp_path / "mail").mkdir()
    entry = known.entry("PICOPOST.DEV")
    data = known.peek(known.place("PICOPOST.DEV"), entry.size)
    (tmp_path / "picopost.dev").write_bytes(data)
    assert run_card("devices", tmp_path).stdout == run_card("devices", known.path).stdout


def test_a_card_without_any(filled):
    done = run_card("devices", filled.path)
    assert done.returncode == 0 and done.stdout.startswith("no devices: ")


def test_check_knows_them(known):
    assert not [each for each in findings(known.path) if "PICOPOST.DEV" in each.where]


def test_a_torn_passport_is_a_note(card):
    at = card.place("PICOPOST.DEV")
    card.patch(at + 30, b"\xff")
    [finding] = [each for each in card.check() if "PICOPOST.DEV" in each.where]
    assert finding.severity == "note" and finding.what == "passport 0 has a bad CRC, and is ignored"
    done = run_card("devices", card.path, "--json")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1


def test_a_table_that_was_cut_as_it_was_made_is_a_note(card):
    slot = card.directory_slot("PICOPOST.DEV")
    card.patch(slot + 28, (1024).to_bytes(4, "little"))
    assert [each.what for each in card.check() if "PICOPOST.DEV" in each.where] == [
        "has 1024 octets: a cut as it was made"]
