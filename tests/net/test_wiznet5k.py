"""The link of a W5500 under lwIP: a cable that is pulled, a DHCP server that is silent, a driver
that gives up."""

from pathlib import Path

import pytest

from tests.support.running import Running
from tests.support.wire import send

BOARD = "w5500_evb_pico"
IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
FIXED = {"address": "192.168.7.9", "netmask": "255.255.255.0", "gateway": "192.168.7.1",
         "dns": "192.168.7.1"}


def running_board(folder: Path, settings: dict | None = None) -> Running:
    """One that waits for cable and lease for 300 ms, and looks every 50."""
    return Running(folder, settings, BOARD, IMPATIENT)


def _serves(running: Running) -> None:
    assert send(running.smtp, b"Subject: x\r\n").startswith(b"250")


def test_cable_pulled_and_put_back(tmp_path):
    """The lease is asked about, since nobody told lwIP that the network may be another."""
    with running_board(tmp_path) as running:
        assert running.wait_for("ready")["address"] == "127.0.0.1"
        _serves(running)
        requests = running.board.cable.requests
        running.board.cable.plugged = False
        running.wait_for("link_down")
        running.board.cable.plugged = True
        assert running.wait_for("link_up")["address"] == "127.0.0.1"
        assert running.board.cable.requests > requests
        assert running.board.cable.resets == 1  # sessions outlive it
        _serves(running)


def test_another_address(tmp_path):
    """Mail for user@[address] follows it."""
    with running_board(tmp_path) as running:
        running.wait_for("ready")
        running.board.cable.plugged = False
        running.wait_for("link_down")
        running.board.cable.host = 2
        running.board.cable.plugged = True
        assert running.wait_for("link_up")["address"] == "127.0.0.2"
        for address, reply in ((b"127.0.0.2", b"250"), (b"127.0.0.1", b"550")):
            assert send(running.smtp, b"Subject: x\r\n",
                        to=(b"girl@[%s]" % address,)).startswith(reply)


@pytest.mark.parametrize("settings, address", [({}, "127.0.0.1"),
                                               ({"address": FIXED}, FIXED["address"])])
def test_no_cable_at_first(tmp_path, settings, address):
    """It tells, and serves as soon as the cable is in."""
    running = running_board(tmp_path, settings)
    running.board.cable.plugged = False
    with running:
        assert "cable" in running.wait_for("link_failed")["why"]
        running.board.cable.plugged = True
        assert running.wait_for("ready")["address"] == address
        _serves(running)


def test_no_dhcp_server_at_first(tmp_path):
    running = running_board(tmp_path)
    running.board.cable.dhcp_server = False
    with running:
        assert "DHCP" in running.wait_for("link_failed")["why"]
        running.board.cable.dhcp_server = True
        running.wait_for("ready")
        _serves(running)


def test_fixed_address_asks_nobody(tmp_path):
    running = running_board(tmp_path, {"address": FIXED})
    running.board.cable.dhcp_server = False
    with running:
        assert running.wait_for("ready")["address"] == FIXED["address"]
        running.board.cable.plugged = False
        running.wait_for("link_down")
        running.board.cable.plugged = True
        assert running.wait_for("link_up")["address"] == FIXED["address"]


@pytest.mark.parametrize("settings", [{}, {"address": FIXED}])
def test_driver_that_gave_up_is_started_again(tmp_path, settings):
    with running_board(tmp_path, settings) as running:
        address = running.wait_for("ready")["address"]
        running.board.cable.fail()
        running.wait_for("link_down")
        assert running.wait_for("link_up")["address"] == address
        assert running.board.cable.resets == 2
        _serves(running)


def test_stops_while_there_is_no_cable(tmp_path):
    running = running_board(tmp_path)
    running.board.cable.plugged = False
    with running:
        running.wait_for("link_failed")


def test_the_name_for_mdns_is_there_before_the_interface(tmp_path):
    """lwIP takes it at that moment (mdns_resp_add_netif); 32 octets of it at most."""
    with running_board(tmp_path, {"hostname": "p" * 40}) as running:
        running.wait_for("ready")
        assert running.board.cable.name == "p" * 32
