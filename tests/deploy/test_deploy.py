"""`deploy` against the emulated board at its USB: the same code and mpremote as for a real one."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil

import pytest

from host_tools import boards, deploy_command, firmware_build, tls_identity
from host_tools.deploy import services, transfer, version
from host_tools.deploy.version import Version
from host_tools.device.flash_files import LIST, listed
from host_tools.device.prompt import Prompt
from host_tools.emulator.card_image import CardImage
from host_tools.errors import UserError
from tests.care.boards import BoardHere
from tests.deploy.usb_board import ANSWERS, UsbBoard
from tests.support.wire import Pop3, send

LETTER = b"Subject: hello\r\n\r\nIt works.\r\n"
# Where a cable is pulled: how often in `make test`, and with another seed.
CUTS = int(os.environ.get("PICOPOST_DEPLOY_CUTS", "4"))


def carries_a_letter(board: UsbBoard) -> None:
    assert send(board.smtp, LETTER).startswith(b"250")
    with Pop3(board.pop3, *ANSWERS["user"].values()) as session:
        assert session.take_all()[-1].endswith(LETTER)


@pytest.mark.parametrize("name", boards.names())
def test_from_nothing_to_a_letter(tmp_path, capsys, name):
    with UsbBoard(tmp_path, name) as board:
        board.deploy()
        board.wait_ready()
        carries_a_letter(board)
        said = capsys.readouterr().out
        assert "all 5 services answer" in said and "files sent" in said
        for secret in ("wpa secret", ANSWERS["user"]["password"]):
            assert secret not in said and secret not in str(board.events)
        # Nor what went over the raw REPL, where the TLS key did.
        assert not [event for event in board.events if "\4" in str(event.get("text"))]
        assert f"port {995:<5} +OK xyz.com" in said
        assert tls_identity.in_pairs(board.ready["tls"]) in said  # as mail programs show it
        # Nothing has changed, and nothing has to be said again.
        board.deploy(answers=None, board=None)
        board.wait_ready()
        assert "nothing of the firmware has changed\n" in capsys.readouterr().out
        carries_a_letter(board)


def test_boards_of_two_kinds_are_deployed_at_the_same_time(monkeypatch):
    build = firmware_build.build

    def build_and_be_overtaken(*given, **more):
        tree = build(*given, **more)
        monkeypatch.setattr(firmware_build, "build", build)
        version.build(boards.load("pico_w"), "x64")
        return tree

    monkeypatch.setattr(firmware_build, "build", build_and_be_overtaken)
    files = version.build(boards.load("pico_w5500"), "x64").files
    assert "lib/adafruit_wiznet5k/adafruit_wiznet5k_dhcp.mpy" in files


def changed(first: Version) -> Version:
    """Another version of the same firmware: one file other, one more, one less, another main.py."""
    files = dict(first.files)
    del files["picopost/mime/summary.mpy"]
    files["picopost/novelty.mpy"] = files["picopost/limits.mpy"]
    files["picopost/mime/dates.mpy"] = files["picopost/mime/idn.mpy"]
    return dataclasses.replace(first, files=files, main=first.main + b"# another\n")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A folder with the flash and card of a Pico W that serves; its version."""
    folder = tmp_path_factory.mktemp("deployed")
    with UsbBoard(folder) as board:
        board.deploy()
        board.wait_ready()
        with board.prompt() as prompt:
            content = prompt.read(LIST)
        board.wait_ready()
    return folder, content


def copy(deployed, tmp_path):
    """Its flash; the card is a new one, for a copy of one would not be sparse."""
    folder = tmp_path / "board"
    shutil.copytree(deployed[0], folder, symlinks=True, ignore=shutil.ignore_patterns("card.*"))
    return folder


def names(prompt) -> set[str]:
    prompt.run("import os", "it failed")
    return set(prompt.value("os.listdir('f')", "it failed"))


def test_only_what_changed_is_sent(deployed, tmp_path, monkeypatch, capsys):
    build = version.build
    monkeypatch.setattr(version, "build", lambda *given: changed(build(*given)))
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        board.deploy(answers=None)
        # idn's content is there, and so is that of limits: main.py and the list.
        assert "2 files sent" in capsys.readouterr().out
        board.wait_ready()
        with board.prompt() as prompt:
            files = listed(prompt.read(LIST))
            assert "picopost/novelty.mpy" in files
            assert names(prompt) == set(files.values())
        board.wait_ready()
        carries_a_letter(board)


def test_leftovers_that_the_next_version_needs_stay(deployed, tmp_path, monkeypatch):
    """Room is made from what neither version needs."""
    build = version.build
    monkeypatch.setattr(version, "build", lambda *given: novel(build(*given)))
    folder = copy(deployed, tmp_path)
    with UsbBoard(folder) as board:
        board.wait_ready()
        wanted = novel(build(deploy_command.boards.load("pico_w"), "x64"))
        needed = [name for name in wanted.contents if name not in deployed[1].decode()]
        with board.prompt() as prompt:
            for name in needed[:5]:
                prompt.put(f"f/{name}", wanted.contents[name], "f/new")
            for number in range(5):
                prompt.put(f"f/left{number}", bytes(4000), "f/new")
        board.wait_ready()
        told = iter((0, 1 << 20))  # too little at first
        monkeypatch.setattr(transfer, "_free", lambda prompt: next(told))
        board.deploy(answers=None)
        board.wait_ready()
        with board.prompt() as prompt:
            assert names(prompt) == set(wanted.contents)


def novel(first: Version) -> Version:
    """A version of which much is new: contents that no mpy-cross made, and are never imported."""
    noise = random.Random(7)
    files = {**first.files, **{f"picopost/new{number}.mpy": noise.randbytes(3000)
                               for number in range(10)}}
    return dataclasses.replace(first, files=files, main=first.main + b"# another\n")


@pytest.mark.timeout(600)  # a cut behind the last file is waited for as long as a board is
def test_a_pulled_cable_leaves_a_version_that_starts(deployed, tmp_path, monkeypatch):
    """At any octet that comes over it; and the next deployment is whole."""
    build = version.build
    monkeypatch.setattr(version, "build", lambda *given: novel(build(*given)))
    wanted = novel(build(deploy_command.boards.load("pico_w"), "x64"))
    with UsbBoard(copy(deployed, tmp_path / "whole")) as board:
        board.wait_ready()
        before = typed(board)
        board.deploy(answers=None)
        board.wait_ready()
        octets = typed(board) - before
    noise = random.Random(CUTS)
    # Behind the files comes the switch: half of the cuts are in the last twentieth.
    cuts = [noise.randrange(octets) for _ in range(CUTS - CUTS // 2)]
    cuts += [octets - noise.randrange(octets // 20) for _ in range(CUTS // 2)]
    found = []
    for number, cut in enumerate(cuts):
        folder = copy(deployed, tmp_path / str(number))
        with UsbBoard(folder, unplug_after=cut) as board:
            board.wait_ready()
            with pytest.raises(UserError):
                board.deploy(answers=None)
            assert board.process.wait(60) == 1
        with UsbBoard(folder) as board:
            board.wait_ready()
            carries_a_letter(board)
            with board.prompt() as prompt:
                found.append(prompt.read(LIST))
                assert set(listed(found[-1]).values()) <= names(prompt)
            board.wait_ready()
            board.deploy(answers=None)
            board.wait_ready()
            with board.prompt() as prompt:
                assert prompt.read(LIST) == wanted.list
                assert names(prompt) == set(wanted.contents)
                assert prompt.read("main.py") == wanted.main
        shutil.rmtree(folder)
    assert set(found) <= {deployed[1], wanted.list}
    print(f"{len(found)} cuts in {octets} octets: {found.count(wanted.list)} with the new version")


def typed(board: UsbBoard) -> int:
    """Octets that have come in at its port since it was plugged in."""
    return int((board.usb / "typed").read_text())


# --- what goes wrong on the board ---------------------------------------------------------------

def break_and_reset(board: UsbBoard, path: str, content: bytes) -> None:
    with board.prompt() as prompt:
        prompt.put(path, content, "broken.new")


@pytest.mark.parametrize("content, words", [
    (b"{", "settings.json is not JSON"),
    (b'{"hostnam": "x"}', "no setting is called hostnam; there are address, aliases"),
    (b'{"max_message_size": 1}', "max_message_size must be octets, 65536 to 1073741823")])
def test_broken_settings_are_safe_mode_and_deploy_repairs_them(deployed, tmp_path, content, words):
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        break_and_reset(board, "settings.json", content)
        event = board.wait_for("safe_mode")
        assert words in event["why"] and "make deploy" in event["advice"]
        if b"max" in content:
            board.deploy(settings=["max_message_size=65536"])
        else:
            # What cannot be used may be what forbids something: its owner has to agree.
            with pytest.raises(UserError, match="--yes"):
                board.deploy()
            board.wait_for("safe_mode")
            board.deploy(yes=True)
        board.wait_ready()
        carries_a_letter(board)
        with board.prompt() as prompt:
            assert prompt.read("settings.bad") == (None if b"max" in content else content)


def test_settings_that_only_micropython_reads_are_kept(deployed, tmp_path):
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        break_and_reset(board, "settings.json",
                        b'{"hostname": "xyz.com", "wifi": {"ssid": "a", "password": "pass word"}, '
                        b'"listeners": {"465": {"tls": true}},}')
        board.wait_ready()
        board.deploy(answers=None, settings=["log_subjects=true"])
        board.wait_ready()
        assert set(board.ports) == {465, 110, 995}
        with board.prompt() as prompt:
            assert json.loads(prompt.read("settings.json"))["listeners"] == {"465": {"tls": True}}


def test_accounts_that_cannot_be_read(deployed, tmp_path):
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        break_and_reset(board, "accounts.txt", b"girl:1:2\n")
        assert "accounts.txt" in board.wait_for("safe_mode")["why"]
        with pytest.raises(UserError, match="--yes"):
            board.deploy()
        board.deploy(yes=True)
        board.wait_ready()
        carries_a_letter(board)


def test_a_damaged_fault_file_keeps_nothing_from_starting(deployed, tmp_path):
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        break_and_reset(board, "fault.txt", b"\xff\xfe3\n")
        board.wait_ready()
        carries_a_letter(board)


def test_a_flash_that_takes_nothing_does_not_keep_a_failing_board_from_starting_again(
        deployed, tmp_path):
    """Its failures cannot be counted then: it tries for ever."""
    needed = listed(deployed[1])["picopost/net/server.mpy"]
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        with board.prompt() as prompt:
            prompt.run("import os\nos.mkdir('fault.txt.new')\n"
                       f"os.rename('f/{needed}', 'f/kept')", "it failed")
        for _ in range(4):
            board.wait_for("flash_fault", file="fault.txt")
        board.kill()


def test_the_firmware_of_another_board_ends_the_emulator_with_a_line(deployed, tmp_path):
    with UsbBoard(copy(deployed, tmp_path), "pico_w5500") as board:
        assert board.process.wait(60) == 1
        [line] = board.process.stderr.read().splitlines()
        assert "the firmware on it is another board's" in line and "--board" in line


def test_a_main_py_that_fails_is_repaired(deployed, tmp_path):
    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        break_and_reset(board, "main.py", b"raise ValueError('broken')\n")
        board.wait_for("console", text="ValueError: broken")
        board.deploy(answers=None)
        board.wait_ready()
        carries_a_letter(board)


def test_three_failed_starts_are_safe_mode(deployed, tmp_path, monkeypatch, capsys):
    """The reason is told, kept on the flash, and of no account for the version that comes next."""
    build = version.build

    def failing(*given):
        first = build(*given)
        return dataclasses.replace(first, files={
            path: content for path, content in first.files.items()
            if path != "picopost/net/server.mpy"})

    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        monkeypatch.setattr(version, "build", failing)
        # One line; the traceback is told beside it.
        with pytest.raises(UserError, match="safe mode: 3 starts failed.* no module.*server.*; `mak"
                           "e deploy` puts a whole version on it"):
            board.deploy(answers=None)
        assert "Traceback" in capsys.readouterr().out
        event = board.wait_for("safe_mode")
        assert "picopost.net.server" in event["why"]
        failures = [e for e in board.events if "ImportError" in str(e.get("text"))]
        assert len(failures) == 3
        with board.prompt() as prompt:
            assert b"ImportError" in prompt.read("fault.txt")
        # A reset tries again; then it is repaired.
        assert "picopost.net.server" in board.wait_for("safe_mode")["why"]
        monkeypatch.setattr(version, "build", build)
        board.deploy(answers=None)
        board.wait_ready()
        carries_a_letter(board)
        with board.prompt() as prompt:
            assert prompt.read("fault.txt") is None


def remove_card(board: BoardHere) -> None:
    board.sd_card.remove()


def close_wifi(board: BoardHere) -> None:
    board.radio.password_right = False


@pytest.mark.parametrize("trouble, event, words", [
    (remove_card, "no_card", "no card is in the slot, or its wires are loose; push it in until"),
    (close_wifi, "link_failed", "the Wi-Fi does not take its password: .*; type it again: `make")])
def test_what_keeps_it_from_serving_is_said_once_and_is_the_error(
        deployed, tmp_path, monkeypatch, trouble, event, words):
    folder = copy(deployed, tmp_path)
    CardImage.create(folder / "card.img").close()
    lines = services.lines

    def until_it_was_said_three_times(*given, **more):
        left = 3
        for line in lines(*given, **more):
            yield line
            left -= f" {event} " in line
            if not left:
                return

    monkeypatch.setattr(services, "_PATIENCE", 600)
    monkeypatch.setattr(services, "lines", until_it_was_said_three_times)
    said = []
    with BoardHere(folder) as board:
        board.ready()
        port = str(board.usb / "serial")
        with Prompt(port):
            trouble(board)
        with pytest.raises(UserError, match=f"does not serve after 600 s: {words}"):
            services.wait_ready(port, said.append)
    assert len(said) == 1 and re.match(words, said[0])


def recompiled(path: str, old: str, new: str, folder) -> bytes:
    """A file of the firmware with other source, as the VM runs it."""
    source = (firmware_build.FIRMWARE / path).with_suffix(".py").read_text()
    assert source.count(old) == 1
    (folder / "other.py").write_text(source.replace(old, new))
    target = folder / (path.replace("/", "_") + ".mpy")
    firmware_build.compile_file(folder / "other.py", target, None, path)
    return target.read_bytes()


def test_a_loop_that_stands_still_is_reset_by_the_watchdog(deployed, tmp_path, monkeypatch):
    build = version.build
    others = {"picopost/limits.mpy": recompiled("picopost/limits.py", "TIME = const(8_000)",
                                                "TIME = const(1_000)", tmp_path),
              "picopost/appliance.mpy": recompiled(
                  "picopost/appliance.py", "        if ready:\n            if office",
                  "        while ready:\n            pass\n"
                  "        if ready:\n            if office", tmp_path)}

    def hanging(*given):
        first = build(*given)
        return dataclasses.replace(first, files={**first.files, **others})

    with UsbBoard(copy(deployed, tmp_path)) as board:
        board.wait_ready()
        with pytest.raises(UserError, match="127.0.0.1 port"):  # nobody answers there
            monkeypatch.setattr(version, "build", hanging)
            monkeypatch.setattr(services, "_ANSWER", 1)
            board.deploy(answers=None)
        assert "the watchdog reset the board" in board.wait_for("safe_mode")["why"]
        assert [event["event"] for event in board.events].count("ready") >= 4  # and the first
        monkeypatch.setattr(version, "build", build)
        board.deploy(answers=None)
        board.wait_ready()
        carries_a_letter(board)
