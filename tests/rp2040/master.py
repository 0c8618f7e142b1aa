"""What a program on an emulated RP2040 does with SPI and pins, done by its registers' addresses.

RP2040 datasheet: 2.3.1.7 (SIO), 2.5.7 (DMA), 2.19.6.1 (IO_BANK0), 2.19.6.3 (pads), 4.4.4 (SPI).
"""

from __future__ import annotations

_IO_BANK0, _PADS_BANK0, _SIO, _DMA = 0x4001_4000, 0x4001_C000, 0xD000_0000, 0x5000_0000
_SPI = (0x4003_C000, 0x4004_0000)
_SSPCR0, _SSPCR1, _SSPDR, _SSPDMACR = 0x00, 0x04, 0x08, 0x24
_SEND_DREQ, _RECEIVE_DREQ = (16, 18), (17, 19)
_SOURCE, _TARGET = 0x2000_1000, 0x2001_0000  # in RAM
_GPIO_IN, _GPIO_OUT_SET, _GPIO_OUT_CLR, _GPIO_OE_SET = 0x04, 0x14, 0x18, 0x24
_BUSY = 1 << 24


def drive(chip, pin: int, level: int) -> None:
    """Make `pin` an output of SIO with that level."""
    chip.write_uint32(_SIO + (_GPIO_OUT_SET if level else _GPIO_OUT_CLR), 1 << pin)
    chip.write_uint32(_IO_BANK0 + 8 * pin + 4, 5)
    chip.write_uint32(_SIO + _GPIO_OE_SET, 1 << pin)


def level(chip, pin: int) -> int:
    """What an input reads."""
    chip.write_uint32(_PADS_BANK0 + 4 + 4 * pin, 0x5A)  # input enabled, pulled up
    return chip.read_uint32(_SIO + _GPIO_IN) >> pin & 1


class Master:
    """SPI `number` of `chip` with the chip select `pin`, in the shape of a chip model, so that the
    hosts of tests/chips speak through it. `bulk`: what is more than an octet goes by DMA, as
    MicroPython's machine.SPI has it from 32 octets on. `model` is what answers, for its fileno.
    """

    def __init__(self, chip, number: int, pin: int, model, bulk: bool):
        self.model = model
        self._chip = chip
        self._number = number
        self._spi = _SPI[number]
        self._pin = pin
        self._bulk = bulk
        drive(chip, pin, 1)
        chip.write_uint32(self._spi + _SSPCR0, 7)  # 8 bits
        chip.write_uint32(self._spi + _SSPCR1, 2)  # enabled
        chip.write_uint32(self._spi + _SSPDMACR, 3 if bulk else 0)

    def fileno(self) -> int:
        return self.model.fileno()

    def select(self, selected: bool) -> None:
        drive(self._chip, self._pin, not selected)

    def transfer(self, octet: int) -> int:
        self._chip.write_uint32(self._spi + _SSPDR, octet)
        return self._chip.read_uint32(self._spi + _SSPDR)

    def transfer_bulk(self, data: bytes) -> bytes:
        if not self._bulk or not data:
            return bytes(map(self.transfer, data))
        chip = self._chip
        for at, octet in enumerate(data):
            chip.write_uint8(_SOURCE + at, octet)
        self._channel(1, self._spi + _SSPDR, _TARGET, len(data), _RECEIVE_DREQ, 1 << 5)
        self._channel(0, _SOURCE, self._spi + _SSPDR, len(data), _SEND_DREQ, 1 << 4)
        for _ in range(2 * len(data) + 10):
            if not chip.read_uint32(_DMA + 0x40 + 0xC) & _BUSY:
                return bytes(chip.read_uint8(_TARGET + at) for at in range(len(data)))
            chip.clock.tick(1000)
        raise AssertionError("the DMA does not come to an end")

    def _channel(self, number: int, source: int, target: int, count: int,
                 dreq: tuple[int, int], increment: int) -> None:
        """Start it: octets, chained to itself."""
        channel = _DMA + 0x40 * number
        for offset, value in ((0, source), (4, target), (8, count), (
                0xC, 1 | increment | number << 11 | dreq[self._number] << 15)):
            self._chip.write_uint32(channel + offset, value)
