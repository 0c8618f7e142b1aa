"""UDP of the W5500 model (datasheet 4.2)."""

import random

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
