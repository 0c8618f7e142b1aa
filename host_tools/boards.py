"""The boards' definitions, `boards/<name>/board.json`, and what makes one wrong.

    name, title   as the folder is called; for people
    module        the board that is bought, one of MODULES
    image         the MicroPython it runs: `name` as micropython.org has it, and its `versions`
    link          wifi, wiznet (the W5500's own TCP) or wiznet5k (lwIP over a W5500)
    heap_kib      what the emulated board gets, KiB; heap_source says where that was measured
    sd_card       spi, sck, mosi, miso, cs, baudrate of its bus
    wiznet        the same of the W5500, and reset and interrupt
    led           a GPIO, or "LED" where it hangs on the radio chip
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from host_tools import rp2040_pins
from host_tools.firmware_build import ROOT

BOARDS = ROOT / "boards"
# What is emulated unless another one is named.
DEFAULT = "pico_w5500"
# What firmware/picopost reads; the rest of a definition is for the host and takes no heap.
_FOR_FIRMWARE = ("name", "link", "wiznet", "sd_card", "led")


class BoardError(Exception):
    """A definition that cannot be used; the text says which, and what is wrong."""


class UnknownBoard(BoardError):
    """The text lists the boards that there are."""


@dataclass(frozen=True)
class Chip:
    """A microcontroller. `ram_kib`: its RAM; `flash_mib`: that beside it, on the largest board
    here; `family`: of the UF2 files that it takes; `board_id`: in INFO_UF2.TXT on its drive while
    it waits for one.
    """

    name: str
    ram_kib: int
    flash_mib: int
    family: int
    board_id: str


# RP2040 datasheet 2.6.2, 2.8.4; RP2350 datasheet 4.2, 5.5, and 5.7 for what it is called where
# nobody has called it otherwise. Families: the specification of UF2, of the RP2350's the one for
# its Arm cores.
RP2040 = Chip("RP2040", 264, 2, 0xE48B_FF56, "RPI-RP2")
RP2350 = Chip("RP2350", 520, 4, 0xE48B_FF59, "RP2350")
CHIPS = (RP2040, RP2350)


@dataclass(frozen=True)
class Module:
    """A board as it is bought. `taken` are the GPIOs that it uses itself, each with what for, and
    `w5500` the wiring of a W5500 on it."""

    title: str
    links: tuple[str, ...]
    led: int | str
    taken: dict[int, str]
    w5500: dict[str, int] | None = None
    chip: Chip = RP2040


_VSYS = "measures VSYS"
_PICO = {23: "the regulator's power-save pin", 24: "senses VBUS", 25: "the LED", 29: _VSYS}
_PICO_W = {23: "the radio's power", 24: "the radio's data", 25: "the radio's chip select",
           29: "the radio's clock, and " + _VSYS}
_EVB_PICO = {23: "not on the header", 24: "senses VBUS", 25: "the LED", 29: _VSYS}
_EVB_PICO_W5500 = {"spi": 0, "sck": 18, "mosi": 19, "miso": 16, "cs": 17, "reset": 20,
                   "interrupt": 21}
MODULES = {
    # Raspberry Pi Pico datasheet, 2.1.
    "pico": Module("Raspberry Pi Pico", ("wiznet", "wiznet5k"), 25, _PICO),
    # Raspberry Pi Pico W datasheet, 2.1.
    "pico_w": Module("Raspberry Pi Pico W", ("wifi",), "LED", _PICO_W),
    # Raspberry Pi Pico 2 W datasheet, 2.1.
    "pico_2_w": Module("Raspberry Pi Pico 2 W", ("wifi",), "LED", _PICO_W, chip=RP2350),
    # WIZnet's W5500-EVB-Pico, its pinout; ports/rp2/boards/W5500_EVB_PICO/mpconfigboard.h.
    "w5500_evb_pico": Module("WIZnet W5500-EVB-Pico", ("wiznet", "wiznet5k"), 25, _EVB_PICO,
                             _EVB_PICO_W5500),
    # Its pinout is the W5500-EVB-Pico's; ports/rp2/boards/W5500_EVB_PICO2/mpconfigboard.h.
    "w5500_evb_pico2": Module("WIZnet W5500-EVB-Pico2", ("wiznet", "wiznet5k"), 25, _EVB_PICO,
                              _EVB_PICO_W5500, RP2350),
}
LINKS = ("wifi", "wiznet", "wiznet5k")
_BUS = ("spi", "sck", "mosi", "miso", "cs", "baudrate")
# Keys that may stand in a chip's wiring, those without which it is none, and its fastest clock:
# an SD card's in default speed mode, and what the W5500 datasheet guarantees (5.5.4).
_CHIPS = {"sd_card": (_BUS, _BUS, 25_000_000),
          "wiznet": ((*_BUS, "reset", "interrupt"), _BUS, 33_300_000)}
_BUS_SIGNALS = ("sck", "mosi", "miso")
_NEEDED = ("name", "title", "module", "image", "link", "heap_kib", "heap_source", "led")
_VERSIONS = re.compile(r">=(\d+)\.(\d+),<(\d+)\.(\d+)")


def names() -> list[str]:
    """The names of all boards."""
    return sorted(path.parent.name for path in BOARDS.glob("*/board.json"))


def load(name: str) -> dict:
    """A board's definition; raises UnknownBoard, or BoardError with all that is wrong in it."""
    if name not in names():
        raise UnknownBoard(f"no board is called {name}; there are {', '.join(names())}")
    try:
        definition = json.loads((BOARDS / name / "board.json").read_text())
    except ValueError as error:
        raise BoardError(f"boards/{name}/board.json: {error}") from error
    wrong = faults(definition, name)
    if wrong:
        raise BoardError(f"boards/{name}/board.json: {'; '.join(wrong)}")
    return definition


def chip_of(definition: dict) -> Chip:
    """The microcontroller of a board, by its definition."""
    return MODULES[definition["module"]].chip


def for_firmware(definition: dict) -> dict:
    """What of a definition goes on the board's flash."""
    return {key: definition[key] for key in _FOR_FIRMWARE if key in definition}


def fits(definition: dict, version: str) -> bool:
    """Whether a MicroPython of that version ("1.28.0") is one that the board's image may have."""
    low, high = _version_range(definition["image"]["versions"])
    major, minor = version.split(".")[:2]
    return low <= (int(major), int(minor)) < high


def faults(definition: object, name: str) -> list[str]:
    """All that is wrong with the definition in the folder `name`; nothing, where it is sound."""
    if not isinstance(definition, dict):
        return ["no JSON object"]
    link = definition.get("link", "wifi")
    if link not in LINKS:
        return [f"link must be one of {', '.join(LINKS)}"]
    chips = ["sd_card"] if link == "wifi" else list(_CHIPS)
    wrong = _keys("", definition, (*_NEEDED, *chips), (*_NEEDED, *chips))
    wrong += [fault for chip in chips if chip in definition
              for fault in _wiring(chip, definition[chip])]
    if wrong:
        return wrong  # what follows takes the shape for granted
    return [*_plain(definition, name), *_module(definition), *_pins(definition, chips)]


def _keys(where: str, given: object, needed: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    if not isinstance(given, dict):
        return [f"{where.rstrip('.')}: no JSON object"]
    return [*(f"{where}{key} is missing" for key in needed if key not in given),
            *(f"{where}{key}: no such key" for key in given if key not in known)]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _version_range(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    numbers = _VERSIONS.fullmatch(text)
    if not numbers:
        raise ValueError(text)
    major, minor, below_major, below_minor = map(int, numbers.groups())
    return (major, minor), (below_major, below_minor)


def _plain(definition: dict, name: str) -> list[str]:
    """Faults of what is no wiring."""
    wrong = []
    if definition["name"] != name:
        wrong.append(f"name is {definition['name']!r} in the folder {name}")
    for key in ("title", "heap_source"):
        if not isinstance(definition[key], str) or not definition[key]:
            wrong.append(f"{key} must be text")
    module = MODULES.get(str(definition["module"]))
    chip = module.chip if module else RP2040  # that it is none is said elsewhere
    if not _is_whole(definition["heap_kib"]) or not 0 < definition["heap_kib"] < chip.ram_kib:
        wrong.append(f"heap_kib must be KiB, less than the {chip.name}'s {chip.ram_kib}")
    image = definition["image"]
    shape = _keys("image.", image, ("name", "versions"), ("name", "versions"))
    if not shape and not re.fullmatch(r"[A-Z0-9_]+", str(image["name"])):
        shape.append("image.name must be as micropython.org has it, like RPI_PICO_W")
    if not shape:
        try:
            low, high = _version_range(str(image["versions"]))
            if low >= high:
                shape.append(f"image.versions: there is none in {image['versions']}")
        except ValueError:
            shape.append("image.versions must be like >=1.28,<1.30")
    return wrong + shape


def _wiring(chip: str, given: object) -> list[str]:
    """Faults of one chip's wiring by itself."""
    known, needed, fastest = _CHIPS[chip]
    wrong = _keys(chip + ".", given, needed, known)
    if wrong:
        return wrong
    for key, value in given.items():
        if not _is_whole(value):
            wrong.append(f"{chip}.{key} must be a whole number")
        elif key == "spi" and value not in (0, 1):
            wrong.append(f"{chip}.spi must be 0 or 1")
        elif key == "baudrate" and not 0 < value <= fastest:
            wrong.append(f"{chip}.baudrate must be Hz, up to {fastest}")
        elif key not in ("spi", "baudrate") and not 0 <= value < 30:
            wrong.append(f"{chip}.{key}: there is no GPIO {value}")
    if wrong:
        return wrong
    for signal in _BUS_SIGNALS:
        spi, can = rp2040_pins.spi_function(given[signal])
        if (spi, can) != (given["spi"], signal):
            wrong.append(f"{chip}.{signal}: GPIO {given[signal]} is SPI{spi}'s {can}, "
                         f"not SPI{given['spi']}'s {signal}")
    return wrong


def _module(definition: dict) -> list[str]:
    """Faults of link, LED and W5500 with the module."""
    if definition["module"] not in MODULES:
        return [f"module must be one of {', '.join(MODULES)}"]
    module = MODULES[definition["module"]]
    wrong = []
    if definition["link"] == "wiznet5k" and "reset" not in definition["wiznet"]:
        wrong.append("wiznet.reset is missing: network.WIZNET5K wants it")
    if definition["link"] not in module.links:
        wrong.append(f"link: a {module.title} has {' or '.join(module.links)}")
    led = definition["led"]
    if led != module.led and (not _is_whole(led) or rp2040_pins.header_pin(led) is None):
        wrong.append(f"led must be {module.led!r}, the {module.title}'s own, "
                     "or a GPIO on the header")
    if module.w5500 and "wiznet" in definition:
        wrong += [f"wiznet.{key} must be {value}: the W5500 is wired on the {module.title}"
                  for key, value in module.w5500.items() if definition["wiznet"].get(key) != value]
    return wrong


def _pins(definition: dict, chips: list[str]) -> list[str]:
    """Faults of the chips' pins together: used twice, or the module's own."""
    used = {f"{chip}.{key}": gpio for chip in chips for key, gpio in definition[chip].items()
            if key not in ("spi", "baudrate")}
    module = MODULES.get(definition["module"])
    wrong, first = [], {definition["led"]: "led"}
    for key, gpio in used.items():
        if gpio in first:
            wrong.append(f"{key}: GPIO {gpio} is {first[gpio]} already")
        first.setdefault(gpio, key)
        if module and gpio in module.taken:
            wrong.append(f"{key}: GPIO {gpio} is the {module.title}'s own: {module.taken[gpio]}")
    # The card's driver and MicroPython's for the W5500 would run into each other.
    if len({definition[chip]["spi"] for chip in chips}) < len(chips):
        wrong.append(f"{' and '.join(chips)} share a bus, and each needs its own")
    return wrong
