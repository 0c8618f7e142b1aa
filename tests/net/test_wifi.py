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


def test_no_access_point_at_first(tmp_path):
    """It tells, and serves as soon as the network is there."""
    running = Running(tmp_path, {"wifi": {"ssid": "home", "password": "very secret"}})
    running.board.radio.access_point = False
    with running:
        event = running.wait_for("link_failed")
        assert "home" in event["error"] and "secret" not in event["error"]
        running.board.radio.access_point = True
        running.wait_for("ready")
        assert send(running.smtp, b"Subject: x\r\n").startswith(b"250")


def test_stops_while_there_is_no_network(tmp_path):
    running = Running(tmp_path)
    running.board.radio.access_point = False
    with running:
        running.wait_for("link_failed")
