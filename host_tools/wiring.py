"""How a board is wired: its definition as connections, as a table for its README, as a drawing."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools import boards, rp2040_pins

CHIPS = {"sd_card": "SD card", "wiznet": "W5500"}
SUPPLY, GROUND = "3V3", "GND"
# What a definition's keys are called, in the order of the table.
SIGNALS = {"sck": "SCK", "mosi": "MOSI", "miso": "MISO", "cs": "CS", "reset": "RST",
           "interrupt": "INT"}
# What modules print beside these pins.
_PRINTED = {
    "sd_card": {"SCK": "SCK, CLK", "MOSI": "MOSI, DI, CMD", "MISO": "MISO, DO, D0", "CS": "CS, D3",
                SUPPLY: "3V3, VCC", GROUND: "GND"},
    "wiznet": {"SCK": "SCLK, SCK", "MOSI": "MOSI", "MISO": "MISO", "CS": "SCSn, CS",
               "RST": "RSTn, RST", "INT": "INTn, INT", SUPPLY: "3V3, VCC", GROUND: "GND"},
}
ON_BOARD = "on the board"


@dataclass(frozen=True)
class Connection:
    """One wire: `gpio` is None for supply and ground, `pin` the header's, and `printed` what stands
    beside the pin at the other end; ON_BOARD where nothing is to be wired."""

    chip: str
    signal: str
    gpio: int | None
    pin: int
    printed: str


def connections(definition: dict) -> list[Connection]:
    """All wires of a sound definition, chip by chip."""
    on_board = boards.MODULES[definition["module"]].w5500
    wires = []
    for chip in CHIPS:
        if chip not in definition:
            continue
        there = bool(chip == "wiznet" and on_board)
        signals = [(SIGNALS[key], definition[chip][key]) for key in SIGNALS
                   if key in definition[chip]]
        pins = [rp2040_pins.header_pin(gpio) for _, gpio in signals]
        wires += [Connection(chip, signal, gpio, pin,
                             ON_BOARD if there else _PRINTED[chip][signal])
                  for (signal, gpio), pin in zip(signals, pins, strict=True)]
        if not there:
            wires += [Connection(chip, signal, None, pin, _PRINTED[chip][signal])
                      for signal, pin in ((SUPPLY, rp2040_pins.SUPPLY), (GROUND, _ground(pins)))]
    return wires


def is_right(pin: int) -> bool:
    """Whether a pin of the header is on its right side, seen from above with USB at the top."""
    return pin > 20


def row(pin: int) -> int:
    """The place of a pin of the header on its side, from the top, 0 to 19."""
    return 40 - pin if is_right(pin) else pin - 1


def mostly_right(pins: list[int]) -> bool:
    """The side of the header where most of these pins are."""
    return 2 * sum(map(is_right, pins)) > len(pins)


def _ground(pins: list[int]) -> int:
    """The ground that is nearest to these pins, on their side."""
    right = mostly_right(pins)
    rows = [row(pin) for pin in pins if is_right(pin) == right]
    return min((pin for pin in rp2040_pins.GROUNDS if is_right(pin) == right),
               key=lambda pin: (sum(abs(row(pin) - each) for each in rows), pin))


def table(definition: dict) -> str:
    """The wiring as a Markdown table."""
    lines = ["| chip | signal | GPIO | header pin | printed at the module |",
             "|---|---|--:|--:|---|"]
    for wire in connections(definition):
        pin = "" if wire.printed == ON_BOARD else wire.pin
        gpio = rp2040_pins.HEADER[wire.pin] if wire.gpio is None else wire.gpio
        lines.append(f"| {CHIPS[wire.chip]} | {wire.signal} | {gpio} | {pin} | {wire.printed} |")
    return "\n".join(lines) + "\n"
