"""The ports of tests that run side by side."""

import subprocess
import sys

from tests.support.appliance import ROOT
from tests.support.ports import PORTS, SPACING, free_port_offset

# Those of settings, of chips, and of the servers that a board asks.
OTHERS = (0, 26, 27, 28, 29, 30, 53, 67, 68, 80, 123, 1883, 2025, 2465, 2995, 5000, 5353, 8123,
          8124)


def test_boards_have_no_port_in_common():
    assert len({port % SPACING for port in PORTS + OTHERS}) == len(PORTS + OTHERS)
    assert free_port_offset() % SPACING == 0


def test_processes_have_offsets_of_their_own():
    ours = {free_port_offset() for _ in range(50)}
    script = "from tests.support.ports import *\nfor _ in range(50): print(free_port_offset())"
    theirs = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, check=True,
                            capture_output=True, timeout=60).stdout.split()
    assert len(ours) > 5 and not ours & set(map(int, theirs))


def test_a_board_that_does_not_listen_yet_keeps_its_offset():
    assert len({free_port_offset() for _ in range(5)}) == 5
