"""The drawing of a board's wiring, `boards/<name>/wiring.svg`: made from its definition, the same
each time.

The module stands in the middle, seen from above with USB at the top; the chips beside it. A pin of
a chip stands in the row of the header's pin, so its wire is a straight line; what comes from
another row goes through a lane between module and chip, over the top where it comes from the other
side.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from host_tools import boards, rp2040_pins
from host_tools.wiring import (
    CHIPS,
    GROUND,
    ON_BOARD,
    SUPPLY,
    Connection,
    connections,
    is_right,
    mostly_right,
    row,
)

_WIDTH = 860
_MIDDLE = _WIDTH // 2
_BOARD = (320, 540)  # left and right edge
_CHIP_WIDTH, _GAP = 132, 128
_PITCH = 21
_LANE = 10
_HEAD = 34  # from a box' top to its first pin
_ROWS = 20
# Colours that people who do not see them all can tell apart (Okabe and Ito), and for the supply.
_COLOURS = {"SCK": "#b07c00", "MOSI": "#0072b2", "MISO": "#009e73", "CS": "#b5548c",
            "RST": "#56a0c9", "INT": "#7a5fb0", SUPPLY: "#d53e00", GROUND: "#222222"}
_GREY = "#8a8f94"


@dataclass
class _Box:
    """A chip beside the module: its edge that faces it, and the row of each of its pins."""

    chip: str
    right: bool
    rows: dict[str, int]

    @property
    def edge(self) -> int:
        return _BOARD[1] + _GAP if self.right else _BOARD[0] - _GAP

    @property
    def left(self) -> int:
        return self.edge if self.right else self.edge - _CHIP_WIDTH


class _Drawing:
    def __init__(self, definition: dict):
        self._definition = definition
        self._module = boards.MODULES[definition["module"]]
        wires = connections(definition)
        self._wires = [wire for wire in wires if wire.printed != ON_BOARD]
        self._inside = [wire for wire in wires if wire.printed == ON_BOARD]
        self._boxes: list[_Box] = []
        for chip in CHIPS:
            if mine := [wire for wire in self._wires if wire.chip == chip]:
                self._boxes.append(self._box(chip, mine))
        self._lanes = self._numbered_lanes()
        highest = min(row for box in self._boxes for row in box.rows.values())
        self._top = 62 + _LANE * len(self._lanes) + _PITCH * max(0, -highest)  # the module's edge
        self._height = self._y(_ROWS - 1) + 50

    def _box(self, chip: str, wires: list[Connection]) -> _Box:
        right = mostly_right([wire.pin for wire in wires if wire.gpio is not None])
        if self._boxes and self._boxes[0].right == right:
            right = not right
        rows = {wire.signal: row(wire.pin) for wire in wires if self._is_straight(wire, right)}
        # The others above, but in no row where a wire leaves the header: they would look like one.
        leaving = {row(wire.pin) for wire in self._wires if is_right(wire.pin) == right}
        above = min(rows.values(), default=_ROWS // 2)
        for wire in wires:
            if wire.signal not in rows:
                above -= 1
                while above in leaving:
                    above -= 1
                rows[wire.signal] = above
        return _Box(chip, right, rows)

    @staticmethod
    def _is_straight(wire: Connection, right: bool) -> bool:
        return wire.signal != SUPPLY and is_right(wire.pin) == right

    def _numbered_lanes(self) -> dict[int, int]:
        """{pin of the header: number of its lane}; the supply has the innermost."""
        bent = {wire.pin for box in self._boxes for wire in self._wires
                if wire.chip == box.chip and not self._is_straight(wire, box.right)}
        return {pin: number for number, pin in
                enumerate(sorted(bent, key=lambda pin: (pin != rp2040_pins.SUPPLY, pin)))}

    def _y(self, row: int) -> int:
        return self._top + _HEAD + row * _PITCH

    # --- parts ------------------------------------------------------------------------------

    def svg(self) -> str:
        name = escape(self._definition["title"])
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {self._height}" '
            f'width="{_WIDTH}" height="{self._height}" role="img" '
            'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">',
            f"<title>Wiring: {name}</title>",
            f'<rect width="{_WIDTH}" height="{self._height}" fill="#ffffff"/>',
            f'<text x="{_MIDDLE}" y="28" text-anchor="middle" font-size="16" font-weight="bold">'
            f"{name}</text>",
        ]
        parts += self._board()
        for box in self._boxes:
            parts += self._chip(box)
        for box in self._boxes:
            for wire in self._wires:
                if wire.chip == box.chip:
                    parts += self._wire(wire, box)
        parts += self._pads()
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _board(self) -> list[str]:
        left, right = _BOARD
        bottom = self._y(_ROWS - 1) + 26
        parts = [
            f'<rect x="{left}" y="{self._top}" width="{right - left}" '
            f'height="{bottom - self._top}" rx="8" fill="#eef3ee" stroke="#40604a" '
            'stroke-width="2"/>',
            f'<rect x="{_MIDDLE - 22}" y="{self._top - 8}" width="44" height="26" rx="3" '
            'fill="#d0d4d8" stroke="#70767c"/>',
            f'<text x="{_MIDDLE}" y="{self._top + 9}" text-anchor="middle" font-size="10">USB'
            "</text>",
        ]
        parts.append(_upright(_MIDDLE, self._y(6) - _PITCH // 2, 13, "#40604a",
                              self._module.title))
        return parts + (self._soldered() if self._inside else [])

    def _soldered(self) -> list[str]:
        """The W5500 that is on the module, with its traces."""
        rows = [row(wire.pin) for wire in self._inside]
        top, bottom = self._y(min(rows)) - 14, self._y(max(rows)) + 14
        left, right = _MIDDLE - 38, _MIDDLE + 34
        parts = [
            f'<path d="M{right} {self._y(row(wire.pin))}H{_BOARD[1] - 64}" '
            f'stroke="{_COLOURS[wire.signal]}" stroke-width="2"/>' for wire in self._inside]
        parts.append(f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
                     'rx="4" fill="#e8edf5" stroke="#3f5574"/>')
        parts.append(_upright(left + 22, (top + bottom) // 2, 12, "#3f5574",
                              f"{CHIPS['wiznet']}, {ON_BOARD}"))
        for wire in self._inside:
            parts.append(f'<text x="{right - 4}" y="{self._y(row(wire.pin)) + 3}" font-size="8" '
                         f'text-anchor="end">{wire.signal}</text>')
        return parts

    def _chip(self, box: _Box) -> list[str]:
        top, bottom = self._y(min(box.rows.values())) - _HEAD, self._y(max(box.rows.values())) + 18
        parts = [
            f'<rect x="{box.left}" y="{top}" width="{_CHIP_WIDTH}" height="{bottom - top}" rx="6" '
            'fill="#f3f1ea" stroke="#6b6552" stroke-width="2"/>',
            f'<text x="{box.left + _CHIP_WIDTH // 2}" y="{top + 17}" text-anchor="middle" '
            f'font-weight="bold">{CHIPS[box.chip]}</text>',
        ]
        for wire in self._wires:
            if wire.chip == box.chip:
                x, anchor = ((box.edge + 10, "start") if box.right else (box.edge - 10, "end"))
                parts.append(f'<text x="{x}" y="{self._y(box.rows[wire.signal]) + 4}" '
                             f'text-anchor="{anchor}">{escape(wire.printed)}</text>')
        return parts

    def _wire(self, wire: Connection, box: _Box) -> list[str]:
        start, end = self._y(row(wire.pin)), self._y(box.rows[wire.signal])
        edge = _BOARD[is_right(wire.pin)]
        dots = [(box.edge, end)]
        if wire.pin not in self._lanes or self._is_straight(wire, box.right):
            path = f"M{edge} {start}H{box.edge}"
        else:
            number = self._lanes[wire.pin]
            lane = self._lane(number, is_right(wire.pin))
            if is_right(wire.pin) == box.right:
                path = f"M{edge} {start}H{lane}V{end}H{box.edge}"
            else:
                over = self._top - 18 - _LANE * number
                path = (f"M{edge} {start}H{lane}V{over}H{self._lane(number, box.right)}V{end}"
                        f"H{box.edge}")
            if len([each for each in self._wires if each.pin == wire.pin]) > 1:
                dots.append((lane, start))
        colour = _COLOURS[wire.signal]
        return [
            f'<path d="{path}" fill="none" stroke="#ffffff" stroke-width="6"/>',
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5" '
            'stroke-linejoin="round"/>',
            *(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in dots)]

    @staticmethod
    def _lane(number: int, right: bool) -> int:
        return _BOARD[1] + 24 + _LANE * number if right else _BOARD[0] - 24 - _LANE * number

    def _pads(self) -> list[str]:
        """The header's pins, each with its number and what it is."""
        used = {wire.pin: wire.signal for wire in (*self._inside, *self._wires)}
        parts = []
        for pin, what in rp2040_pins.HEADER.items():
            right, y = is_right(pin), self._y(row(pin))
            edge, inward = _BOARD[right], -1 if right else 1
            anchor = "end" if right else "start"
            colour = _COLOURS[used[pin]] if pin in used else _GREY
            weight = "bold" if pin in used else "normal"
            label = what if isinstance(what, str) else f"GP{what}"
            parts += [
                f'<circle cx="{edge}" cy="{y}" r="5" fill="{colour if pin in used else "#ffffff"}" '
                f'stroke="{colour}" stroke-width="1.5"/>',
                f'<text x="{edge + 10 * inward}" y="{y + 4}" text-anchor="{anchor}" '
                f'font-size="9" fill="{_GREY}">{pin}</text>',
                f'<text x="{edge + 26 * inward}" y="{y + 4}" text-anchor="{anchor}" '
                f'font-size="11" font-weight="{weight}" fill="{colour}">{label}</text>']
        return parts


def _upright(x: int, y: int, size: int, colour: str, text: str) -> str:
    """Text that is read from below, around a point."""
    return (f'<text transform="translate({x} {y}) rotate(-90)" text-anchor="middle" '
            f'font-size="{size}" font-weight="bold" fill="{colour}">{escape(text)}</text>')


def svg(definition: dict) -> str:
    """The drawing of a sound definition."""
    return _Drawing(definition).svg()
