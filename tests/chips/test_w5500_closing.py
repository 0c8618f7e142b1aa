"""How connections of the W5500 model end: FIN, RST, DISCON, CLOSE (datasheet 4.2, Sn_CR, Sn_SR)."""

import socket

import pytest

from host_tools.emulator.chips.w5500_registers import (
    IR_CON,
    IR_DISCON,
    IR_RECV,
    IR_TIMEOUT,
    Command,
    Status,
)
from tests.chips.w5500_host import client, fill_the_peer, readable, reset_on_close


def test_passive_close(host, peer):
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.interrupts(0) == IR_DISCON
    host.give(0, b"bye")  # half-closed: still sent
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_CLOSED
    assert peer.recv(10) + peer.recv(10) == b"bye"


def test_fin_shows_only_after_the_data_before_it(host, peer):
    data = bytes(range(256)) * 12  # 3072 octets, the RX memory holds 2048
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    assert host.status(0) == Status.SOCK_ESTABLISHED
    assert host.interrupts(0) == IR_RECV
    first = host.take(0, 1000)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    assert host.status(0) == Status.SOCK_ESTABLISHED
    assert first + host.take(0) + host.take(0) == data
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.interrupts(0) & IR_DISCON


def test_fin_needs_no_room(host, peer):
    peer.sendall(bytes(2048))
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.read(0, "Sn_RX_RSR", 2) == 2048


def test_reset_by_the_peer(host, peer):
    peer.sendall(b"abc")
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 3)
    host.interrupts(0)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert host.interrupts(0) == IR_DISCON
    assert host.take(0) == b"abc"  # what had come stays readable


def test_reset_behind_data_that_found_no_room(host, peer):
    """A RST overtakes what the chip has not taken: the rest of the data is lost, as on a LAN."""
    peer.sendall(bytes(4000))
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert len(host.take(0)) == 2048
    assert host.read(0, "Sn_RX_RSR", 2) == 0


def test_reset_in_close_wait(host, peer):
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    host.interrupts(0)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert host.interrupts(0) == IR_DISCON


def test_syn_and_rst_on_a_listener(host, lan):
    """LISTEN, ESTABLISHED, CLOSED; and the socket can be used again."""
    for _ in range(2):
        host.listen(0)
        with client(lan) as peer:
            reset_on_close(peer)
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.status(0) == Status.SOCK_CLOSED
        assert host.interrupts(0) == IR_CON | IR_DISCON


def test_close_drops(host, peer):
    host.command(0, Command.CLOSE)
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == 0
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_close_takes_nothing_back_that_was_sent(chip, host, peer):
    """SEND_OK means that the peer has it, so CLOSE may not lose it on the way."""
    taken = fill_the_peer(host) - 2048 + host.read(0, "Sn_TX_FSR", 2)
    host.command(0, Command.CLOSE)
    received = 0
    while piece := peer.recv(65536):
        received += len(piece)
    assert received == taken == chip.counters.tcp_sent


def test_disconnect_then_close_is_a_clean_end_for_the_peer(host, peer):
    host.give(0, b"221 bye\r\n")
    host.command(0, Command.DISCON)
    host.command(0, Command.CLOSE)
    assert peer.recv(100) == b"221 bye\r\n"
    assert peer.recv(100) == b""


def test_close_sends_no_reset_behind_a_fin(host, peer):
    host.command(0, Command.DISCON)
    assert peer.recv(100) == b""
    peer.sendall(b"x")  # carries the ACK of that FIN
    host.until(lambda: host.take(0) == b"x")
    host.command(0, Command.CLOSE)
    assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_disconnect_sends_what_is_still_in_the_memory(host, peer):
    total = fill_the_peer(host)
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_FIN_WAIT
    received = drain(host, peer)
    assert received == total
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)


def test_simultaneous_close(host, lan):
    """The peer's FIN comes while ours still waits behind data: CLOSING."""
    for number in reversed(range(8)):  # more than a window update in that FIN can set free
        host.write(number, "Sn_TXBUF_SIZE", 0 if number else 16)
    host.listen(0)
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        host.give(0, bytes(16384))
        host.command(0, Command.DISCON)
        peer.shutdown(socket.SHUT_WR)
        host.until_status(0, Status.SOCK_CLOSING)
        assert drain(host, peer) == 16384
        host.until_status(0, Status.SOCK_CLOSED)


def drain(host, peer):
    received = 0
    while True:
        host.until(lambda: host.chip.poll() or readable(peer))
        piece = peer.recv(65536)
        received += len(piece)
        if not piece:
            return received


def test_a_peer_that_stays_half_open_is_given_up(chip, host, peer):
    host.command(0, Command.DISCON)
    for _ in range(chip.timeout_polls):
        assert host.status(0) == Status.SOCK_FIN_WAIT
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == IR_TIMEOUT
    assert peer.recv(1) == b""
