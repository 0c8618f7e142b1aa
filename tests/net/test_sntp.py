"""The clock: SNTP's answers in the VM, and boards whose router tells the time, or does not."""

from __future__ import annotations

import calendar
import struct
import threading

import pytest

from host_tools import accounts, boards, events
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.ntp_server import NtpServer
from tests.support.ports import free_port_offset
from tests.support.vm import Vm, VmError

ASKED = bytes(40) + b"nonce567"
TO_1970 = 2_208_988_800


def answer(first=0x24, stratum=2, originate=ASKED[40:], stamp=1_795_951_372 + TO_1970, size=48):
    fraction = 1 if stamp else 0
    return struct.pack(">BB22x8s8xII", first, stratum, originate, stamp & 0xFFFFFFFF,
                       fraction)[:size]


@pytest.fixture(scope="module")
def vm():
    with Vm() as vm:
        vm.exec("from picopost.net import sntp")
        yield vm


def seconds(vm, octets):
    return vm.eval(f"sntp.seconds({octets!r}, {ASKED!r})")


@pytest.mark.parametrize("moment", ["2026-11-29 11:22:52", "2036-02-07 06:28:15",
                                    "2036-02-07 06:28:16", "2099-12-31 23:59:59"])
def test_the_time_of_an_answer(vm, moment):
    """The seconds of NTP begin anew in 2036."""
    year, month, day, hour, minute, second = map(
        int, moment.replace("-", " ").replace(":", " ").split())
    stamp = calendar.timegm((year, month, day, hour, minute, second))
    assert seconds(vm, answer(stamp=stamp + TO_1970)) == stamp


@pytest.mark.parametrize("octets, words", [
    (answer(size=47), "no answer of a time server"), (answer(first=0x23), "no answer of a time"),
    (b"", "no answer of a time"), (answer(originate=b"nonce568"), "to another question"),
    (answer(first=0xE4), "does not know the time"), (answer(stratum=0), "does not know the time"),
    (answer(stratum=16), "does not know the time"), (answer(stamp=0), "does not know the time")])
def test_what_is_no_time(vm, octets, words):
    with pytest.raises(VmError, match=words):
        seconds(vm, octets)


def test_the_emulated_server_is_understood(vm):
    question = vm.eval("bytes(sntp.question())")
    assert question[0] == 0x23 and len(question) == 48
    assert vm.eval("bytes(sntp.question())") != question
    got = vm.eval(f"sntp.seconds({NtpServer().answer(question)!r}, {question!r})")
    assert abs(got - vm.eval("__import__('time').time()")) <= 2


def test_the_clock_is_set(vm):
    vm.exec("""
import sys
class machine:
    class RTC:
        def datetime(self, fields):
            told.append(fields)
told = []
sys.modules["machine"] = machine
from picopost import clock
""")
    assert vm.eval("clock.set(1795951372), told") == (True, [(2026, 11, 29, 6, 11, 22, 52, 0)])
    assert vm.eval("clock.set(1704067199), len(told)") == (False, 1)


@pytest.mark.parametrize("name", ["pico_w", "pico_w5500"])
@pytest.mark.parametrize("server, event, words", [
    ("host.lan", "clock_set", ""), ("192.168.77.1", "clock_set", ""),
    ("time.lan", "no_time", "asked for time.lan: it knows no such name")])
def test_a_server_by_name_or_address(tmp_path, name, server, event, words):
    if server[0].isdigit() and name == "pico_w":
        server = "127.0.0.1"
    told, board = first_of_the_clock(tmp_path, name, {"time_server": server},
                                     lambda board: setattr(board.time_server, "ahead", 3600))
    assert told["event"] == event and words in told.get("why", "")
    assert board.dns_server.asked == ([] if server[0].isdigit() else [server])


@pytest.mark.parametrize("name", boards.names())
@pytest.mark.parametrize("stratum, ahead, event, words", [
    (2, 3600, "clock_set", None), (None, 0, "no_time", "no answer"),
    (0, 0, "no_time", "does not know the time")])
def test_a_board_asks_its_router(tmp_path, name, stratum, ahead, event, words):
    def tell(board):
        board.time_server.stratum, board.time_server.ahead = stratum, ahead

    told, board = first_of_the_clock(tmp_path, name, {}, tell)
    assert told["event"] == event and board.time_server.asked == 1
    assert told["server"] == ("192.168.77.1" if board.lan else "127.0.0.1")
    if words:
        assert words in told["why"] and "time_server" in told["advice"]


def first_of_the_clock(tmp_path, name, settings, tell):
    """What a board says first of its clock, and the board; `tell(board)` before it starts."""
    flash = tmp_path / "flash"
    definition = boards.load(name)
    prepare_flash(flash, definition, settings, [accounts.line("girl", "s3cret word")])
    found = []
    with CardImage.create(tmp_path / "card.img") as card:
        board = EmulatedBoard(definition, card, flash, free_port_offset())
        tell(board)
        patience = threading.Timer(60, board.stop)
        patience.start()

        def look(line):
            told = events.parse(line)
            if told and told["event"] in ("clock_set", "no_time"):
                found.append(told)
                board.stop()

        board.run(look)
        patience.cancel()
    return found[0], board
