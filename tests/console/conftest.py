"""A board that serves, with the firmware in its image, and who types at its USB."""

from __future__ import annotations

import pytest

from tests.care.boards import copy
from tests.console.typist import Typist
from tests.deploy.usb_board import UsbBoard

IN_IMAGE = ("--in-place",)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory):
    """The folder of a board that has been set up for girl, without mail; it is off."""
    folder = tmp_path_factory.mktemp("deployed")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / "home"))
        with UsbBoard(folder, more=IN_IMAGE) as board:
            board.deploy()
    return folder


@pytest.fixture
def folder(deployed, tmp_path):
    """A copy of it."""
    return copy(deployed, tmp_path / "board")


@pytest.fixture
def board(folder):
    """And it is on."""
    with UsbBoard(folder, more=IN_IMAGE) as board:
        board.wait_ready()
        yield board


@pytest.fixture
def typist(board):
    with Typist(board.port) as typist:
        yield typist
