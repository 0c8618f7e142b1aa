"""UDP of the W5500 model (datasheet 4.2)."""

import random
import socket

import pytest

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.chips.w5500_registers import (
    IR_RECV,
    IR_SEND_OK,
    IR_TIMEOUT,
    PROTOCOL_UDP,
    Status,
)
from tests.chips.w5500_host import Host


def test_pointers_wrap_in_udp(lan):
    lan.udp[9] = lambda payload: payload
    host = Host(W5500(lan, initial_pointer=0xFFFE))
    host.open(0, PROTOCOL_UDP)
    host.write(0, "Sn_DPORT", 9, 2)
    host.give(0, b"over the end")
    assert host.read(0, "Sn_TX_RD", 2) == 10 and host.read(0, "Sn_TX_FSR", 2) == 2048
    assert host.take(0)[8:] == b"over the end"


def test_udp(host, lan):
    lan.udp[53] = lambda payload: payload[::-1] if payload != b"quiet" else None
    host.open(2, PROTOCOL_UDP, port=5353)
    assert host.status(2) == Status.SOCK_UDP
    host.write(2, "Sn_DIPR", 0xC0A84D01, 4)
    host.write(2, "Sn_DPORT", 53, 2)
    host.give(2, b"abc")
    assert host.interrupts(2) == IR_SEND_OK | IR_RECV
    assert host.take(2) == bytes((192, 168, 77, 1, 0, 53, 0, 3)) + b"cba"
    host.give(2, b"quiet")
    host.write(2, "Sn_DPORT", 54, 2)
    host.give(2, b"nobody")
    assert host.interrupts(2) == IR_SEND_OK
    assert host.read(2, "Sn_RX_RSR", 2) == 0


def test_udp_splits_at_the_segment_size_and_drops_what_finds_no_room(host, lan):
    seen = []
    lan.udp[9] = lambda payload: seen.append(payload) or payload
    host.open(0, PROTOCOL_UDP)
    host.write(0, "Sn_DIPR", 0xFFFFFFFF, 4)
    host.write(0, "Sn_DPORT", 9, 2)
    data = random.randbytes(2048)
    host.give(0, data)
    assert seen == [data[:1472], data[1472:]]
    # 8 + 1472 octets fit, 8 + 576 more do not: whole or not at all.
    assert host.take(0) == bytes((192, 168, 77, 1, 0, 9, 0x05, 0xC0)) + data[:1472]


def test_udp_without_link_times_out(host, lan):
    lan.set_link(False)
    host.open(0, PROTOCOL_UDP)
    host.give(0, b"x")
    assert host.interrupts(0) == IR_TIMEOUT
    assert host.status(0) == Status.SOCK_UDP


# --- a multicast group (4.2, Sn_MR bit 7) -------------------------------------------------------

GROUP = 0xEF4D0102  # 239.77.1.2, whose hardware address has 23 bits of it: 01:00:5E:4D:01:02
PORT = 20_000 + random.randrange(10_000)


def join(host, number, mac=0x01005E4D0102, port=PORT):
    host.write_common(0x0F, bytes((192, 168, 77, 9)))
    host.write(number, "Sn_DHAR", mac, 6)
    host.write(number, "Sn_DIPR", GROUP, 4)
    host.write(number, "Sn_DPORT", port, 2)
    host.open(number, 0x80 | PROTOCOL_UDP, PORT)


@pytest.fixture
def device():
    """127.0.0.7, another one in that group on the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        loopback = socket.inet_aton("127.0.0.1")
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        sender.bind(("127.0.0.7", 0))
        sender.settimeout(5)
        yield sender


def test_a_multicast_group(host, lan, device):
    join(host, 0)
    assert host.status(0) == Status.SOCK_UDP
    host.give(0, b"to all")  # which it does not hear itself
    device.sendto(b"hello", ("239.77.1.2", PORT))
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2))
    port = device.getsockname()[1]
    assert host.take(0) == bytes((192, 168, 77, 7)) + port.to_bytes(2, "big") + b"\0\x05hello"
    device.sendto(b"you", ("127.0.0.9", PORT))  # its own address is heard too: UCASTB is 0
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2))
    assert host.take(0)[8:] == b"you"
    # From the same port, outside the group, to one alone.
    host.open(0, PROTOCOL_UDP, PORT)
    device.sendto(b"nobody listens", ("239.77.1.2", PORT))
    host.write(0, "Sn_DIPR", 0xC0A84D07, 4)
    host.write(0, "Sn_DPORT", port, 2)
    host.give(0, b"answer")
    assert device.recvfrom(100) == (b"answer", ("127.0.0.9", PORT))
    host.chip.poll()
    assert host.read(0, "Sn_RX_RSR", 2) == 0


def test_a_multicast_group_without_link(host, lan, device):
    join(host, 0)
    lan.set_link(False)
    device.sendto(b"x", ("239.77.1.2", PORT))
    for _ in range(10):
        host.chip.poll()
    assert host.read(0, "Sn_RX_RSR", 2) == 0


@pytest.mark.parametrize("wrong", [{"mac": 0x01005ECD0102}, {"port": 1}])
def test_a_multicast_group_whose_registers_do_not_fit(host, wrong):
    with pytest.warns(UserWarning, match="not the group's"):
        join(host, 0, **wrong)
