"""A passport in words: the same on the board and on a PC."""

import pytest

from host_tools import firmware_modules  # noqa: F401
from tests.passports.vm import open_vm

from picopost.passports import record, words  # isort: skip  (firmware_modules makes that possible)

_NOW = 1_800_000_000
_GIVEN = {"address": 0xC0A80114, "helo": b"cam-3", "letters": 412, "octets": 1_234_567_890,
          "wrote": _NOW - 600, "usual": 5704, "intervals": 400, "spread": 20, "quirks": 10,
          "refusals": 2, "refused": _NOW - 3 * 86_400, "reason": 0x8AB1F37B,
          "why": b"no such user 'cam'"}


@pytest.fixture(scope="module")
def vm():
    with open_vm() as machine:
        machine.exec("from picopost.passports import record, words")
        yield machine


def both(vm, expression: str):
    """What both Pythons make of it."""
    found = eval(expression)
    assert vm.eval(expression) == found
    return found


@pytest.mark.parametrize("seconds, said", [
    (0, "0 s"), (1, "1 s"), (59, "59 s"), (89, "1 min"), (300, "5 min"), (3600, "1 h"),
    (5400, "2 h"), (86_400, "1 day"), (259_200, "3 days")])
def test_spans(vm, seconds, said):
    assert both(vm, f"words.span({seconds})") == said


@pytest.mark.parametrize("octets, said", [
    (0, "0 octets"), (999, "999 octets"), (1200, "1.2 KB"), (14_000, "14 KB"),
    (1_234_567_890, "1.2 GB"), (5_000_000_000_000, "5000 GB")])
def test_sizes(vm, octets, said):
    assert both(vm, f"words.size({octets})") == said


def test_a_camera(vm):
    assert _said(vm, _GIVEN, "camera") == [
        "camera 192.168.1.20 (HELO cam-3): 412 letters, 1.2 GB, one each 5 min; "
        "last letter 10 min ago",
        "last refused 3 days ago: no such user 'cam'",
        "it says HELO, not EHLO, writes MAIL FROM with blanks or without angle brackets"]


def test_what_was_not_put_right_has_a_hint(vm):
    given = {**_GIVEN, "refused": _NOW, "reason": both(vm, "__import__('binascii').crc32("
                                                           "words.advice.replies.AUTH_WRONG)")}
    assert _said(vm, given)[-1].startswith("what to do: give the device an account's name")


def test_who_has_brought_nothing(vm):
    assert _said(vm, {"address": 1, "sessions": 3, "alarmed": 1}) == [
        "device 0.0.0.1: no letter so far, last seen at an unknown time", "it has gone silent"]


def _said(vm, given: dict, name: str = "") -> list[str]:
    passport = record.Passport()
    vm.exec(f"p = record.Passport()\nfor name, value in {given!r}.items():\n"
            "    setattr(p, name, value)")
    for key, value in given.items():
        setattr(passport, key, value)
    found = words.of(passport, _NOW, name)
    assert vm.eval(f"words.of(p, {_NOW}, {name!r})") == found
    return found
