"""Appliances for the tests with real mail programs: one for each board and module."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools import boards
from tests.e2e import clients
from tests.e2e.letters import LETTERS
from tests.support.appliance import Appliance

# What mail, sessions and the command line do is tested on each RP2040. Boards with an RP2350 have
# the same links and more heap; tests/deploy brings the firmware onto them, and mail.
BOARDS = tuple(name for name in boards.names()
               if boards.chip_of(boards.load(name)) is boards.RP2040)
# One for each kind of sockets, lwIP's and the W5500's own. Boards of a kind differ in how their
# link comes up (tests/net) and in nothing above it, so what takes long, and asks what many
# programs and strangers do at a socket, is tested on one of each kind.
KINDS = ("pico_w", "pico_w5500")
# Each test has an account of its own, so none disturbs another.
USERS = {name: f"pa55-{name}" for name in (*clients.SENDERS, "crowd")}


@pytest.fixture(scope="module", params=BOARDS)
def appliance(request, tmp_path_factory):
    """A running appliance with USERS; the letters lie in the mailbox of "crowd".

    At the module's end it has to stop cleanly and to have had no fault.
    """
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS) as running:
        for message in LETTERS.values():
            clients.send(running, [f"crowd@{running.hostname}"], message)
        yield running
    assert running.faults() == []


@pytest.fixture
def home(tmp_path) -> Path:
    """An empty home directory for one mail program."""
    path = tmp_path / "home"
    path.mkdir()
    return path
