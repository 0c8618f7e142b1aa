"""A network that goes and comes back: how soon the services do, what becomes of sessions, and that
nothing of them is left."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from host_tools.emulator.dhcp_server import DhcpServer
from host_tools.emulator.lan import DHCP_PORT
from tests.support.running import Running
from tests.support.wire import Lines, send

FAST_TIME = Path(__file__).parents[1] / "support" / "fast_time.py"
BOARDS = ("pico_w", "pico_w5500", "w5500_evb_pico")
SOON = 10  # s from the link's return to a service's
HOUR = 3600


def running_board(folder: Path, name: str, **settings) -> Running:
    running = Running(folder, settings, name, FAST_TIME)
    running.flash = folder / "flash"
    return running


def link(running: Running, up: bool) -> None:
    """The cable, or the access point."""
    board = running.board
    if board.lan:
        board.lan.set_link(up)
    elif board.radio:
        board.radio.access_point = up
    else:
        board.cable.plugged = up


def other_router(running: Running) -> str:
    """Another one, with another subnet, which does not know what the one before gave; the address
    that it gives. It says nothing to who asks for one of the old network, as those do that are
    not alone for sure ("authoritative").
    """
    board = running.board
    if board.lan:
        board.lan.dhcp = DhcpServer(address=bytes((10, 0, 0, 7)), server=bytes((10, 0, 0, 1)))
        board.lan.udp[DHCP_PORT] = lambda message: (
            board.lan.dhcp.answer(message) if message[12:16] == bytes(4) else None)
        return "10.0.0.7"
    network = board.radio or board.cable
    network.network, network.host = 1, 7
    return "127.0.1.7"


def pass_time(running: Running, seconds: int, speed: int) -> None:
    """So many seconds of the board's."""
    path = running.flash / "speed"
    path.write_text(str(speed))
    start = running.wait_for("speed", speed=speed)["at"]
    time.sleep(seconds / speed)
    path.write_text("1")
    passed = running.wait_for("speed", speed=1)["at"] - start
    assert seconds <= passed < 4 * seconds


def serves_within(running: Running, since: float, address: str | None = None) -> float:
    """Seconds from `since` until a letter is taken."""
    to = b"girl@[%s]" % address.encode() if address else b"girl@xyz.com"
    while True:
        try:
            if send(running.smtp, b"Subject: x\r\n", to=(to,)).startswith(b"250"):
                return time.monotonic() - since
        except OSError:
            pass
        assert time.monotonic() - since < SOON, "it does not serve"
        time.sleep(0.02)


def greeted(running: Running) -> Lines:
    """A session. A W5500 refuses who comes while it has no listener; devices come again."""
    since = time.monotonic()
    while True:
        try:
            session = Lines(running.smtp)
            if session.reply().startswith(b"220"):
                return session
            session.close()
        except ConnectionError:
            pass
        assert time.monotonic() - since < SOON, "a seat is missing"
        time.sleep(0.02)


def has_all_its_seats(running: Running) -> None:
    """Five sessions at once, and others after them: none was left behind."""
    for _ in range(2):
        sessions = [greeted(running) for _ in range(5)]
        for session in sessions:
            assert session.say(b"QUIT").startswith(b"221")
            session.close()


def no_fault(running: Running) -> None:
    assert not [event for event in running.passed
                if event["event"] in ("fault", "console", "accept_failed")]


@pytest.mark.parametrize("name", BOARDS)
def test_sessions_outlive_a_short_loss(tmp_path, name):
    """What was said before is kept, and the session goes on where it was."""
    with running_board(tmp_path, name) as running:
        running.wait_for("ready")
        with Lines(running.smtp) as smtp:
            smtp.reply()
            assert smtp.say(b"HELO abc.com").startswith(b"250")
            assert smtp.say(b"MAIL FROM:<boy@abc.com>").startswith(b"250")
            link(running, False)
            running.wait_for("link_down")
            link(running, True)
            since = time.monotonic()
            assert smtp.say(b"RCPT TO:<girl@xyz.com>").startswith(b"250")
            print(f"{name}: a session goes on {time.monotonic() - since:.2f} s after the link")
            assert time.monotonic() - since < SOON
            assert smtp.say(b"QUIT").startswith(b"221")
        running.wait_for("link_up")
        has_all_its_seats(running)
        no_fault(running)


@pytest.mark.parametrize("name", BOARDS)
def test_an_hour_without_a_network(tmp_path, name):
    """Sessions that were open have ended by their deadlines; the services are back at once."""
    with running_board(tmp_path, name) as running:
        running.wait_for("ready")
        sessions = [Lines(running.smtp) for _ in range(3)]
        for session in sessions:
            session.reply()
        sessions[0].say(b"EHLO abc.com")
        link(running, False)
        running.wait_for("link_down")
        pass_time(running, HOUR, 600)
        for session in sessions:
            session.close()
        link(running, True)
        since = time.monotonic()
        running.wait_for("link_up")  # lwIP's sockets are the VM's, which need no link
        seconds = serves_within(running, since)
        print(f"{name}: a service is back {seconds:.2f} s after an hour")
        has_all_its_seats(running)
        no_fault(running)


@pytest.mark.parametrize("name", BOARDS)
def test_another_router_with_another_subnet(tmp_path, name):
    """It does not answer to who asks for an address of the old one, so a new one is asked for."""
    with running_board(tmp_path, name) as running:
        running.wait_for("ready")
        with Lines(running.smtp) as smtp:
            smtp.reply()
            link(running, False)
            running.wait_for("link_down")
            address = other_router(running)
            pass_time(running, 60, 60)
            link(running, True)
            since = time.monotonic()
            while running.wait_for("link_up")["address"] != address:
                pass
            seconds = serves_within(running, since, address)
        print(f"{name}: a service is back {seconds:.2f} s after the link, elsewhere")
        has_all_its_seats(running)
        no_fault(running)


@pytest.mark.parametrize("name", ["pico_w", "pico_w5500"])
@pytest.mark.parametrize("refused", [False, True])
def test_another_address_at_renewal(tmp_path, name, refused):
    """The server refuses the old one (DHCPNAK, RFC 2131 4.3.2), or gives another later. Of lwIP's
    DHCP there is no more to be seen than the address.
    """
    if refused and name == "pico_w":
        pytest.skip("lwIP's own affair")
    running = running_board(tmp_path, name)
    if running.board.lan:
        running.board.lan.dhcp.lease_seconds = 86_400
    with running:
        running.wait_for("ready")
        with Lines(running.smtp) as smtp:
            smtp.reply()
            if running.board.lan:
                running.board.lan.dhcp.address = bytes((192, 168, 77, 9))
                address = "192.168.77.9"
                if not refused:  # it does not remember, and says nothing until the lease ends
                    answer = running.board.lan.udp[DHCP_PORT]
                    running.board.lan.udp[DHCP_PORT] = lambda message: (
                        answer(message) if message[12:16] == bytes(4) else None)
                since = time.monotonic()
                (running.flash / "speed").write_text("20000")
                running.wait_for("link_up", address=address)
                (running.flash / "speed").write_text("1")
                running.wait_for("speed", speed=1)
                with pytest.raises((ConnectionError, socket.timeout)):
                    smtp.socket.settimeout(5)
                    while smtp.line():
                        pass
                    raise ConnectionResetError  # its own end, by its deadline
            else:
                running.board.radio.host = 9
                address = "127.0.0.9"
                since = time.monotonic()
                running.wait_for("link_up", address=address)
        seconds = serves_within(running, time.monotonic(), address)
        print(f"{name}: a service is back {seconds:.2f} s after the new address "
              f"({time.monotonic() - since:.1f} s of the wall for it)")
        has_all_its_seats(running)
        no_fault(running)
