"""The setting `fallback_address`: what a board does where no DHCP server answers, on each kind of
link, and where one does later."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools.emulator.lan import DHCP_PORT
from tests.support.running import Running
from tests.support.wire import Lines, send

IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
# On a W5500 of its own TCP the address says what the LAN is; lwIP's sockets are the VM's, and an
# address is only told.
FALLBACK = {"address": "192.168.77.9", "netmask": "255.255.255.0", "gateway": "192.168.77.1",
            "dns": "192.168.77.1"}


class Router:
    """The DHCP server of a board, of whatever link, which answers or does not."""

    def __init__(self, board):
        self._board = board
        self._answer = board.lan.udp[DHCP_PORT] if board.lan else None

    def answers(self, does: bool) -> None:
        if self._board.lan:
            self._board.lan.udp[DHCP_PORT] = self._answer if does else lambda message: None
        else:
            network = self._board.radio or self._board.cable
            network.dhcp_server = does
            network.patient = False


@pytest.fixture(params=["pico_w", "pico_w5500", "w5500_evb_pico"])
def running(request, tmp_path):
    """A board that waits for DHCP for 300 ms; its router says nothing yet."""
    running = Running(tmp_path, {"fallback_address": FALLBACK}, request.param, IMPATIENT)
    running.router = Router(running.board)
    running.router.answers(False)
    with running:
        yield running


def _serves(running, address):
    assert send(running.smtp, b"Subject: x\r\n",
                to=(b"girl@[%s]" % address.encode(),)).startswith(b"250")


def test_without_a_dhcp_server(running):
    told = running.wait_for("fallback_address")
    assert told["address"] == FALLBACK["address"] and "DHCP" in told["why"] and told["advice"]
    assert running.wait_for("ready")["address"] == FALLBACK["address"]
    _serves(running, FALLBACK["address"])
    # The router has started.
    running.router.answers(True)
    address = running.wait_for("link_up")["address"]
    assert address == ("192.168.77.2" if running.board.lan else "127.0.0.1")
    _serves(running, address)
    assert not [event for event in running.passed if event["event"] in ("fault", "link_failed")]


def test_sessions_end_with_the_address_that_they_came_to(tmp_path):
    """The W5500 does not end them, lwIP does by itself (tcp_netif_ip_addr_changed)."""
    running = Running(tmp_path, {"fallback_address": FALLBACK}, "pico_w5500", IMPATIENT)
    router = Router(running.board)
    router.answers(False)
    with running:
        running.wait_for("ready")
        with Lines(running.smtp) as smtp, pytest.raises(ConnectionError):
            smtp.reply()
            router.answers(True)
            smtp.line()
        running.wait_for("link_up", address="192.168.77.2")
        for _ in range(6):  # more than there are seats
            _serves(running, "192.168.77.2")


def test_a_lease_that_ends(tmp_path):
    """Its address is given up, and the other one taken, until somebody answers again."""
    running = Running(tmp_path, {"fallback_address": FALLBACK}, "pico_w5500", IMPATIENT)
    running.board.lan.dhcp.lease_seconds = 2
    router = Router(running.board)
    with running:
        assert running.wait_for("ready")["address"] == "192.168.77.2"
        router.answers(False)
        running.wait_for("fallback_address")
        running.wait_for("link_up", address=FALLBACK["address"])
        _serves(running, FALLBACK["address"])
        router.answers(True)
        running.wait_for("link_up", address="192.168.77.2")
