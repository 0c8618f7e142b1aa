"""The README of each board: its wiring table and drawing agree with the board's definition."""

import copy
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from host_tools import boards, rp2040_pins, wiring, wiring_drawing
from tests.support.appliance import ROOT

# The Pico's pinout as its datasheet draws it, left side down and right side up: written a second
# time, for the tools to be held to.
LEFT = "0 1 GND 2 3 4 5 GND 6 7 8 9 GND 10 11 12 13 GND 14 15".split()
RIGHT = ("16 17 GND 18 19 20 21 GND 22 RUN 26 27 AGND 28 ADC_VREF 3V3(OUT) 3V3_EN GND VSYS "
         "VBUS").split()
HEADER = dict(enumerate(LEFT + RIGHT, 1))
# Keys of a definition by the table's words.
CHIPS = {"SD card": "sd_card", "W5500": "wiznet"}
KEYS = {"SCK": "sck", "MOSI": "mosi", "MISO": "miso", "CS": "cs", "RST": "reset",
        "INT": "interrupt"}
NAMES = boards.names()


def readme(name: str) -> str:
    return (boards.BOARDS / name / "README.md").read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of the wiring table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "| chip | signal | GPIO | header pin | printed at the module |"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("name", NAMES)
def test_table_agrees_with_the_definition(name):
    definition = boards.load(name)
    on_board = boards.MODULES[definition["module"]].w5500
    wanted = {(chip, key) for chip in CHIPS.values() if chip in definition
              for key in definition[chip] if key not in ("spi", "baudrate")}
    powered = set()
    for chip, signal, gpio, pin, printed in rows(readme(name)):
        if signal in ("3V3", "GND"):
            assert gpio == {"3V3": "3V3(OUT)", "GND": "GND"}[signal] == HEADER[int(pin)]
            powered.add((CHIPS[chip], signal))
        else:
            assert int(gpio) == definition[CHIPS[chip]][KEYS[signal]]
            wanted.remove((CHIPS[chip], KEYS[signal]))
            if CHIPS[chip] == "wiznet" and on_board:
                assert (pin, printed) == ("", "on the board")
                continue
            assert HEADER[int(pin)] == gpio
        assert printed
    assert not wanted
    assert powered == {(chip, signal) for chip in CHIPS.values() if chip in definition
                       and not (chip == "wiznet" and on_board) for signal in ("3V3", "GND")}


@pytest.mark.parametrize("name", NAMES)
def test_readme_says_what_the_definition_says(name):
    definition, text = boards.load(name), readme(name)
    image = definition["image"]
    assert f"[{image['name']}](https://micropython.org/download/{image['name']}/)" in text
    assert f"`{image['versions']}`" in text
    octets = re.search(r"[\d,]+ bytes", definition["heap_source"])[0].split()[0]
    assert octets in text and f"{definition['heap_kib']} KiB" in text
    assert "(wiring.svg)" in text and "(board.json)" in text
    assert f'"--board {name}"' in text


@pytest.mark.parametrize("name", NAMES)
def test_drawing_is_what_the_definition_gives(name):
    drawn = (boards.BOARDS / name / "wiring.svg").read_text()
    assert drawn == wiring_drawing.svg(boards.load(name)), (
        f"renew it: python -m host_tools boards draw {name}")
    ElementTree.fromstring(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_readme_of_the_project_names_the_board(name):
    assert f"| [`{name}`](boards/{name}/README.md) |" in (ROOT / "README.md").read_text()


def test_header_is_the_datasheets():
    assert {pin: str(what) for pin, what in rp2040_pins.HEADER.items()} == HEADER


def _places(drawing: str) -> tuple[dict[str, tuple[int, int]], list[list[tuple[int, int]]]]:
    """({pin of the header: its place}, corners of each wire)"""
    root = ElementTree.fromstring(drawing)
    tag = "{http://www.w3.org/2000/svg}"
    places = {}
    circles = [each for each in root.iter(tag + "circle") if each.get("r") == "5"]
    for pin, circle in zip(range(1, 41), circles, strict=True):
        places[pin] = int(circle.get("cx")), int(circle.get("cy"))
    wires = []
    for path in root.iter(tag + "path"):
        if path.get("stroke-width") != "2.5":
            continue
        steps = re.findall(r"([MHV])(\d+)(?: (\d+))?", path.get("d"))
        corners = [(int(steps[0][1]), int(steps[0][2]))]
        for step, number, _ in steps[1:]:
            x, y = corners[-1]
            corners.append((int(number), y) if step == "H" else (x, int(number)))
        wires.append(corners)
    return places, wires


def _elsewhere() -> dict:
    """A board whose wires go to the other side, around the module, and above its first row."""
    definition = copy.deepcopy(boards.load("pico_w5500"))
    definition["wiznet"].update(sck=2, mosi=3, miso=4, cs=5, reset=0, interrupt=27)
    definition["sd_card"].update(miso=28)
    assert boards.faults(definition, "pico_w5500") == []
    return definition


@pytest.mark.parametrize("definition", [*map(boards.load, NAMES), _elsewhere()],
                         ids=[*NAMES, "elsewhere"])
def test_each_wire_is_drawn_from_its_pin(definition):
    wires = [wire for wire in wiring.connections(definition) if wire.printed != wiring.ON_BOARD]
    places, drawn = _places(wiring_drawing.svg(definition))
    assert [corners[0] for corners in drawn] == [places[wire.pin] for wire in wires]
    ends = [corners[-1] for corners in drawn]
    assert len(set(ends)) == len(ends)
    # No two run over each other, apart from the supply's.
    runs = set()
    for wire, corners in zip(wires, drawn, strict=True):
        mine = set()
        for (x, y), (to_x, to_y) in zip(corners, corners[1:], strict=False):
            mine |= {(at, y, "-") for at in range(min(x, to_x), max(x, to_x))}
            mine |= {(x, at, "|") for at in range(min(y, to_y), max(y, to_y))}
        assert wire.signal == "3V3" or not runs & mine
        runs |= mine


def command(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "host_tools", "boards", *words], cwd=ROOT,
                          text=True, capture_output=True, timeout=60)


def test_command():
    done = command("check")
    assert done.returncode == 0 and done.stdout.count(": sound;") == len(NAMES)
    assert wiring.table(boards.load("pico_w")) in command("table", "pico_w").stdout
    done = command("check", "toaster")
    assert done.returncode == 1 and "toaster" in done.stderr
