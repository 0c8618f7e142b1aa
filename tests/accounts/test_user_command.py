"""`python -m host_tools user` on an emulated board, on a card and at a serial port."""

import json
import os
import pty
import re
import stat
import subprocess
import sys
import time

import pytest

from host_tools import accounts
from host_tools.card.source import ImageCard
from host_tools.emulator import flash as emulated
from host_tools.emulator.board import prepare_flash
from host_tools.emulator.card_image import CardImage
from host_tools.user.place import lock
from tests.support.appliance import ROOT, Appliance
from tests.support.running import Running
from tests.support.serial_board import SerialBoard
from tests.support.wire import Pop3, send

USER = [sys.executable, "-m", "host_tools", "user"]
MADE = re.compile(r"password of (\S+): ([a-km-np-z2-9]{4}-[a-km-np-z2-9]{4}-[a-km-np-z2-9]{4})")


def user(*arguments, password: str = ""):
    """The finished command; `password` is the line that it reads."""
    return subprocess.run([*USER, *map(str, arguments)], cwd=ROOT, text=True, capture_output=True,
                          input=password + "\n", timeout=60)


def done(*arguments, password: str = "") -> str:
    """What it printed, when all went well."""
    result = user(*arguments, password=password)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return result.stdout


def refused(*arguments, password: str = "") -> str:
    """Its one line of an error."""
    result = user(*arguments, password=password)
    assert result.returncode == 1 and result.stdout == ""
    [line] = result.stderr.splitlines()
    return line


def logs_in(appliance, name, password) -> bool:
    try:
        Pop3(appliance.pop3, name, password).quit()
        return True
    except AssertionError:
        return False


@pytest.fixture
def flash(tmp_path):
    """A flash with one account, as a stopped board leaves it."""
    folder = tmp_path / "card.flash"
    folder.mkdir()
    (folder / "accounts.txt").write_text(accounts.line("girl", "s3cret") + "\n")
    (folder / "board.json").write_text("{}")
    return folder


# --- all places -----------------------------------------------------------------------------------

@pytest.fixture(params=["flash", "port", "plain port"])
def place(request, flash):
    """The options of a place with accounts, none of which is a card."""
    if request.param == "flash":
        yield ["--flash", flash]
    else:
        with SerialBoard(flash, paste=request.param == "port") as board:
            yield ["--port", board.port]


def test_add_passwd_list_remove(flash, place):
    assert done("list", *place) == "girl\n"
    assert "boy is added" in done("add", "boy", *place, password="pa55 wörd")
    assert done("list", *place) == "girl\nboy\n"
    before = (flash / "accounts.txt").read_text().splitlines()
    printed = done("passwd", "girl", *place)
    assert MADE.match(printed)[1] == "girl" and "girl has another password" in printed
    after = (flash / "accounts.txt").read_text().splitlines()
    assert after[0] != before[0] and after[1] == before[1]
    assert "its mail stays on the card" in done("remove", "girl", *place)
    assert (flash / "accounts.txt").read_text().splitlines() == [before[1]]
    assert "the next start makes `me`" in done("remove", "boy", *place)
    assert done("list", *place) == ""
    assert sorted(path.name for path in flash.iterdir()) == ["accounts.txt", "board.json"]


@pytest.mark.parametrize("arguments, words", [
    (["add", "girl"], "girl already"),
    (["passwd", "boy"], "no account boy; there are girl"),
    (["remove", "boy"], "no account boy; there are girl"),
])
def test_what_it_refuses(flash, place, arguments, words):
    before = (flash / "accounts.txt").read_bytes()
    assert words in refused(*arguments, *place)
    assert (flash / "accounts.txt").read_bytes() == before


@pytest.fixture(params=["flash", "folder", "image"])
def shared(request, flash, tmp_path):
    """(options of a place that several may change, one of its locked objects)"""
    if request.param == "flash":
        return ["--flash", flash], flash.parent
    if request.param == "folder":
        return ["--card", flash], flash
    card = tmp_path / "other.img"
    CardImage.create(card).close()
    return ["--card", card], card


def begin(*arguments):
    return subprocess.Popen([*USER, *map(str, arguments)], cwd=ROOT, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_no_change_undoes_another(shared):
    """Both come to their password in the same moment, and the lock is held then."""
    place, locked = shared
    processes = [begin("add", name, *place) for name in ("cat", "dog")]
    with lock(locked):
        for process in processes:
            process.stdin.write("x\n")
            process.stdin.flush()
        time.sleep(1.5)  # either way of working is where it waits
        assert [process.poll() for process in processes] == [None, None]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    assert {"cat", "dog"} <= {line.split()[0] for line in done("list", *place).splitlines()}


@pytest.mark.parametrize("action, name, meanwhile, words", [
    ("add", "boy", "add", "boy already"), ("passwd", "girl", "remove", "no account girl")])
def test_what_changed_at_the_prompt_counts(flash, action, name, meanwhile, words):
    process = begin(action, name, "--flash", flash)
    time.sleep(1)  # it has come to its password, or reads later still
    done(meanwhile, name, "--flash", flash, password="x")
    after = (flash / "accounts.txt").read_bytes()
    assert words in process.communicate("y\n", timeout=60)[1]
    assert (flash / "accounts.txt").read_bytes() == after


def test_a_board_serves_mail_while_the_password_is_typed(flash):
    with SerialBoard(flash) as board:
        process = begin("passwd", "girl", "--port", board.port)
        time.sleep(1)
        assert board.diary(0) == []
        process.communicate("y\n", timeout=60)
        assert board.diary() == ["stopped", "reset"]


@pytest.mark.parametrize("arguments, password, words", [
    (["add", "../etc"], "", "no account name"),
    (["add", "Boy"], "", "no account name"),
    (["add", "boy"], "x" * 249, "248 octets"),
    (["list", "--port", "/dev/ttyNONE"], "", "no port /dev/ttyNONE"),
    (["list", "--board", "toaster"], "", "pico_w5500"),
    (["list", "--flash", "/nowhere"], "", "/nowhere is no folder"),
    (["list", "--card", "/nowhere.img"], "", "/nowhere.img"),
])
def test_one_line_says_what_is_wrong(flash, arguments, password, words):
    places = [] if len(arguments) > 2 else ["--flash", flash]
    assert words in refused(*arguments, *places, password=password)


def test_no_more_than_a_board_has_room_for(flash):
    lines = "".join(accounts.line(f"u{n}", "x") + "\n" for n in range(accounts.MAX_ACCOUNTS))
    (flash / "accounts.txt").write_text(lines)
    assert "16 accounts already" in refused("add", "boy", "--flash", flash)


def test_removing_whom_a_setting_names_is_refused(flash, place):
    settings = {"catch_all": "girl", "aliases": {"root": ["girl"], "x": "boy", "girl": "boy"},
                "silence_alarm": "girl",
                "notices": [{"mailbox": "boy", "led": True}, {"mailbox": "girl", "led": True}, {}]}
    (flash / "settings.json").write_text(json.dumps(settings))
    before = (flash / "accounts.txt").read_bytes()
    said = refused("remove", "girl", *place)
    assert ("girl is named by the setting catch_all, silence_alarm, aliases: root, notices: mailbox"
            in said and "Change it first (" in said and "--set KEY=JSON" in said)
    assert (flash / "accounts.txt").read_bytes() == before


@pytest.mark.parametrize("settings, words", [
    ("[]", "no JSON object"), ('{"aliases": null}', "aliases is no object"), ("{", "no JSON (")])
def test_settings_that_are_none_are_told_before_anything_is_removed(flash, place, settings, words):
    (flash / "settings.json").write_text(settings)
    before = (flash / "accounts.txt").read_bytes()
    line = refused("remove", "girl", *place)
    assert words in line and "settings.json" in line
    assert (flash / "accounts.txt").read_bytes() == before


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_password_that_is_not_utf8(flash, locale):
    result = subprocess.run([*USER, "passwd", "girl", "--flash", str(flash)], cwd=ROOT,
                            input=b"p\xe4ss\n", capture_output=True, timeout=60,
                            env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0",
                                 "PYTHONIOENCODING": "utf-8:strict" if locale != "C" else ""})
    [line] = result.stderr.splitlines()
    assert result.returncode == 1 and b"password of girl is not utf-8" in line.lower()


def test_at_a_terminal_it_asks_twice(flash):
    def typed(*lines):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([*USER, "passwd", "girl", "--flash", str(flash)], cwd=ROOT,
                                   stdin=theirs, stdout=theirs, stderr=theirs,
                                   start_new_session=True)
        os.close(theirs)
        shown = b""
        try:
            for prompt, line in (*lines, (None, None)):
                while prompt is None or prompt not in shown:
                    try:
                        octets = os.read(ours, 1000)
                    except OSError:  # EIO: it has ended
                        break
                    shown += octets
                if line is not None:
                    os.write(ours, line + b"\n")
        finally:
            os.close(ours)
            status = process.wait(60)
        return status, shown

    before = (flash / "accounts.txt").read_text()
    status, shown = typed((b"New password of girl", b"s3cret1"), (b"Once more", b"s3cret2"))
    assert status == 1 and b"two different" in shown
    assert (flash / "accounts.txt").read_text() == before
    status, shown = typed((b"New password of girl", b"s3cret1"), (b"Once more", b"s3cret1"))
    assert status == 0 and b"s3cret" not in shown
    assert (flash / "accounts.txt").read_text() != before
    status, shown = typed((b"New password of girl", b""),)
    assert status == 0 and MADE.search(shown.decode())


# --- the emulated board ---------------------------------------------------------------------------

def test_emulated_board_has_them_at_its_next_start(tmp_path):
    card = tmp_path / "card.img"
    flash = emulated.beside(card)
    with Appliance(card, users={"girl": "pw"}) as appliance:
        printed = done("add", "boy", "--flash", flash, password="pa55")
        assert "is running" in printed and "next start" in printed
        assert not logs_in(appliance, "boy", "pa55")
    assert "running" not in done("passwd", "girl", "--flash", flash, password="new")
    with Appliance(card, users={}) as appliance:
        assert logs_in(appliance, "boy", "pa55") and logs_in(appliance, "girl", "new")
        assert not logs_in(appliance, "girl", "pw")
        send(appliance.smtp, b"x\r\n", to=(b"boy@xyz.com",))
    with Appliance(card, users={"cat": "x"}) as appliance:  # these, and no others
        assert logs_in(appliance, "cat", "x") and not logs_in(appliance, "boy", "pa55")


def test_flash_is_for_its_owner_alone(tmp_path):
    """Also one of an older version, and what the firmware writes there."""
    card = tmp_path / "card.img"
    flash = emulated.beside(card)
    flash.mkdir()
    flash.chmod(0o755)
    (flash / "accounts.txt").write_text(accounts.line("girl", "pw") + "\n")
    (flash / "accounts.txt").chmod(0o644)

    def modes():
        return [stat.S_IMODE(path.stat().st_mode) for path in (flash, flash / "accounts.txt")]

    prepare_flash(flash, {}, {}, None)
    assert modes() == [0o700, 0o600]
    CardImage.create(card).close()
    done("add", "boy", "--card", card, password="x")
    with Appliance(card, users={}) as appliance:
        assert "accounts_changed" in str(appliance.events)
    assert modes() == [0o700, 0o600]


def test_no_two_boards_with_one_card(tmp_path):
    card = tmp_path / "card.img"
    with Appliance(card):
        result = subprocess.run([sys.executable, "-m", "host_tools", "run", "--card", str(card)],
                                cwd=ROOT, text=True, capture_output=True, timeout=60)
        assert result.returncode == 1 and "another emulated board" in result.stderr
        assert "stop it first" in refused("add", "boy", "--card", card)


# --- a card ---------------------------------------------------------------------------------------

def test_card_image_brings_them(tmp_path):
    card = tmp_path / "card.img"
    with Appliance(card, users={"girl": "pw", "boy": "pa55"}):
        pass
    place = ["--card", card]
    assert done("list", *place) == ""
    assert "waits on the card" in done("add", "cat", *place, password="meow")
    done("passwd", "girl", *place, password="new")
    assert "waits on the card" in done("remove", "boy", *place)
    assert done("list", *place) == ("cat  is added, or gets another password\n"
                                    "girl  is added, or gets another password\nboy  is removed\n")
    with Appliance(card, users={}) as appliance:
        [changed] = [event for event in appliance.events if event["event"] == "accounts_changed"]
        assert changed["set"] == "cat,girl" and changed["removed"] == "boy"
        assert appliance.events.index(changed) < appliance.events.index(appliance.ready)
        assert logs_in(appliance, "cat", "meow") and logs_in(appliance, "girl", "new")
        assert not logs_in(appliance, "boy", "pa55") and not logs_in(appliance, "girl", "pw")
        assert "meow" not in str(appliance.events)
    assert done("list", *place) == ""
    with Appliance(card, users={}) as appliance:
        assert "accounts_changed" not in str(appliance.events)
        assert logs_in(appliance, "cat", "meow")


def test_card_put_in_while_the_board_runs(tmp_path):
    """Sessions and mail of who stays go on; who comes with it is known from then on."""
    with Running(tmp_path) as running:
        running.wait_for("ready")
        assert send(running.smtp, b"x\r\n", to=(b"cat@xyz.com",)).startswith(b"550")
        running.board.sd_card.remove()
        running.wait_for("card_lost")
        done("add", "cat", "--card", tmp_path / "card.img", password="meow")
        running.board.sd_card.insert()
        running.wait_for("accounts_changed", set="cat")
        running.wait_for("card_back")
        assert send(running.smtp, b"x\r\n", to=(b"cat@xyz.com", b"girl@xyz.com")).startswith(b"250")
        for name, password in (("cat", "meow"), ("girl", "pw")):
            reader = Pop3(running.pop3, name, password)
            assert len(reader.sizes()) == 1
            reader.quit()


def test_card_that_would_take_a_needed_account_away(tmp_path):
    card = tmp_path / "card.img"
    CardImage.create(card).close()
    done("remove", "girl", "--card", card)
    with Appliance(card, users={"girl": "pw", "boy": "x"},
                   settings={"default_mailbox": "girl"}) as appliance:
        [refusal] = [event for event in appliance.events if event["event"] == "accounts_refused"]
        assert "default_mailbox" in refusal["why"]
        assert logs_in(appliance, "girl", "pw")
    with ImageCard(card) as image:
        names = image.listing()
    assert "ACCOUNTS.BAD" in names and "ACCOUNTS.TXT" not in names


def test_folder_where_a_card_is_mounted(tmp_path):
    place = ["--card", tmp_path]
    (tmp_path / "accounts.txt").write_text("boy:-\n")
    done("add", "cat", *place, password="meow")
    [path] = tmp_path.iterdir()
    lines = path.read_text().splitlines()
    assert path.name == "accounts.txt" and lines[0] == "boy:-" and lines[1].startswith("cat:400:")
    path.unlink()
    done("remove", "boy", *place)
    assert (tmp_path / "ACCOUNTS.TXT").read_text() == "boy:-\n"
    (tmp_path / "ACCOUNTS.TXT").write_text("what is this\n")
    assert "line 1" in refused("list", *place)


def test_what_is_no_card(tmp_path):
    (tmp_path / "card.img").write_bytes(bytes(100_000))
    assert "no FAT file system" in refused("add", "boy", "--card", tmp_path / "card.img")


# --- a board at a port ----------------------------------------------------------------------------

@pytest.mark.parametrize("running", [True, False])
def test_firmware_is_ended_in_order_and_runs_again(flash, running):
    with SerialBoard(flash, running) as board:
        assert "starts again" in done("add", "boy", "--port", board.port, password="x")
        assert board.diary() == ["stopped", "reset"][not running:]
        assert done("list", "--port", board.port) == "girl\nboy\n"
        refused("add", "boy", "--port", board.port)
        assert board.diary(3) == ["stopped", "reset"] * 3 if running else ["reset"] * 3


def test_a_flash_that_takes_nothing_leaves_the_board_running(flash):
    before = (flash / "accounts.txt").read_bytes()
    (flash / "accounts.new").mkdir()
    with SerialBoard(flash) as board:
        line = refused("add", "boy", "--port", board.port, password="x")
        assert "the accounts are as they were" in line and "unplug" not in line
        assert board.diary() == ["stopped", "reset"]
    assert (flash / "accounts.txt").read_bytes() == before


def test_another_gadget_is_left_alone(flash):
    (flash / "board.json").unlink()
    (flash / "accounts.txt").unlink()
    with SerialBoard(flash) as board:
        assert "no picopost" in refused("add", "boy", "--port", board.port)
        assert board.diary() == ["stopped", "reset"]
    assert list(flash.iterdir()) == []


def test_a_port_where_nobody_answers(flash):
    ours, theirs = pty.openpty()
    try:
        line = refused("list", "--port", os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert "no MicroPython answers" in line


def test_unplugged_at_any_moment(flash):
    """The old file or the new one, whole."""
    path = flash / "accounts.txt"
    before = path.read_bytes()
    commands = 0
    while True:
        with SerialBoard(flash, dies_at=commands) as board:
            result = user("add", "boy", "--port", board.port, password="pa55")
            if "died" not in board.diary():
                break
        lines = path.read_bytes().splitlines(keepends=True)
        assert len(result.stderr.splitlines()) == (result.returncode == 1)
        assert result.returncode == 0 or "mail is down: unplug it" in result.stderr
        assert b"".join(lines) == before or (lines[0] == before and len(lines) == 2)
        path.write_bytes(before)
        commands += 1
    assert result.returncode == 0 and commands > 10
