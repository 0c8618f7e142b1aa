"""A second opinion on the SD card model: a driver that others wrote, adafruit_sdcard."""

import random
import time
import types

import pytest

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from tests.chips import circuitpython

SIZE = 4 << 20
LAST = SIZE // 512 - 1


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("kind", [{}, {"high_capacity": False},
                                  {"high_capacity": False, "version": 1}])
def test_it_agrees(tmp_path, monkeypatch, kind):
    circuitpython.install(monkeypatch)
    adafruit_sdcard = pytest.importorskip("adafruit_sdcard")
    monkeypatch.setattr(adafruit_sdcard, "time", types.SimpleNamespace(
        sleep=lambda seconds: None, monotonic=time.monotonic))
    with CardImage.create(tmp_path / "card.img", SIZE, formatted=False) as image:
        card = SDCard(image, **kind)
        driver = adafruit_sdcard.SDCard(
            circuitpython.Spi(card), circuitpython.Output(lambda level: card.select(not level)))
        if card.high_capacity:  # it loses the low bits of C_SIZE of the others
            assert driver.count() == image.block_count
        one, many = random.Random(1).randbytes(512), random.Random(2).randbytes(5 * 512)
        assert driver.writeblocks(3, one) == driver.writeblocks(LAST - 4, many) == 0
        assert image.read_blocks(3) == one
        assert image.read_blocks(LAST - 4, 5) == many
        back, more = bytearray(512), bytearray(5 * 512)
        assert driver.readblocks(3, back) == driver.readblocks(LAST - 4, more) == 0
        assert (back, more) == (one, many)
