"""A second opinion on the W5500 model: Adafruit's driver package, unchanged, on CPython.

On the board that package brings the chip up; its socketpool serves here only.
"""

import socket
import sys
import threading
import time
import types

import pytest

from host_tools.firmware_build import DEVICE_PACKAGES
from tests.chips import circuitpython
from tests.chips.w5500_host import client, reset_on_close

MAC = "02:00:00:00:77:02"
pytestmark = [
    pytest.mark.skipif(not (DEVICE_PACKAGES / "adafruit_wiznet5k").exists(),
                       reason="no device packages: run `make venv`"),
    # It looks for other chips first, with their frames, and gives CONNECT and LISTEN to UDP
    # sockets, which the chip ignores.
    pytest.mark.filterwarnings("ignore:W5500"),
]


@pytest.fixture
def package(monkeypatch):
    """The package's modules, imported from where the firmware's come from; it never sleeps."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    circuitpython.install(monkeypatch)
    from adafruit_wiznet5k import (
        adafruit_wiznet5k,
        adafruit_wiznet5k_dhcp,
        adafruit_wiznet5k_socketpool,
    )
    assert adafruit_wiznet5k.__file__.startswith(str(DEVICE_PACKAGES))
    yield types.SimpleNamespace(driver=adafruit_wiznet5k, dhcp=adafruit_wiznet5k_dhcp,
                                sockets=adafruit_wiznet5k_socketpool)
    for name in [n for n in sys.modules if n.startswith("adafruit_")]:
        del sys.modules[name]


@pytest.fixture
def bring_up(package, chip):
    def make(is_dhcp=True):
        reset = circuitpython.Output(lambda level: None if level else chip.reset())
        return package.driver.WIZNET5K(
            circuitpython.Spi(chip), circuitpython.Output(lambda level: chip.select(not level)),
            reset, is_dhcp=is_dhcp, mac=MAC)
    return make


def test_bring_up_and_lease(bring_up, lan):
    eth = bring_up()
    assert eth.chip == "w5500"
    assert eth.link_status
    assert eth.mac_address == bytes.fromhex(MAC.replace(":", ""))
    assert [eth.pretty_ip(part) for part in eth.ifconfig] == [
        "192.168.77.2", "255.255.255.0", "192.168.77.1", "192.168.77.1"]
    assert lan.dhcp.messages == {"DISCOVER": 1, "OFFER": 1, "REQUEST": 1, "ACK": 1}


def test_lease_renewal(package, bring_up, lan, monkeypatch):
    ahead = [0]
    ticks_ms = package.dhcp.ticks_ms
    monkeypatch.setattr(package.dhcp, "ticks_ms", lambda: ticks_ms() + ahead[0] & (1 << 29) - 1)
    lan.dhcp.lease_seconds = 600
    eth = bring_up()
    eth.maintain_dhcp_lease()
    assert lan.dhcp.messages["REQUEST"] == 1
    ahead[0] = 301_000  # T1 is half the lease
    eth.maintain_dhcp_lease()
    assert lan.dhcp.messages["REQUEST"] == lan.dhcp.messages["ACK"] == 2
    eth.maintain_dhcp_lease()
    assert lan.dhcp.messages["REQUEST"] == 2


def test_link_down(bring_up, lan):
    eth = bring_up(is_dhcp=False)
    lan.set_link(False)
    assert not eth.link_status
    with pytest.raises(ConnectionError):
        eth.socket_open(0)


def test_name_lookup(bring_up, lan):
    def answer(query):
        name_end = query.index(b"\0", 12) + 5
        return (query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:name_end]
                + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes((10, 9, 8, 7)))

    lan.udp[53] = answer
    assert bring_up().get_host_by_name("ntp.example") == bytes((10, 9, 8, 7))


def listening(package, eth, port=25):
    server = package.sockets.SocketPool(eth).socket()
    server.bind((None, port))
    server.listen()
    server.settimeout(5)
    return server


def test_accepts_and_echoes(package, bring_up, lan):
    server = listening(package, bring_up())
    data = bytes(range(256)) * 64
    with client(lan, device="127.0.0.33") as peer:
        received = bytearray()

        def exchange():
            peer.sendall(data)
            while len(received) < len(data):
                received.extend(peer.recv(65536))

        thread = threading.Thread(target=exchange)
        thread.start()
        connection, address = server.accept()
        assert address == ("192.168.77.33", peer.getsockname()[1])
        connection.settimeout(5)
        echoed = 0
        while echoed < len(data):
            piece = connection.recv(2048)
            assert connection.send(piece) == len(piece)
            echoed += len(piece)
        thread.join(10)
        assert received == data
        with client(lan) as second:  # it listens again, on the next socket
            other, _ = server.accept()
            second.sendall(b"hi")
            assert other.recv(2) == b"hi"
            other.close()
            assert second.recv(1) == b""
        connection.close()
        assert peer.recv(1) == b""


def test_peers_fin_ends_recv(package, bring_up, lan):
    server = listening(package, bring_up())
    with client(lan) as peer:
        connection, _ = server.accept()
        peer.sendall(b"last words")
    connection.settimeout(5)
    assert connection.recv(100) == b"last words"
    assert connection.recv(100) == b""
    connection.close()


def test_connects(package, bring_up, lan):
    with socket.create_server(("127.0.0.1", 0)) as outside:
        lan.outgoing["192.168.77.50", 587] = outside.getsockname()
        pool = package.sockets.SocketPool(bring_up())
        endpoint = pool.socket()
        endpoint.connect(("192.168.77.50", 587))
        peer, _ = outside.accept()
        with peer:
            peer.sendall(b"220 ready")
            endpoint.settimeout(5)
            assert endpoint.recv(9) == b"220 ready"
        with pytest.raises(ConnectionError):
            pool.socket().connect(("192.168.77.51", 587))


def test_syn_and_rst_kill_its_accept(package, bring_up, lan):
    """LISTEN, ESTABLISHED, CLOSED: it closes its socket, then cannot listen with it again."""
    server = listening(package, bring_up())
    with client(lan) as peer:
        reset_on_close(peer)
    with pytest.raises(RuntimeError, match="socket has been closed"):
        server.accept()
