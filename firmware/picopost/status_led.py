"""The board's LED tells how it is: on while it serves, with a dark moment now and then where there
is mail to be read, else so many flashes and a pause."""

import asyncio
import json

import machine

from picopost import limits

SERVING = 0
STARTING = 1
NO_CARD = 2
NO_NETWORK = 3
WRONG_PASSWORD = 4  # of the Wi-Fi

_timer = None


class StatusLed:
    """`board` is its definition; one without an LED has no light. `code`: one of the above. `mail`:
    whether somebody is to be told of mail.
    """

    def __init__(self, board):
        self.code = STARTING
        self.mail = False
        self._pin = _pin(board)

    async def run(self):
        """For ever."""
        pin = self._pin
        while pin:
            if self.code == SERVING:
                if self.mail:
                    pin.off()
                    await asyncio.sleep_ms(limits.LED_FLASH)
                pin.on()
            for _ in range(self.code):
                pin.on()
                await asyncio.sleep_ms(limits.LED_FLASH)
                pin.off()
                await asyncio.sleep_ms(limits.LED_FLASH)
            await asyncio.sleep_ms(limits.LED_PAUSE)

    def off(self):
        """Nothing serves."""
        if self._pin:
            self._pin.off()


def blink_alone(path):
    """Quick flashes without end, in safe mode: a timer's, while the prompt is somebody's. `path` is
    that of the board's definition.
    """
    with open(path) as file:
        pin = _pin(json.load(file))
    if pin:
        global _timer  # or the collector would take it, and stop it
        _timer = machine.Timer(period=limits.LED_FLASH // 2, callback=lambda timer: pin.toggle())


def _pin(board):
    led = board.get("led")
    return None if led is None else machine.Pin(led, machine.Pin.OUT, value=0)
