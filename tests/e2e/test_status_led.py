"""The LED's codes, in the VM, with time that a test turns."""

import pytest

from tests.support.vm import Vm

_SCENE = """
import sys

class Pin:
    OUT = 1
    def __init__(self, number, mode, value):
        seen.append((number, mode, value))
    def on(self):
        seen.append(1)
    def off(self):
        seen.append(0)
    def toggle(self):
        seen.append("toggle")

class Timer:
    def __init__(self, period, callback):
        seen.append(period)
        callback(self)
        callback(self)

class machine:
    pass

machine.Pin, machine.Timer = Pin, Timer
sys.modules["machine"] = machine
seen = []
import asyncio
from picopost import status_led

async def sleep_ms(milliseconds):
    seen.append(milliseconds)
    if len(seen) > most:
        raise Enough

class Enough(Exception):
    pass

asyncio.sleep_ms = sleep_ms

def shown(code, count, board={"led": 25}):
    global most
    most = count
    seen.clear()
    led = status_led.StatusLed(board)
    led.code = code
    try:
        asyncio.run(led.run())
    except Enough:
        led.off()
    return seen
"""


@pytest.fixture(scope="module")
def vm():
    with Vm() as vm:
        vm.exec(_SCENE)
        yield vm


def test_serving_is_on(vm):
    assert vm.eval("shown(status_led.SERVING, 3)") == [(25, 1, 0), 1, 1200, 1, 1200, 0]


def test_mail_is_a_dark_moment(vm):
    vm.exec("original = status_led.StatusLed\n"
            "class WithMail(original):\n"
            "    def __init__(self, board):\n"
            "        super().__init__(board)\n"
            "        self.mail = True\n"
            "status_led.StatusLed = WithMail")
    dark = [0, 200, 1, 1200]
    assert vm.eval("shown(status_led.SERVING, 7)") == [(25, 1, 0), *dark, *dark, 0]
    # Trouble is shown first.
    assert vm.eval("shown(status_led.NO_CARD, 9)") == [(25, 1, 0), *[1, 200, 0, 200] * 2, 1200, 0]
    vm.exec("status_led.StatusLed = original")


@pytest.mark.parametrize("code, flashes", [("STARTING", 1), ("NO_CARD", 2), ("NO_NETWORK", 3),
                                           ("WRONG_PASSWORD", 4)])
def test_trouble_is_so_many_flashes_and_a_pause(vm, code, flashes):
    assert vm.eval(f"shown(status_led.{code}, {flashes * 4 + 1})") == [
        (25, 1, 0), *[1, 200, 0, 200] * flashes, 1200, 0]


def test_a_board_without_an_led_has_no_light(vm):
    assert vm.eval("shown(status_led.NO_CARD, 1, {})") == []


def test_safe_mode_flashes_beside_the_prompt(vm, tmp_path):
    path = tmp_path / "board.json"
    path.write_text('{"led": "LED"}')
    vm.exec(f"seen.clear()\nstatus_led.blink_alone({str(path)!r})")
    assert vm.eval("seen") == [("LED", 1, 0), 100, "toggle", "toggle"]
