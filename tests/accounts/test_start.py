"""What the appliance does with accounts at its start and with each card, and what stays loaded."""

import socket
from pathlib import Path

import pytest

from tests.accounts.test_files import CAT, GIRL, text
from tests.support.bench import DEVICE_MODULES
from tests.support.vm import Vm

PASSING = ("accounts_file", "card_accounts", "enrolment", "settings")


@pytest.fixture
def vm(tmp_path):
    ours, theirs = socket.socketpair()  # chips that nobody asks for anything
    with Vm(heap_kib=4000, extra_path=(DEVICE_MODULES,), emulator=theirs) as machine:
        machine.exec(f"import os, sys; os.chdir({str(tmp_path)!r})")
        machine.exec(Path(__file__).with_name("vm_files.py").read_text())
        machine.exec("from picopost import appliance, unload\n"
                     f"for name in {PASSING!r}: unload('picopost.' + name)")
        yield machine
    ours.close()
    theirs.close()


def loaded(vm) -> list[str]:
    return [name for name in PASSING if vm.eval(f"'picopost.{name}' in sys.modules")]


def test_first_and_second_start(vm, tmp_path):
    vm.exec("settings, known = appliance._configuration()")
    assert vm.eval("[event for event, _ in events]") == ["first_start"] and loaded(vm) == []
    vm.exec("settings, again = appliance._configuration()")
    assert vm.eval("len(events)") == 1 and loaded(vm) == []
    assert vm.eval("lines_of(known) == lines_of(again)")


def test_a_card_with_changes_and_one_without(vm):
    vm.exec(f"begin({text(GIRL)!r}, {text(CAT)!r}, {{}})\nknown = office.accounts")
    vm.exec("appliance._change_accounts(office)")
    assert vm.eval("sorted(known)") == ["cat", "girl"] and loaded(vm) == []
    # Where there is nothing the code for it is not loaded: its import would raise.
    vm.exec("sys.path.clear()\nappliance._change_accounts(office)")
    assert vm.eval("[event for event, _ in events]") == ["accounts_changed"]


def test_a_heap_without_room_does_not_end_the_appliance(vm):
    vm.exec(f"begin({text(GIRL)!r}, {text(CAT)!r}, {{}})")
    vm.exec("from picopost import card_accounts as fresh\n"
            "def full(office, root): raise MemoryError\n"
            "fresh.apply = full\nappliance._change_accounts(office)")
    assert vm.eval("[event for event, _ in events]") == ["accounts_refused"]
    assert loaded(vm) == [] and vm.eval("state()")[1:3] == ([GIRL], text(CAT))
    vm.exec("appliance._change_accounts(office)")
    assert vm.eval("sorted(office.accounts)") == ["cat", "girl"]
