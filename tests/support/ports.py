"""Ports for boards and servers of the tests, which run side by side in several processes."""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from pathlib import Path

# Of an appliance, as it comes.
PORTS = (25, 110, 465, 587, 995)
# Offsets are multiples of this, by which the ports of the tests leave different remainders: boards
# with different offsets have no port in common (tests/host/test_ports.py).
SPACING = 117
# Below the range that the kernel gives to clients (32768 and up) with the highest of the ports,
# 8124: one of the many connections of other tests could take a port there before a board does.
_OFFSETS = range(18 * SPACING, 24_600, SPACING)
_PROCESSES = 12  # that have offsets of their own
_lock = None  # whose file is locked while this process lives
_mine = None


def _share() -> itertools.cycle:
    """The offsets that are this process' alone; when there are too many processes, all of them.

    In turn: a board that has not begun to listen keeps its offset.
    """
    global _lock
    folder = Path(tempfile.gettempdir()) / f"picopost-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(_PROCESSES):
        _lock = open(folder / str(number), "w")  # noqa: SIM115
        try:
            fcntl.flock(_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            _lock.close()
    else:
        number = None
    share = list(_OFFSETS) if number is None else list(_OFFSETS[number::_PROCESSES])
    random.SystemRandom().shuffle(share)
    return itertools.cycle(share)


def free_port_offset(ports: tuple[int, ...] = PORTS) -> int:
    """An offset at which all of these ports are free, and no other test's."""
    global _mine
    _mine = _mine or _share()
    for offset in itertools.islice(_mine, len(_OFFSETS)):
        try:
            for port in ports:
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", offset + port))
            return offset
        except OSError:
            continue
    raise AssertionError("no free ports")
