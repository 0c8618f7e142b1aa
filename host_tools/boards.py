"""The boards' definitions, `boards/<name>/board.json`."""

from __future__ import annotations

import json

from host_tools.firmware_build import ROOT

BOARDS = ROOT / "boards"
# What is emulated unless another one is named.
DEFAULT = "pico_w5500"


class UnknownBoard(Exception):
    """The text lists the boards that there are."""


def names() -> list[str]:
    """The names of all boards."""
    return sorted(path.parent.name for path in BOARDS.glob("*/board.json"))


def load(name: str) -> dict:
    """A board's definition; raises UnknownBoard."""
    if name not in names():
        raise UnknownBoard(f"no board is called {name}; there are {', '.join(names())}")
    return json.loads((BOARDS / name / "board.json").read_text())
