"""What kind of board is at a prompt."""

from __future__ import annotations

import json

from host_tools import boards
from host_tools.device.flash_files import BOARD, FOLDER, LIST, listed
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError

# How an image calls the board that it is for (sys.implementation._machine): which of ours it is.
MACHINES = {"Raspberry Pi Pico W with RP2040": ("pico_w",),
            "Raspberry Pi Pico with RP2040": ("pico_w5500",),
            "W5500-EVB-Pico with RP2040": ("pico_w5500", "w5500_evb_pico"),
            "Raspberry Pi Pico 2 W with RP2350": ("pico_2_w",),
            "W5500-EVB-Pico2 with RP2350": ("w5500_evb_pico2",)}

_FACTS = """
import sys
def _facts():
    i = sys.implementation
    return (i.name, i.version[:3], getattr(i, "_mpy", 0), getattr(i, "_machine", ""))
"""


def facts(prompt: Prompt) -> tuple[str, str, int, str]:
    """(the Python's name, its version, what .mpy files it takes, the machine that it is on)."""
    prompt.run(_FACTS, "it is no MicroPython")
    name, numbers, mpy, machine = prompt.value("_facts()", "it is no MicroPython")
    return name, ".".join(map(str, numbers)), mpy, machine


_FROZEN = """
import sys
def _frozen():
    kept = sys.path[:]
    sys.path[:] = [path for path in kept if path in (".frozen", "/rom")]
    try:
        import picopost_stamp
        return picopost_stamp.STAMP
    except ImportError:
        return ""
    finally:
        sys.path[:] = kept
"""


def frozen(prompt: Prompt) -> str:
    """The stamp of the firmware in the board's image (boards/manifest.py), "" where there is none.
    """
    prompt.run(_FROZEN, "its image could not be looked at")
    return str(prompt.value("_frozen()", "its image could not be looked at"))


def known(prompt: Prompt, machine: str) -> str:
    """The name of a board: what it was the last time, or the one that its image is for. Raises
    UserError where that leaves more than one."""
    files = listed(prompt.read(LIST) or b"")
    path = f"{FOLDER}/{files[BOARD]}" if BOARD in files else BOARD
    try:
        return json.loads(prompt.read(path) or b"")["name"]
    except (ValueError, KeyError, TypeError):
        pass  # not there, or damaged: its image may say it
    may_be = MACHINES.get(machine, ())
    if len(may_be) != 1:
        raise UserError(f"{prompt.device}: which board is it ({machine})? BOARD="
                        + " or BOARD=".join(may_be or boards.names()))
    return may_be[0]
