"""What the W5500 model does without link, and with peers that vanish."""

import pytest

from host_tools.emulator.chips.w5500_registers import (
    IR_RECV,
    IR_SEND_OK,
    IR_TIMEOUT,
    Command,
    Status,
)
from tests.chips.w5500_host import client, readable


def test_vanished_peer_is_found_out_by_sending(chip, host, lan, peer):
    lan.vanish("192.168.77.1")
    peer.sendall(b"never seen")
    for _ in range(chip.timeout_polls * 2):
        assert host.status(0) == Status.SOCK_ESTABLISHED
    assert host.read(0, "Sn_RX_RSR", 2) == 0 and not readable(chip)
    host.give(0, b"anybody there?")
    assert_given_up(chip, host)


def assert_given_up(chip, host):
    for _ in range(chip.timeout_polls):
        chip.poll()
    assert host.interrupts(0) == IR_TIMEOUT
    assert host.status(0) == Status.SOCK_CLOSED


@pytest.mark.parametrize("how", ["SEND_KEEP", "KPALVTR", "DISCON"])
def test_vanished_peer_is_found_out_otherwise(chip, host, lan, peer, how):
    lan.vanish()
    host.status(0)
    if how == "KPALVTR":
        host.write(0, "Sn_KPALVTR", 1)
    else:
        host.command(0, Command[how])
    assert_given_up(chip, host)


def test_only_the_named_device_vanishes(host, lan):
    host.listen(0)
    host.listen(1)
    with client(lan, device="127.0.0.20"), client(lan, device="127.0.0.21") as other:
        host.until(lambda: host.status(0) == host.status(1) == Status.SOCK_ESTABLISHED)
        lan.vanish("192.168.77.20")
        other.sendall(b"still here")
        host.until(lambda: host.take(1) == b"still here")


def test_link_down_stalls_and_resumes(chip, host, lan, peer):
    host.listen(1)
    lan.set_link(False)
    assert host.read_common(0x2E) == b"\xb8"
    host.status(0)  # any status read brings the chip up to date
    with pytest.raises(ConnectionRefusedError), client(lan):
        pass
    peer.sendall(b"late")
    host.give(0, b"later")
    for _ in range(chip.timeout_polls * 2):
        assert host.status(0) == Status.SOCK_ESTABLISHED
    assert not readable(chip)
    assert host.read(0, "Sn_RX_RSR", 2) == 0
    assert host.interrupts(0) == 0
    assert not readable(peer)

    lan.set_link(True)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 4)
    assert host.interrupts(0) == IR_RECV | IR_SEND_OK
    assert peer.recv(10) == b"later"
    with client(lan):
        host.until_status(1, Status.SOCK_ESTABLISHED)


def test_disconnect_without_link_waits_for_it(chip, host, lan, peer):
    lan.set_link(False)
    host.command(0, Command.DISCON)
    for _ in range(chip.timeout_polls * 2):
        assert host.status(0) == Status.SOCK_FIN_WAIT
    assert not readable(peer)
    lan.set_link(True)
    host.until(lambda: host.chip.poll() or readable(peer))
    assert peer.recv(10) == b""
