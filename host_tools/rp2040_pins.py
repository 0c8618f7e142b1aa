"""Which pin of an RP2040 can do what, and where the Raspberry Pi Pico's header has it."""

from __future__ import annotations

# RP2040 datasheet 1.4.3, function F1: four GPIOs after each other are RX, CSn, SCK and TX of one
# SPI. A master's RX is MISO and its TX is MOSI; chip select is a plain output, any GPIO will do.
_F1 = ("miso", "cs", "sck", "mosi")
_SPI1 = (range(8, 16), range(24, 30))

# Raspberry Pi Pico datasheet, 2.1: the header's pins 1 to 40, a GPIO or the name of what else it
# is. Pico W and W5500-EVB-Pico have the same.
HEADER: dict[int, int | str] = dict(enumerate((
    0, 1, "GND", 2, 3, 4, 5, "GND", 6, 7, 8, 9, "GND", 10, 11, 12, 13, "GND", 14, 15,
    16, 17, "GND", 18, 19, 20, 21, "GND", 22, "RUN", 26, 27, "AGND", 28, "ADC_VREF",
    "3V3(OUT)", "3V3_EN", "GND", "VSYS", "VBUS"), 1))
SUPPLY = 36
GROUNDS = tuple(pin for pin, what in HEADER.items() if what == "GND")
_PINS = {what: pin for pin, what in HEADER.items() if isinstance(what, int)}


def spi_function(gpio: int) -> tuple[int, str]:
    """(SPI, signal) that function F1 gives to a GPIO, 0 to 29."""
    return int(any(gpio in gpios for gpios in _SPI1)), _F1[gpio % 4]


def header_pin(gpio: int) -> int | None:
    """The header's pin of a GPIO, or None for one that the header does not have."""
    return _PINS.get(gpio)
