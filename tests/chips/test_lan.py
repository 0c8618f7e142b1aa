"""The LAN behind the chip: outside ports, and the DHCP server (RFC 2131)."""

import socket

import pytest

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.dhcp_server import (
    ACK,
    DISCOVER,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    DhcpServer,
)
from host_tools.emulator.lan import Lan, PortError
from tests.chips.w5500_host import Host, client, free_offset


@pytest.fixture
def occupied():
    """A port offset where another program listens for 25."""
    offset = free_offset()
    with socket.create_server(("127.0.0.1", offset + 25)):
        yield offset


def test_claim_names_the_port_that_is_taken(occupied):
    lan = Lan(occupied)
    with pytest.raises(PortError, match=rf"port {occupied + 25} \(for 25\): Address already"):
        lan.claim([26, 25])
    lan.claim([26])
    lan.close()


def test_claim_refuses_a_port_that_cannot_be():
    lan = Lan(65500)
    with pytest.raises(PortError, match="port 65610"):
        lan.claim([110])
    lan.close()


def test_claim_gives_the_ports_back(lan):
    lan.claim([25])
    with pytest.raises(ConnectionRefusedError), client(lan):
        pass
    lan.claim([25])


def test_a_port_lost_later_is_recorded(occupied):
    lan = Lan(occupied)
    host = Host(W5500(lan))
    host.listen(0)
    assert isinstance(lan.port_error, PortError)
    assert str(occupied + 25) in str(lan.port_error)
    host.listen(1, port=26)  # the others work
    with client(lan, 26):
        pass
    host.chip.reset()
    lan.close()


def test_a_port_is_free_again_with_connections_of_the_listener_before(host, lan):
    for number in range(3):
        host.listen(number)
        context = client(lan)
        context.__enter__()
        host.until(lambda number=number: host.status(number) == 0x17)
        context.__exit__(None, None, None)
    assert lan.port_error is None


def test_close_gives_everything_back():
    offset = free_offset()
    lan = Lan(offset)
    host = Host(W5500(lan))
    host.listen(0)
    host.listen(1)
    with client(lan) as peer:
        host.until(lambda: host.status(0) == 0x17)
        lan.close()
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    again = Lan(offset)
    again.claim([25])
    again.close()


# --- DHCP -------------------------------------------------------------------------------------

MAC = bytes((2, 0, 0, 0, 0, 1))
ADDRESS, SERVER = bytes((192, 168, 77, 2)), bytes((192, 168, 77, 1))


def message(kind, *options, ciaddr=bytes(4)):
    head = bytes((1, 1, 6, 0)) + b"\x12\x34\x56\x78" + bytes(4) + ciaddr + bytes(12)
    body = head + MAC.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63"
    fields = ((53, bytes((kind,))), *options)
    return body + b"\0" + b"".join(bytes((c, len(v))) + v for c, v in fields) + b"\xff"


def options_of(reply):
    field, options = reply[240:], {}
    while field[0] != 255:
        options[field[0]] = field[2 : 2 + field[1]]
        field = field[2 + field[1] :]
    return options


def test_dhcp_offers_and_acknowledges_a_lease():
    server = DhcpServer(lease_seconds=800)
    offer = server.answer(message(DISCOVER))
    assert (offer[0], offer[4:8], offer[16:20], offer[28:34]) == (
        2, b"\x12\x34\x56\x78", ADDRESS, MAC)
    assert options_of(offer) == {
        53: bytes((OFFER,)), 54: SERVER, 51: (800).to_bytes(4, "big"),
        58: (400).to_bytes(4, "big"), 59: (700).to_bytes(4, "big"),
        1: b"\xff\xff\xff\0", 3: SERVER, 6: SERVER}
    assert len(offer) >= 300
    ack = server.answer(message(REQUEST, (50, ADDRESS), (54, SERVER)))
    assert options_of(ack)[53] == bytes((ACK,))
    server.lease_seconds = 10
    renewed = server.answer(message(REQUEST, ciaddr=ADDRESS))
    assert options_of(renewed)[53] == bytes((ACK,)) and renewed[12:16] == ADDRESS
    assert options_of(renewed)[51] == (10).to_bytes(4, "big")
    assert server.messages == {"DISCOVER": 1, "OFFER": 1, "REQUEST": 2, "ACK": 2}


def test_dhcp_refuses_another_address():
    reply = DhcpServer().answer(message(REQUEST, (50, bytes((10, 0, 0, 9)))))
    assert options_of(reply) == {53: bytes((NAK,)), 54: SERVER}
    assert reply[16:20] == bytes(4)


@pytest.mark.parametrize("payload", [
    b"", bytes(240), message(RELEASE), message(DISCOVER)[:239],
    message(REQUEST, (54, bytes((10, 0, 0, 1)))),  # for another server
    message(DISCOVER)[:240] + b"\x35\x00\xff",  # an empty message type
    message(DISCOVER)[:240] + b"\x35",  # cut off
])
def test_dhcp_is_silent(payload):
    assert DhcpServer().answer(payload) is None
