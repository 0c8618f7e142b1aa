"""The Pico W's link: what happens when the access point goes away and comes back."""

from tests.support.running import Running
from tests.support.wire import send


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
