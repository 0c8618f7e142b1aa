"""A second opinion on the SD card model: a driver that others wrote, adafruit_sdcard."""

import random
import sys
import time
import types

import pytest

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from host_tools.firmware_build import DEVICE_PACKAGES

SIZE = 4 << 20
LAST = SIZE // 512 - 1


# What the driver imports, most of it for its annotations only.
CIRCUITPYTHON = {
    "micropython": {"const": lambda number: number},
    "busio": {"SPI": object},
    "digitalio": {"DigitalInOut": object},
    "circuitpython_typing": {"ReadableBuffer": bytes, "WriteableBuffer": bytearray},
}


class SpiOfCircuitPython:
    """busio.SPI as adafruit_bus_device calls it."""

    def __init__(self, card):
        self.card = card

    def try_lock(self):
        return True

    def unlock(self):
        pass

    def configure(self, **_):
        pass

    def write(self, buffer, start=0, end=None):
        self.card.transfer_bulk(bytes(buffer[start:end]))

    def readinto(self, buffer, start=0, end=None, write_value=0):
        end = len(buffer) if end is None else end
        buffer[start:end] = self.card.transfer_bulk(bytes((write_value,)) * (end - start))


class ChipSelect:
    """digitalio.DigitalInOut as adafruit_bus_device calls it."""

    def __init__(self, card):
        self._card = card

    def switch_to_output(self, value):
        self.value = value

    value = property(fset=lambda self, level: self._card.select(not level))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("kind", [{}, {"high_capacity": False},
                                  {"high_capacity": False, "version": 1}])
def test_it_agrees(tmp_path, monkeypatch, kind):
    monkeypatch.syspath_prepend(DEVICE_PACKAGES)
    for name, content in CIRCUITPYTHON.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**content))
    adafruit_sdcard = pytest.importorskip("adafruit_sdcard")
    monkeypatch.setattr(adafruit_sdcard, "time", types.SimpleNamespace(
        sleep=lambda seconds: None, monotonic=time.monotonic))
    with CardImage.create(tmp_path / "card.img", SIZE, formatted=False) as image:
        card = SDCard(image, **kind)
        driver = adafruit_sdcard.SDCard(SpiOfCircuitPython(card), ChipSelect(card))
        if card.high_capacity:  # it loses the low bits of C_SIZE of the others
            assert driver.count() == image.block_count
        one, many = random.Random(1).randbytes(512), random.Random(2).randbytes(5 * 512)
        assert driver.writeblocks(3, one) == driver.writeblocks(LAST - 4, many) == 0
        assert image.read_blocks(3) == one
        assert image.read_blocks(LAST - 4, 5) == many
        back, more = bytearray(512), bytearray(5 * 512)
        assert driver.readblocks(3, back) == driver.readblocks(LAST - 4, more) == 0
        assert (back, more) == (one, many)
