"""The files of accounts inside the VM: what is taken, the first start, changes on a card; and the
power cut at each step.
"""

import os
import re
from pathlib import Path

import pytest

from host_tools import accounts
from tests.support.vm import Vm

GIRL, BOY, CAT = (accounts.line(name, "pw") for name in ("girl", "boy", "cat"))
SALT, KEY = "00" * 16, "11" * 32


def text(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    with Vm(heap_kib=4000) as machine:
        machine.exec(f"import os; os.chdir({str(tmp_path_factory.mktemp('flash'))!r})")
        machine.exec(Path(__file__).with_name("vm_files.py").read_text())
        yield machine


@pytest.fixture
def flash(vm):
    """The flash, empty."""
    folder = Path(vm.eval("os.getcwd()"))
    for path in folder.iterdir():
        path.unlink()
    return folder


# --- what a file may say --------------------------------------------------------------------------

def test_what_the_host_writes_is_read_and_written_again(vm, flash):
    (flash / "accounts.txt").write_bytes(b"# mine\r\n\r\n" + text(GIRL, "", BOY))
    vm.exec("known = accounts_file.read()")
    assert vm.eval("list(known)") == ["girl", "boy"]
    vm.exec("accounts_file.write(known)")
    assert (flash / "accounts.txt").read_bytes() == text(GIRL, BOY)
    assert os.listdir(flash) == ["accounts.txt"]
    assert vm.eval("lets_in('boy', b'pw'), lets_in('boy', b'pw2')") == (True, False)


def test_no_file_is_no_account(vm, flash):
    assert vm.eval("len(accounts_file.read())") == 0


@pytest.mark.parametrize("lines, words", [
    ([GIRL, "boy"], "line 2: want name:"),
    ([f"boy:400:{SALT}:{KEY}:x"], "line 1: want name:"),
    ([f"boy:many:{SALT}:{KEY}"], "line 1: want name:"),
    ([f"boy:400:{SALT}:{KEY[1:]}"], "line 1: want name:"),
    (["\udcff:1:2:3"], "line 1: want name:"),
    (["", f"../x:400:{SALT}:{KEY}"], "line 2: bad name"),
    ([f"boy:0:{SALT}:{KEY}"], "iterations (1 to 1000)"),
    ([f"boy:1001:{SALT}:{KEY}"], "iterations (1 to 1000)"),
    ([f"boy:{'9' * 400}:{SALT}:{KEY}"], "iterations (1 to 1000)"),
    ([f"boy:400:{SALT[:14]}:{KEY}"], "salt"),
    ([f"boy:400:{SALT * 3}:{KEY}"], "salt"),
    ([f"boy:400:{SALT}:{KEY[2:]}"], "key"),
    ([GIRL, BOY, GIRL], "line 3: a second line for girl"),
    ([GIRL, "girl:-"], "line 2"),
    ([f"u{n}:400:{SALT}:{KEY}" for n in range(17)], "more than 16 accounts"),
    (["#" * 8192], "more than 8192 octets"),
])
def test_what_is_refused(vm, flash, lines, words):
    path = flash / "accounts.txt"
    path.write_bytes("\n".join([*lines, ""]).encode(errors="surrogateescape"))
    assert words in vm.eval("why('accounts.txt')")
    if words != "line 2" and "accounts" not in words:
        assert words in vm.eval("why('accounts.txt', True)")


def test_bounds_are_the_same_on_the_host(vm):
    assert vm.eval("limits.MAX_MAILBOXES") == accounts.MAX_ACCOUNTS
    assert vm.eval("limits.MAX_ACCOUNTS_FILE") == accounts.MAX_FILE
    assert vm.eval("enrolment.ITERATIONS") == accounts.ITERATIONS <= vm.eval(
        "limits.MAX_ITERATIONS")
    assert vm.eval("enrolment._ALPHABET") == accounts.ALPHABET


def test_names_are_the_same_on_the_host(vm):
    for name in ("a", "0", "a.b_c-d", "a" * 32, "a" * 33, "", ".a", "_a", "-a", "a.", "a-", "A",
                 "a b", "ä", "a/b", "a:b", "a\n"):
        assert vm.eval(f"accounts_file.is_name({name!r})") == accounts.is_name(name), name


# --- the first start ------------------------------------------------------------------------------

def test_first_start_makes_an_account_and_shows_its_password_once(vm, flash):
    vm.exec("del events[:]\nknown = enrolment.first_start()")
    [(event, fields)] = vm.eval("events")
    assert event == "first_start" and fields["user"] == "me"
    assert re.fullmatch(r"[a-km-np-z2-9]{4}(-[a-km-np-z2-9]{4}){2}", fields["password"])
    assert "user passwd me" in fields["advice"]
    [line] = (flash / "accounts.txt").read_text().splitlines()
    assert re.fullmatch(r"me:400:[0-9a-f]{32}:[0-9a-f]{64}", line)
    assert fields["password"] not in line
    assert vm.eval("lines_of(known) == lines_of(accounts_file.read())")
    assert vm.eval(f"lets_in('me', {fields['password'].encode()!r})")
    assert not vm.eval("lets_in('me', b'')")
    vm.exec("enrolment.first_start()")
    assert vm.eval("events[1][1]['password']") != fields["password"]


def test_first_start_cut_at_any_step(vm, flash):
    """Either the account is there, or the next start makes another: never one nobody can use."""
    vm.exec("cuts = 0")
    while True:
        for path in flash.iterdir():
            path.unlink()
        vm.exec("del events[:]\nwas_cut = cut_at(cuts, enrolment.first_start)\ncuts += 1")
        password = vm.eval("events[-1][1]['password']").encode()
        if not vm.eval("was_cut"):
            break
        assert not (flash / "accounts.txt").exists()  # nothing but the rename counts
        vm.exec("enrolment.first_start()")
        assert vm.eval("len(events)") == 2
        password = vm.eval("events[-1][1]['password']").encode()
        assert vm.eval(f"lets_in('me', {password!r})")
    assert vm.eval("cuts") == 5  # open, line, flush, rename; then none
    assert vm.eval(f"lets_in('me', {password!r})")


# --- changes on a card ----------------------------------------------------------------------------

def begin(vm, on_flash, on_card, **settings):
    vm.exec(f"begin({text(*on_flash)!r}, {text(*on_card)!r}, {settings!r})")


def test_a_card_adds_replaces_and_removes(vm, flash):
    begin(vm, [GIRL, BOY], ["# for the cupboard", CAT, "boy:-", accounts.line("girl", "new"),
                            "nobody:-"])
    vm.exec("apply()")
    heap, stored, waiting, bad = vm.eval("state()")
    assert heap == stored and [line.split(":")[0] for line in heap] == ["cat", "girl"]
    assert waiting is None and bad is None
    assert vm.eval("lets_in('girl', b'new'), lets_in('girl', b'pw')") == (True, False)
    assert vm.eval("events") == [("accounts_changed", {"set": "cat,girl",
                                                       "removed": "boy,nobody"})]
    assert vm.eval("list(office.accounts)") == ["girl", "cat"]  # the first is postmaster
    vm.exec("office.open()")
    assert vm.eval("sorted(os.listdir('/sd/mail'))") == ["cat", "girl"]
    vm.exec("office.close()")


def test_nothing_on_the_card_changes_nothing(vm, flash):
    vm.exec(f"begin({text(GIRL)!r}, None, {{}})")
    writes = vm.eval("disk.writes")
    vm.exec("apply()")
    assert vm.eval("events") == [] and vm.eval("disk.writes") == writes


@pytest.mark.parametrize("on_card, settings, words", [
    ([CAT, "nonsense"], {}, "line 2"),
    ([CAT, "girl:-"], {"catch_all": "girl"}, "the setting catch_all names girl"),
    ([CAT, "girl:-"], {"default_mailbox": "girl"}, "default_mailbox names girl"),
    ([CAT, "girl:-"], {"silence_alarm": "girl"}, "silence_alarm names girl"),
    (["girl:-"], {"aliases": {"root": ["boy", "girl"]}}, "aliases: root names girl"),
    (["girl:-", "boy:-"], {}, "no account would be left"),
    ([f"u{n}:400:{SALT}:{KEY}" for n in range(15)], {}, "more than 16 accounts"),
    ([f"boy:4000:{SALT}:{KEY}"], {}, "iterations"),
    ([CAT, CAT], {}, "a second line"),
])
def test_what_a_card_may_not_ask_for_is_put_aside(vm, flash, on_card, settings, words):
    begin(vm, [GIRL, BOY], on_card, **settings)
    vm.exec("apply()")
    assert vm.eval("state()") == (sorted([GIRL, BOY]), sorted([GIRL, BOY]), None, text(*on_card))
    [(event, fields)] = vm.eval("events")
    assert event == "accounts_refused" and words in fields["why"]
    assert SALT not in str(fields)
    vm.exec("apply()")
    assert vm.eval("len(events)") == 1
    begin_again = text("also:-", "bad")
    vm.exec(f"put('/sd/ACCOUNTS.TXT', {begin_again!r}); apply()")  # over the one before
    assert vm.eval("state()")[2:] == (None, begin_again)


def test_what_is_too_large_stays_where_it_is(vm, flash):
    begin(vm, [GIRL], ["#" * 9000])
    vm.exec("apply()")
    assert vm.eval("state()") == ([GIRL], [GIRL], text("#" * 9000), None)
    assert vm.eval("events[0][0]") == "accounts_refused"


@pytest.mark.parametrize("on_card", [[CAT], ["nonsense"]])
def test_mail_does_not_wait_for_a_full_card_or_a_full_flash(vm, flash, on_card):
    """The card is fine, and is taken into service."""
    begin(vm, [GIRL], on_card)
    vm.exec("with open('/sd/FULL', 'wb') as file:\n"
            " try:\n"
            "  while True: file.write(bytes(4096))\n"
            " except OSError: pass")
    vm.exec("def no_room(path, mode='r'):\n"
            " if 'w' in mode: raise OSError(28)\n"
            " return open(path, mode)\n"
            "accounts_file.open = no_room\n"
            "try: apply()\nfinally: accounts_file.open = flash.open")
    assert vm.eval("state()")[:3] == ([GIRL], [GIRL], text(*on_card))
    assert vm.eval("events[-1]")[0] == "accounts_refused"
    assert "stays on the card" in vm.eval("events[-1]")[1]["why"]


@pytest.mark.parametrize("on_card", [[CAT], ["nonsense"]])
def test_a_file_that_is_read_only_changes_nothing(vm, flash, on_card):
    """It could not be removed, and would be applied again at every start."""
    begin(vm, [GIRL], on_card)
    vm.exec("make_read_only()\napply()")
    assert vm.eval("state()")[:3] == ([GIRL], [GIRL], text(*on_card))
    event, fields = vm.eval("events[-1]")
    assert event == "accounts_refused" and "stays on the card" in fields["why"]
    assert "accounts_changed" not in vm.eval("[event for event, _ in events]")
    assert vm.eval("counts") == ([1, 1] if on_card != [CAT] else [])


def test_what_was_applied_and_cannot_be_removed_is_said(vm, flash):
    begin(vm, [GIRL], [CAT])
    vm.exec("def refuse(path): raise OSError(13)\n"
            "card_accounts.os.remove = refuse\n"
            "try: apply()\nfinally: del card_accounts.os.remove")
    assert vm.eval("state()") == (sorted([GIRL, CAT]), sorted([GIRL, CAT]), text(CAT), None)
    assert [event for event, _ in vm.eval("events")] == ["accounts_changed", "accounts_repeat"]
    assert "was applied" in vm.eval("events[1][1]['why']")
    assert "remove it" in vm.eval("events[1][1]['advice']")


def test_a_failing_card_is_not_taken_for_that(vm, flash):
    begin(vm, [GIRL], [CAT])
    vm.exec("disk.fail = True\ntry:\n card_accounts.apply(office, '/sd')\n caught = 0\n"
            "except OSError as error: caught = error.errno\n"
            "disk.fail = False\nstart_again()")
    assert vm.eval("caught") == 5
    assert vm.eval("state()")[:2] == ([GIRL], [GIRL])


@pytest.mark.parametrize("on_card, calls", [([CAT], 1), (["nonsense"], 2)])
def test_what_changes_the_card_is_guarded(vm, flash, on_card, calls):
    """See firmware/picopost/store/guard.py."""
    begin(vm, [GIRL], on_card)
    vm.exec("apply()")
    assert vm.eval("counts") == [1] * calls
    assert vm.eval("office.volume.structural") == 0


@pytest.mark.parametrize("on_card, after", [([CAT, "boy:-"], [CAT, GIRL]),
                                            (["boy"], [BOY, GIRL])])
def test_power_cut_at_each_step(vm, flash, on_card, after):
    """At each step on the flash and each block of the card: the old accounts or the new ones, and
    the next start brings it to its end.
    """
    old = sorted([GIRL, BOY])
    after = sorted(after)
    bad = None if after != old else text(*on_card)
    cuts = 0
    for where in ("flash.cut", "disk.cut"):
        step = 0
        while True:
            begin(vm, [GIRL, BOY], on_card)
            vm.exec("flash.steps = disk.writes = 0\n"
                    f"{where} = {step}\n"
                    "try:\n apply()\n was_cut = False\nexcept PowerCut: was_cut = True\n"
                    # Closing a file behind the cut tries to write once more.
                    "except OSError: was_cut = disk.writes == disk.cut\n"
                    "start_again()")
            heap, stored, waiting, aside = vm.eval("state()")
            assert heap == stored in (old, after)
            assert waiting == text(*on_card) or (waiting, aside, stored) == (None, bad, after)
            vm.exec("apply()")
            assert vm.eval("state()") == (after, after, None, bad)
            if not vm.eval("was_cut"):
                break
            step += 1
        cuts += step
    print(f"{cuts} cuts")
    assert cuts > 8
