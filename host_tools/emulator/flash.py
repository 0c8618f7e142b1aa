"""The flash of an emulated board: a folder beside the image of its card.

What is laid out there at each start is in `prepare_flash` of board.py; the accounts stay.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools.firmware_build import BUILD

ACCOUNTS = "accounts.txt"
SETTINGS = "settings.json"


class InUse(Exception):
    """A board runs with this flash."""


def default_card(board: str) -> Path:
    """The image of the card that a board runs with unless it is told another."""
    return BUILD / board / "card.img"


def beside(card: Path) -> Path:
    """The flash of the board that runs with this card."""
    return card.with_suffix(".flash")


@contextmanager
def claimed(flash: Path) -> Iterator[None]:
    """While a board runs with it, or somebody changes it. Raises InUse, and OSError without it."""
    folder = os.open(flash, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        yield
    finally:
        os.close(folder)


def is_running(flash: Path) -> bool:
    """Whether a board runs with it now."""
    try:
        with claimed(flash):
            return False
    except InUse:
        return True
    except OSError:
        return False
