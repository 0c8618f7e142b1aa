"""The Pico W's link: what happens when the access point goes away and comes back, and when it does
not let us in."""

import time
from pathlib import Path

from tests.support.running import Running
from tests.support.wire import send

IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
WIFI = {"wifi": {"ssid": "home", "password": "very secret"}}


def test_link_lost_and_found(tmp_path):
    with Running(tmp_path) as running:
        running.wait_for("ready")
        assert send(running.smtp, b"Subject: x\r\n").startswith(b"250")
        running.board.radio.access_point = False
        running.wait_for("link_down")
        running.board.radio.access_point = True
        running.wait_for("link_up")
        assert send(running.smtp, b"Subject: y\r\n").startswith(b"250")


def to_literal(running, address):
    return send(running.smtp, b"Subject: z\r\n", to=(b"girl@[%s]" % address,))


def test_another_address(tmp_path):
    """Mail for user@[address] follows it, whether the network was lost or the lease renewed."""
    with Running(tmp_path) as running:
        assert running.wait_for("ready")["address"] == "127.0.0.1"
        assert to_literal(running, b"127.0.0.1").startswith(b"250")
        running.board.radio.access_point = False
        running.wait_for("link_down")
        running.board.radio.host = 2
        running.board.radio.access_point = True
        assert running.wait_for("link_up")["address"] == "127.0.0.2"
        assert to_literal(running, b"127.0.0.2").startswith(b"250")
        assert to_literal(running, b"127.0.0.1").startswith(b"550")
        running.board.radio.host = 3
        assert running.wait_for("link_up")["address"] == "127.0.0.3"
        assert to_literal(running, b"127.0.0.3").startswith(b"250")


def test_no_access_point_at_first(tmp_path):
    """It tells, and serves as soon as the network is there."""
    running = Running(tmp_path, {"wifi": {"ssid": "home", "password": "very secret"}})
    running.board.radio.access_point = False
    with running:
        event = running.wait_for("link_failed")
        assert "home" in event["why"] and "secret" not in event["why"]
        running.board.radio.access_point = True
        running.wait_for("ready")
        assert send(running.smtp, b"Subject: x\r\n").startswith(b"250")


def test_stops_while_there_is_no_network(tmp_path):
    running = Running(tmp_path)
    running.board.radio.access_point = False
    with running:
        running.wait_for("link_failed")


class Led:
    """The Pico W's, whose flashes are counted."""

    def __init__(self, board):
        self._flashes: list[float] = []
        board.pins.outputs[25] = lambda level: level and self._flashes.append(time.monotonic())

    def code(self) -> int:
        """Flashes between the next two pauses."""
        self._flashes.clear()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.05)
            seen = list(self._flashes)
            pauses = [at for at in range(1, len(seen)) if seen[at] - seen[at - 1] > 0.9]
            if len(pauses) > 1:
                return pauses[1] - pauses[0]
        raise AssertionError("the LED does not flash")


def test_wrong_password(tmp_path):
    """It says so, with what to do; the password itself is not told."""
    running = Running(tmp_path, WIFI, main=IMPATIENT)
    running.board.radio.password_right = False
    led = Led(running.board)
    with running:
        event = running.wait_for("link_failed")
        assert led.code() == 4
        assert event["why"] == "Wi-Fi 'home': wrong password" and "make deploy" in event["advice"]
        running.board.radio.password_right = True
        running.wait_for("ready")
        running.board.radio.password_right = False
        running.wait_for("link_down")
        event = running.wait_for("link_failed")
        assert "wrong password" in event["why"]
        assert "very secret" not in str(running.passed)


def test_no_dhcp_server(tmp_path):
    """The access point has let us in, so it is not the password."""
    running = Running(tmp_path, WIFI, main=IMPATIENT)
    running.board.radio.dhcp_server = False
    led = Led(running.board)
    with running:
        event = running.wait_for("link_failed")
        assert led.code() == 3
        assert "DHCP" in event["why"] and "fallback_address" in event["advice"]
        running.board.radio.dhcp_server = True
        running.wait_for("ready")


def test_the_name_for_mdns_is_there_before_the_interface(tmp_path):
    """lwIP takes it at that moment (mdns_resp_add_netif)."""
    with Running(tmp_path, {"hostname": "post"}) as running:
        running.wait_for("ready")
        assert running.board.radio.name == "post"
